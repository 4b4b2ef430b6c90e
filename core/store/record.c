#include "store/record.h"

#include "store/entry.h"
#include "wire/mp.h"
#include "wire/mpw.h"

enum { MADE_STALE = 1, UNPROVEN = 2 }; /* flags */

enum { STATE_FREQUENCY = 3, STATE_MAIN = 4, STATE_SCORE_SHIFT = 3 }; /* state: as entry.state */

enum field {
    KEY,
    VALUE,
    VERSION,
    AGE,
    LEFT,
    STALE,
    KEEP,
    FLAGS,
    TAGS,
    REQUIRED, /* how many have to be there */
    LOAD = REQUIRED,
    AHEAD,
    OWNER,
    STATE,
    READS,
    FIELDS
};

static const char *const names[] = {
    [KEY] = "key",     [VALUE] = "value", [VERSION] = "version", [AGE] = "age",     [LEFT] = "left",
    [STALE] = "stale", [KEEP] = "keep",   [FLAGS] = "flags",     [TAGS] = "tags",   [LOAD] = "load",
    [AHEAD] = "ahead", [OWNER] = "owner", [STATE] = "state",     [READS] = "reads",
};

/* ---- writing ---- */

static int pack_span(struct buf *out, int64_t length_ms)
{
    return length_ms == STORE_FOREVER_MS ? mpw_nil(out) : mpw_int(out, length_ms);
}

static int pack_tags(struct buf *out, const struct record *r)
{
    switch (r->tagged) {
    case TAGGED_TEXTS: return mpw_bin(out, r->tag_texts);
    case TAGGED_UNKNOWN: return mpw_bool(out, true);
    case TAGGED_NOT: break;
    }
    return mpw_nil(out);
}

int record_pack(struct buf *out, const struct record *r)
{
    size_t before = out->size;
    unsigned state =
        r->frequency | (r->in_main ? STATE_MAIN : 0u) | (unsigned)r->score << STATE_SCORE_SHIFT;
    int rc = mpw_array(out, FIELDS);
    rc = rc ? rc : mpw_bin(out, r->key);
    rc = rc ? rc : r->negative ? mpw_nil(out) : mpw_bin(out, r->value);
    rc = rc ? rc : r->has_version ? mpw_int(out, r->version) : mpw_nil(out);
    rc = rc ? rc : mpw_int(out, r->age_ms);
    rc = rc ? rc : pack_span(out, r->fresh_left_ms);
    rc = rc ? rc : pack_span(out, r->stale_ttl_ms);
    rc = rc ? rc : pack_span(out, r->keep_ms);
    rc = rc ? rc : mpw_int(out, (r->made_stale ? MADE_STALE : 0) | (r->unproven ? UNPROVEN : 0));
    rc = rc ? rc : pack_tags(out, r);
    rc = rc ? rc : mpw_int(out, r->load_us);
    rc = rc ? rc : mpw_int(out, r->ahead);
    rc = rc ? rc : mpw_int(out, r->owner);
    rc = rc ? rc : mpw_int(out, state);
    rc = rc ? rc : mpw_int(out, r->reads);
    if (rc != 0)
        out->size = before;
    return rc;
}

/* ---- reading ---- */

struct reading {
    struct mp_reader at;
    uint32_t count; /* fields there are */
    enum field field;
    struct err *e;
};

static int refuse(const struct reading *g, const char *why)
{
    return err_set(g->e, ERR_BAD_VALUE, "a record's %s %s", names[g->field], why);
}

/* The token of this field; what is no container is read whole. */
static int take(struct reading *g, enum field field, struct mp_token *t)
{
    g->field = field;
    int rc = mp_next(&g->at, t);
    if (rc == MP_OK)
        return 0;
    return refuse(g, rc == MP_MORE ? "is cut off" : "is no MessagePack");
}

static bool is_bytes(const struct mp_token *t)
{
    return t->type == MP_BIN || t->type == MP_STR;
}

/* least <= v <= most; nil: where none is another value, that one. */
static int take_int(struct reading *g, enum field field, int64_t least, int64_t most, int64_t none,
                    int64_t *v)
{
    struct mp_token t;
    int rc = take(g, field, &t);
    if (rc != 0)
        return rc;
    if (t.type == MP_NIL && none > most) {
        *v = none;
        return 0;
    }
    if (t.type != MP_INT)
        return refuse(g, "is no integer");
    if (t.i < least || t.i > most)
        return refuse(g, "is out of its bounds");
    *v = t.i;
    return 0;
}

/* A length of time; nil: for ever. */
static int take_span(struct reading *g, enum field field, int64_t least, int64_t *v)
{
    return take_int(g, field, least, STORE_FOREVER_MS - 1, STORE_FOREVER_MS, v);
}

static int take_key(struct reading *g, struct record *r)
{
    struct mp_token t;
    int rc = take(g, KEY, &t);
    if (rc != 0)
        return rc;
    if (!is_bytes(&t))
        return refuse(g, "is no bytes");
    if (t.bytes.size == 0 || t.bytes.size > ENTRY_KEY_MAX)
        return refuse(g, "is empty, or longer than 65,535 bytes");
    r->key = t.bytes;
    return 0;
}

static int take_value(struct reading *g, struct record *r)
{
    struct mp_token t;
    int rc = take(g, VALUE, &t);
    if (rc != 0)
        return rc;
    r->negative = t.type == MP_NIL;
    if (r->negative)
        return 0;
    if (!is_bytes(&t))
        return refuse(g, "is neither bytes nor nil");
    r->value = t.bytes;
    return 0;
}

static int take_version(struct reading *g, struct record *r)
{
    struct mp_token t;
    int rc = take(g, VERSION, &t);
    if (rc != 0)
        return rc;
    r->has_version = t.type != MP_NIL;
    if (r->has_version && t.type != MP_INT)
        return refuse(g, "is neither an integer of 64 bits nor nil");
    r->version = r->has_version ? t.i : 0;
    return 0;
}

/* A str or an array of them, as slots; m NULL: they are only looked at. false: it is none. */
static bool read_texts(struct slice texts, const struct marks *m, uint32_t *slots, unsigned *count)
{
    struct mp_reader at = mp_reader_of(texts);
    struct mp_token t;
    if (texts.size > UINT16_MAX || mp_next(&at, &t) != MP_OK)
        return false;
    bool many = t.type == MP_ARRAY;
    uint32_t left = many ? t.count : 1;
    if (left > MARKS_TAGS_MAX || left == 0)
        return false;
    for (*count = 0; left > 0; left--) {
        if (many && mp_next(&at, &t) != MP_OK)
            return false;
        if (!is_bytes(&t) || t.bytes.size > MARKS_TAG_SIZE)
            return false;
        if (m)
            slots[*count] = marks_slot(m, t.bytes);
        ++*count;
    }
    return at.at == at.end;
}

static int take_tags(struct reading *g, struct record *r)
{
    struct mp_token t;
    unsigned count;
    int rc = take(g, TAGS, &t);
    if (rc != 0)
        return rc;
    r->tagged = TAGGED_TEXTS;
    if (t.type == MP_NIL)
        r->tagged = TAGGED_NOT;
    else if (t.type == MP_BOOL)
        r->tagged = TAGGED_UNKNOWN;
    else if (!is_bytes(&t) || !read_texts(t.bytes, NULL, NULL, &count))
        return refuse(g, "are no text, nor an array of at most 64");
    else
        r->tag_texts = t.bytes;
    return 0;
}

static int take_times(struct reading *g, struct record *r)
{
    int64_t flags = 0;
    int rc = take_int(g, AGE, 0, STORE_FOREVER_MS - 1, 0, &r->age_ms);
    rc = rc ? rc : take_span(g, LEFT, INT64_MIN, &r->fresh_left_ms);
    rc = rc ? rc : take_span(g, STALE, 0, &r->stale_ttl_ms);
    rc = rc ? rc : take_span(g, KEEP, 0, &r->keep_ms);
    rc = rc ? rc : take_int(g, FLAGS, 0, INT64_MAX, 0, &flags);
    r->made_stale = flags & MADE_STALE;
    r->unproven = flags & UNPROVEN;
    return rc;
}

/* Those after the bar, as many as there are. */
static int take_rest(struct reading *g, struct record *r)
{
    static const int64_t most[] = {UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT8_MAX, UINT8_MAX};
    int64_t v[FIELDS - REQUIRED] = {0};
    for (unsigned i = REQUIRED; i < FIELDS && i < g->count; i++) {
        int rc = take_int(g, i, 0, most[i - REQUIRED], 0, &v[i - REQUIRED]);
        if (rc != 0)
            return rc;
    }
    r->load_us = (uint32_t)v[LOAD - REQUIRED];
    r->ahead = (uint16_t)v[AHEAD - REQUIRED];
    r->owner = (uint16_t)v[OWNER - REQUIRED];
    r->frequency = v[STATE - REQUIRED] & STATE_FREQUENCY;
    r->in_main = v[STATE - REQUIRED] & STATE_MAIN;
    r->score = v[STATE - REQUIRED] >> STATE_SCORE_SHIFT & RECORD_SCORE_MAX;
    r->reads = (uint8_t)v[READS - REQUIRED];
    for (uint32_t i = FIELDS; i < g->count; i++)
        if (mp_skip(&g->at) != MP_OK)
            return err_set(g->e, ERR_BAD_VALUE, "a record's field %u is cut off, or no MessagePack",
                           i + 1);
    return 0;
}

int record_read(struct slice *rest, struct record *r, struct err *e)
{
    struct reading g = {.at = mp_reader_of(*rest), .e = e};
    struct mp_token t;
    *r = (struct record){.negative = false};
    int rc = mp_next(&g.at, &t);
    if (rc != MP_OK || t.type != MP_ARRAY)
        return err_set(e, ERR_BAD_VALUE, "a record %s",
                       rc == MP_MORE ? "is cut off" : "is no array");
    if (t.count < REQUIRED)
        return err_set(e, ERR_BAD_VALUE, "a record has %u fields, where %d are needed", t.count,
                       REQUIRED);
    g.count = t.count;
    rc = take_key(&g, r);
    rc = rc ? rc : take_value(&g, r);
    rc = rc ? rc : take_version(&g, r);
    rc = rc ? rc : take_times(&g, r);
    rc = rc ? rc : take_tags(&g, r);
    rc = rc ? rc : take_rest(&g, r);
    if (rc == 0)
        *rest = slice_of(g.at.at, (size_t)(g.at.end - g.at.at));
    return rc;
}

unsigned record_slots(const struct record *r, const struct marks *m, uint32_t slots[MARKS_TAGS_MAX])
{
    unsigned count = 0;
    if (!m || r->tagged == TAGGED_NOT)
        return 0;
    if (r->tagged == TAGGED_TEXTS && read_texts(r->tag_texts, m, slots, &count))
        return count;
    slots[0] = marks_any_tag(m);
    return 1;
}
