#include "admin/metric_text.h"

#include "base/utf8.h"

#include <string.h>

#define TOTAL "_total"

void metric_text_family(struct metric_text *t, const char *name, const char *type, const char *help)
{
    size_t size = strlen(name);
    if (t->openmetrics && strcmp(type, "counter") == 0)
        size -= strlen(TOTAL);
    if (t->rc == 0)
        t->rc = buf_printf(t->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)size, name, help,
                           (int)size, name, type);
}

static void write_name(struct metric_text *t, const char *name, const char *labels)
{
    bool any = labels[0] != '\0';
    if (t->rc == 0)
        t->rc = buf_printf(t->out, "%s%s%s%s ", name, any ? "{" : "", labels, any ? "}" : "");
}

void metric_text_number(struct metric_text *t, const char *name, const char *labels, double value)
{
    write_name(t, name, labels);
    if (t->rc == 0)
        t->rc = buf_printf(t->out, "%.17g\n", value);
}

void metric_text_count(struct metric_text *t, const char *name, const char *labels, uint64_t value,
                       double unit)
{
    if (unit > 1) {
        write_name(t, name, labels);
        if (t->rc == 0)
            t->rc = buf_printf(t->out, "%.15g\n", (double)value / unit);
        return;
    }
    write_name(t, name, labels);
    if (t->rc == 0)
        t->rc = buf_printf(t->out, "%llu\n", (unsigned long long)value);
}

static bool is_utf8(const char *text)
{
    struct slice left = slice_str(text);
    while (left.size > 0) {
        size_t size = utf8_size(left);
        if (size == 0)
            return false;
        left = slice_of(left.data + size, left.size - size);
    }
    return true;
}

static int put_byte(struct buf *labels, unsigned char c, bool valid)
{
    if (c == '\\' || c == '"')
        return buf_printf(labels, "\\%c", c);
    if (c == '\n')
        return buf_append(labels, "\\n", 2);
    if (c >= 0x80 && !valid)
        return buf_printf(labels, "\\\\x%02x", c);
    return buf_append(labels, &c, 1);
}

int metric_text_label(struct buf *labels, const char *word, const char *text)
{
    bool valid = is_utf8(text);
    int rc = buf_printf(labels, "%s%s=\"", labels->size > 0 ? "," : "", word);
    for (const char *at = text; *at && rc == 0; at++)
        rc = put_byte(labels, (unsigned char)*at, valid);
    if (rc == 0)
        rc = buf_append(labels, "\"", 1);
    return rc;
}
