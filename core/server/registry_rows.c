#include "server/registry_rows.h"

#include "base/sql_name.h"
#include "wire/mp.h"

#include <stdlib.h>

static const char *const columns[] = {"key_pattern", "loader_type", "ttl_seconds",
                                      "stale_ttl_seconds"};
#define COLUMNS (sizeof columns / sizeof *columns)

int registry_rows_query(struct buf *out, const char *table, struct err *e)
{
    struct sql_name name;
    int rc = sql_name_read(&name, table, e);
    if (rc != 0)
        return rc;
    rc = buf_printf(out, "SELECT ");
    for (size_t i = 0; i < COLUMNS && rc == 0; i++)
        rc = buf_printf(out, "%sCAST(%s AS text) AS %s", i ? ", " : "", columns[i], columns[i]);
    rc = rc ? rc : buf_printf(out, " FROM ");
    rc = rc ? rc : sql_name_put_beside(out, &name, name.text[name.parts - 1]);
    rc = rc ? rc : buf_printf(out, " LIMIT %d", CONF_LOADERS_MAX + 1);
    rc = rc ? rc : buf_append(out, "", 1);
    return rc == 0 ? 0 : err_set(e, rc, "no memory for a query");
}

static const char **place_of(struct conf_row *row, size_t column)
{
    const char **const places[COLUMNS] = {&row->pattern, &row->type, &row->ttl, &row->stale_ttl};
    return places[column];
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for the rows");
}

static int unexpected(struct err *e)
{
    return err_set(e, ERR_BAD_VALUE, "the answer is no list of rows");
}

static int take_value(struct registry_rows *r, struct conf_row *row, struct slice name,
                      const struct mp_token *t, struct err *e)
{
    size_t column = 0;
    while (column < COLUMNS && !slice_eq_str(name, columns[column]))
        column++;
    if (column == COLUMNS || t->type == MP_NIL)
        return column < COLUMNS ? 0 : unexpected(e);
    if (t->type != MP_STR && t->type != MP_BIN)
        return unexpected(e);
    if (t->bytes.size > 0 && memchr(t->bytes.data, '\0', t->bytes.size))
        return err_set(e, ERR_BAD_VALUE, "a %s has a NUL byte in it", columns[column]);
    *place_of(row, column) = arena_copy(&r->arena, t->bytes);
    return *place_of(row, column) ? 0 : no_memory(e);
}

static int take_row(struct registry_rows *r, struct mp_reader *from, struct conf_row *row,
                    struct err *e)
{
    struct mp_token t, name;
    if (mp_next(from, &t) != MP_OK || t.type != MP_MAP)
        return unexpected(e);
    int rc = 0;
    for (uint32_t left = t.count; left > 0 && rc == 0; left--) {
        bool ok = mp_next(from, &name) == MP_OK && name.type == MP_STR &&
                  mp_next_whole(from, &t) == MP_OK;
        rc = ok ? take_value(r, row, name.bytes, &t, e) : unexpected(e);
    }
    return rc;
}

static struct registry_rows *rows_new(size_t count, struct conf_row **list)
{
    struct registry_rows *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *list = arena_alloc(&r->arena, (count + 1) * sizeof **list);
    r->rows = (struct conf_rows){.list = *list, .count = count};
    if (*list)
        return r;
    registry_rows_free(r);
    return NULL;
}

int registry_rows_read(struct registry_rows **out, struct slice packed, struct err *e)
{
    struct mp_reader from = mp_reader_of(packed);
    struct mp_token t;
    struct conf_row *list;
    *out = NULL;
    if (mp_next(&from, &t) != MP_OK || t.type != MP_ARRAY || t.count > CONF_LOADERS_MAX + 1)
        return unexpected(e);
    struct registry_rows *r = rows_new(t.count, &list);
    if (!r)
        return no_memory(e);
    int rc = 0;
    for (size_t i = 0; i < r->rows.count && rc == 0; i++)
        rc = take_row(r, &from, &list[i], e);
    if (rc != 0) {
        registry_rows_free(r);
        return rc;
    }
    conf_rows_sort(list, r->rows.count);
    *out = r;
    return 0;
}

int registry_rows_kept(struct registry_rows **out, const struct keep_header *h, struct err *e)
{
    struct conf_row *list;
    *out = NULL;
    struct registry_rows *r = rows_new(h->row_count, &list);
    bool ok = r != NULL;
    for (size_t i = 0; ok && i < h->row_count; i++) {
        const struct keep_row *row = &h->rows[i];
        const struct slice texts[COLUMNS] = {row->pattern, row->type, row->ttl, row->stale_ttl};
        for (size_t c = 0; c < COLUMNS && ok; c++) {
            if (texts[c].data)
                *place_of(&list[i], c) = arena_copy(&r->arena, texts[c]);
            ok = !texts[c].data || *place_of(&list[i], c);
        }
    }
    if (!ok) {
        registry_rows_free(r);
        return no_memory(e);
    }
    conf_rows_sort(list, r->rows.count);
    *out = r;
    return 0;
}

void registry_rows_free(struct registry_rows *r)
{
    if (!r)
        return;
    arena_fini(&r->arena);
    free(r);
}
