#include "base/sql_name.h"

#include <ctype.h>

int sql_put_quoted(struct buf *out, struct slice text, char quote)
{
    int rc = buf_append(out, &quote, 1);
    for (size_t i = 0; i < text.size && rc == 0; i++) {
        rc = buf_append(out, &text.data[i], 1);
        if (rc == 0 && text.data[i] == quote)
            rc = buf_append(out, &quote, 1);
    }
    return rc == 0 ? buf_append(out, &quote, 1) : rc;
}

int sql_put_literal(struct buf *out, struct slice text)
{
    bool escaped = text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
    int rc = buf_printf(out, "%s", escaped ? "E'" : "'");
    for (size_t i = 0; i < text.size && rc == 0; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            rc = buf_append(out, &text.data[i], 1);
        if (rc == 0)
            rc = buf_append(out, &text.data[i], 1);
    }
    return rc == 0 ? buf_append(out, "'", 1) : rc;
}

/* One part of a name, quoted or not; at the dot or the end afterwards. */
static int take_part(const char **at, char *out, struct err *e)
{
    const char *p = *at;
    size_t n = 0;
    bool quoted = *p == '"', closed = !quoted;
    if (quoted)
        p++;
    for (; *p && (quoted ? !closed : *p != '.'); p++) {
        if (quoted && *p == '"' && p[1] != '"') {
            closed = true;
            continue;
        }
        p += quoted && *p == '"';
        if (n == SQL_NAME_MAX)
            return err_set(e, ERR_BAD_REQUEST, "a name in \"%s\" has more than %d bytes", *at,
                           SQL_NAME_MAX);
        out[n++] = quoted ? *p : (char)tolower((unsigned char)*p);
    }
    out[n] = '\0';
    if (n == 0 || !closed || (*p && *p != '.'))
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" is no table's name", *at);
    *at = p;
    return 0;
}

int sql_name_read(struct sql_name *name, const char *text, struct err *e)
{
    const char *at = text;
    name->parts = 0;
    for (;;) {
        if (name->parts == SQL_NAME_PARTS)
            return err_set(e, ERR_BAD_REQUEST, "\"%s\" is not NAME or SCHEMA.NAME", text);
        int rc = take_part(&at, name->text[name->parts++], e);
        if (rc != 0 || *at == '\0')
            return rc;
        at++;
    }
}

int sql_name_put_beside(struct buf *out, const struct sql_name *table, const char *name)
{
    int rc = 0;
    if (table->parts == 2)
        rc = sql_put_quoted(out, slice_str(table->text[0]), '"') | buf_append(out, ".", 1);
    return rc | sql_put_quoted(out, slice_str(name), '"');
}
