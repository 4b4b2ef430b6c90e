#include "tier/tier_batch.h"

#include "base/tier_sql.h"
#include "tier/tier_json.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <time.h>

static int put_version(struct buf *out, const struct tier_value *v)
{
    return v->has_version ? mpw_int(out, v->version) : mpw_nil(out);
}

/* As JSON text. */
static int put_value(struct buf *out, const struct tier_value *v)
{
    if (v->gone)
        return mpw_cstr(out, "null");
    struct buf json;
    buf_init(&json, 0);
    int rc = tier_json_put(&json, v->packed);
    if (rc == 0)
        rc = mpw_str(out, buf_slice(&json));
    buf_fini(&json);
    return rc;
}

static int put_packed(struct buf *out, const struct tier_value *v)
{
    return v->gone ? mpw_nil(out) : mpw_bin(out, v->packed);
}

/* UTC, as SQLite's own functions write it: texts in the order of their times. */
static int put_time_text(struct buf *out, int64_t wall_ms)
{
    char text[48];
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03d", (int)(wall_ms % 1000));
    return mpw_cstr(out, text);
}

static int put_time(struct buf *out, enum tier_dialect d, int64_t wall_ms)
{
    if (wall_ms > TIER_FOREVER_MS)
        wall_ms = TIER_FOREVER_MS;
    return d == TIER_SQLITE ? put_time_text(out, wall_ms) : mpw_int(out, wall_ms);
}

/* ---- tags ---- */

static int put_quoted(struct buf *out, struct slice s)
{
    int rc = buf_append(out, "\"", 1);
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            rc |= buf_append(out, "\\", 1);
        rc |= buf_append(out, s.data + i, 1);
    }
    return rc | buf_append(out, "\"", 1);
}

/* The text of an array of PostgreSQL: {"team:7","a\"b"}. */
static int put_array_text(struct buf *out, struct slice tags)
{
    struct mp_reader at = mp_reader_of(tags);
    struct mp_token t;
    struct buf text;
    buf_init(&text, 0);
    int rc = buf_append(&text, "{", 1);
    uint32_t left = 1;
    if (mp_next(&at, &t) == MP_OK && t.type == MP_ARRAY)
        left = t.count;
    else
        at = mp_reader_of(tags);
    for (uint32_t i = 0; i < left && mp_next(&at, &t) == MP_OK; i++) {
        rc |= i > 0 ? buf_append(&text, ",", 1) : 0;
        rc |= put_quoted(&text, t.bytes);
    }
    rc |= buf_append(&text, "}", 1);
    if (rc == 0)
        rc = mpw_str(out, buf_slice(&text));
    buf_fini(&text);
    return rc;
}

/* NULL: nobody has said which. */
static int put_tags(struct buf *out, enum tier_dialect d, const struct tier_value *v)
{
    if (v->gone || v->tagged == TAGGED_UNKNOWN)
        return mpw_nil(out);
    if (v->tagged == TAGGED_NOT)
        return d == TIER_POSTGRES ? mpw_cstr(out, "{}") : mpw_array(out, 0);
    if (d == TIER_POSTGRES)
        return put_array_text(out, v->tags);
    struct mp_reader at = mp_reader_of(v->tags);
    struct mp_token t;
    bool one = mp_next(&at, &t) == MP_OK && t.type != MP_ARRAY;
    int rc = one ? mpw_array(out, 1) : 0;
    return rc == 0 ? mpw_raw(out, v->tags) : rc;
}

/* ---- columns ---- */

static int put_column(struct buf *out, enum tier_write_array a, enum tier_dialect d,
                      const struct tier_value *v)
{
    switch (a) {
    case TIER_WRITE_KEY: return mpw_str(out, v->key);
    case TIER_WRITE_VALUE: return put_value(out, v);
    case TIER_WRITE_VERSION: return put_version(out, v);
    case TIER_WRITE_LOADED: return put_time(out, d, v->loaded_wall_ms);
    case TIER_WRITE_EXPIRES: return put_time(out, d, v->wall_ms);
    case TIER_WRITE_PACKED: return put_packed(out, v);
    case TIER_WRITE_TAGS: return put_tags(out, d, v);
    case TIER_WRITE_GONE: return mpw_bool(out, v->gone);
    case TIER_WRITE_STALE: return mpw_int(out, v->stale_ms);
    case TIER_WRITE_KEEP: return mpw_int(out, v->keep_ms);
    case TIER_WRITE_LOAD: return mpw_int(out, v->load_us);
    case TIER_WRITE_SINCE: return mpw_int(out, (int64_t)v->since);
    case TIER_WRITE_SEEN: return mpw_int(out, (int64_t)v->seen);
    case TIER_WRITE_UNTIL: return mpw_int(out, v->until_ms);
    case TIER_WRITE_PRINT: return mpw_int(out, (int64_t)v->print);
    case TIER_WRITE_ARRAYS: break;
    }
    return mpw_nil(out);
}

static int put_writer(struct buf *out, const struct tier *t)
{
    int rc = mpw_cstr(out, t->node);
    return rc | mpw_int(out, (int64_t)t->incarnation);
}

int tier_batch_arrays(struct buf *out, const struct list *items, size_t rows, const struct tier *t)
{
    int rc = mpw_array(out, TIER_WRITE_ARRAYS + 2);
    for (enum tier_write_array a = 0; a < TIER_WRITE_ARRAYS && rc == 0; a++) {
        rc = mpw_array(out, (uint32_t)rows);
        list_for_each (link, items) {
            const struct tier_item *i = container_of(link, struct tier_item, link);
            rc |= put_column(out, a, TIER_POSTGRES, &i->v);
        }
    }
    return rc | put_writer(out, t) ? ERR_NOMEM : 0;
}

int tier_batch_rows(struct buf *out, const struct list *items, size_t rows, const struct tier *t)
{
    int rc = mpw_array(out, 2 + (uint32_t)(rows * TIER_WRITE_ARRAYS)) | put_writer(out, t);
    list_for_each (link, items) {
        const struct tier_item *i = container_of(link, struct tier_item, link);
        for (enum tier_write_array a = 0; a < TIER_WRITE_ARRAYS && rc == 0; a++)
            rc = put_column(out, a, TIER_SQLITE, &i->v);
    }
    return rc ? ERR_NOMEM : 0;
}
