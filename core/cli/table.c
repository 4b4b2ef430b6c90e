#include "cli/table.h"

#include "wire/json_out.h"
#include "wire/mp.h"

#include <stdlib.h>

#define NAME_SIZE 256 /* of a flattened name; a longer one is cut */

static const char *const loader_columns[] = {"pattern", "script", "backend", "ttl_ms", "in_flight",
                                             "queued",  "loads",  "failed",  "breaker"};
#define COLUMNS (sizeof loader_columns / sizeof *loader_columns)

bool table_field(struct slice map, const char *name, struct slice *value)
{
    struct mp_reader r = mp_reader_of(map);
    struct mp_token t;

    if (mp_next(&r, &t) != MP_OK || t.type != MP_MAP)
        return false;
    for (uint32_t left = t.count; left > 0; left--) {
        struct slice key;
        struct mp_token name_token = {0};
        if (mp_take(&r, &key) != MP_OK || mp_take(&r, value) != MP_OK)
            return false;
        struct mp_reader k = mp_reader_of(key);
        if (mp_next(&k, &name_token) == MP_OK && name_token.type == MP_STR &&
            slice_eq_str(name_token.bytes, name))
            return true;
    }
    return false;
}

/* A cell: compact JSON, a string without its quotes, "-" for nothing. */
static int write_cell(struct buf *out, struct slice value)
{
    struct mp_reader r = mp_reader_of(value);
    struct mp_token t;
    size_t before = out->size;

    if (mp_next(&r, &t) != MP_OK || t.type == MP_NIL)
        return buf_append(out, "-", 1);
    int rc = json_out_value(out, value, JSON_OUT_COMPACT);
    if (rc == 0 && t.type == MP_STR && out->size - before >= 2) {
        memmove(out->data + before, out->data + before + 1, out->size - before - 2);
        out->size -= 2;
    }
    return rc;
}

static bool is_number(struct slice value)
{
    struct mp_reader r = mp_reader_of(value);
    struct mp_token t;
    return mp_next(&r, &t) == MP_OK &&
           (t.type == MP_INT || t.type == MP_UINT || t.type == MP_FLOAT);
}

/* Columns on the screen that UTF-8 text takes, near enough: one a character. */
static size_t width_of(struct slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.size; i++)
        width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return width;
}

struct column {
    bool used;
    bool right; /* numbers stand to the right */
    size_t width;
};

static int measure(struct slice row, struct column *columns)
{
    int rc = 0;

    for (size_t c = 0; c < COLUMNS && rc == 0; c++) {
        struct slice value;
        struct buf cell;
        if (!table_field(row, loader_columns[c], &value))
            continue;
        buf_init(&cell, 0);
        rc = write_cell(&cell, value);
        size_t width = width_of(buf_slice(&cell));
        columns[c].width = width > columns[c].width ? width : columns[c].width;
        columns[c].used = true;
        columns[c].right |= is_number(value);
        buf_fini(&cell);
    }
    return rc;
}

static int write_padded(struct buf *out, const struct column *column, struct slice text, bool last)
{
    size_t width = width_of(text);
    int pad = column->width > width ? (int)(column->width - width) : 0;
    int rc = column->right ? buf_printf(out, "%*s", pad, "") : 0;

    if (rc == 0)
        rc = buf_append(out, text.data, text.size);
    if (rc == 0 && !column->right && !last)
        rc = buf_printf(out, "%*s", pad, "");
    return rc == 0 ? buf_append(out, last ? "\n" : "  ", last ? 1 : 2) : rc;
}

/* row NULL: the line of names. */
static int write_row(struct buf *out, const struct column *columns, const struct slice *row)
{
    int rc = 0;
    size_t last = COLUMNS;

    while (last > 0 && !columns[last - 1].used)
        last--;
    for (size_t c = 0; c < last && rc == 0; c++) {
        struct buf cell;
        struct slice value;
        if (!columns[c].used)
            continue;
        buf_init(&cell, 0);
        if (!row)
            rc = buf_append(&cell, loader_columns[c], strlen(loader_columns[c]));
        else if (table_field(*row, loader_columns[c], &value))
            rc = write_cell(&cell, value);
        else
            rc = buf_append(&cell, "-", 1);
        if (rc == 0)
            rc = write_padded(out, &columns[c], buf_slice(&cell), c + 1 == last);
        buf_fini(&cell);
    }
    return rc;
}

int table_loaders(struct buf *out, struct slice packed)
{
    struct column columns[COLUMNS] = {0};
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    struct slice row;
    int rc = 0;

    if (mp_next(&r, &t) != MP_OK || t.type != MP_ARRAY)
        return ERR_PROTOCOL;
    struct mp_reader rows = r;
    for (uint32_t i = 0; i < t.count && rc == 0; i++)
        rc = mp_take(&r, &row) == MP_OK ? measure(row, columns) : ERR_PROTOCOL;
    for (size_t c = 0; c < COLUMNS; c++) {
        size_t width = strlen(loader_columns[c]);
        columns[c].used |= t.count == 0;
        columns[c].width = width > columns[c].width ? width : columns[c].width;
    }
    if (rc == 0)
        rc = write_row(out, columns, NULL);
    for (uint32_t i = 0; i < t.count && rc == 0; i++)
        rc = mp_take(&rows, &row) == MP_OK ? write_row(out, columns, &row) : ERR_PROTOCOL;
    return rc;
}

/* Lines of a map and the maps in it: called for the widths (out NULL) and for the text. */
struct lines {
    struct buf *out;
    size_t width;
    char name[NAME_SIZE];
};

/* The name of a pair after the names around it, which end at at; *end is its own. */
static int add_name(struct lines *lines, size_t at, struct slice key, size_t *end)
{
    struct buf cell;

    buf_init(&cell, 0);
    if (at > 0 && at + 1 < NAME_SIZE)
        lines->name[at++] = '.';
    int rc = write_cell(&cell, key);
    if (rc == 0) {
        size_t n = cell.size < NAME_SIZE - 1 - at ? cell.size : NAME_SIZE - 1 - at;
        memcpy(lines->name + at, cell.data, n);
        *end = at + n;
    }
    buf_fini(&cell);
    return rc;
}

static int write_line(struct lines *lines, size_t name_size, struct slice value)
{
    struct slice name = slice_of(lines->name, name_size);
    size_t width = width_of(name);

    if (!lines->out) {
        lines->width = width > lines->width ? width : lines->width;
        return 0;
    }
    int rc = buf_append(lines->out, name.data, name.size);
    if (rc == 0)
        rc = buf_printf(lines->out, "%*s", (int)(lines->width - width) + 2, "");
    if (rc == 0)
        rc = write_cell(lines->out, value);
    return rc == 0 ? buf_append(lines->out, "\n", 1) : rc;
}

/* Recursion ends with the nesting that the answer's scan let through. */
static int write_map(struct lines *lines, size_t at, struct slice map)
{
    struct mp_reader r = mp_reader_of(map);
    struct mp_token t;
    int rc = 0;

    if (mp_next(&r, &t) != MP_OK || t.type != MP_MAP)
        return ERR_PROTOCOL;
    for (uint32_t i = 0; i < t.count && rc == 0; i++) {
        struct slice key, value;
        struct mp_token inner;
        if (mp_take(&r, &key) != MP_OK || mp_take(&r, &value) != MP_OK)
            return ERR_PROTOCOL;
        size_t end = at;
        rc = add_name(lines, at, key, &end);
        if (rc != 0)
            return rc;
        struct mp_reader v = mp_reader_of(value);
        bool deeper = mp_next(&v, &inner) == MP_OK && inner.type == MP_MAP && inner.count > 0;
        rc = deeper ? write_map(lines, end, value) : write_line(lines, end, value);
    }
    return rc;
}

int table_stats(struct buf *out, struct slice packed)
{
    struct lines lines = {0};
    int rc = write_map(&lines, 0, packed);
    if (rc != 0)
        return rc;
    lines.out = out;
    return write_map(&lines, 0, packed);
}
