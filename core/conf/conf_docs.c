/* The tables of docs/configuration.md. */
#include "conf/conf_units.h"
#include "conf/options.h"

static const char *kind_of(const struct option *o)
{
    switch (o->type) {
    case OPT_BOOL: return "bool";
    case OPT_INT: return "integer";
    case OPT_SIZE: return "size";
    case OPT_DURATION: return "duration";
    case OPT_MICROS: return "short duration";
    case OPT_RATIO: return "number";
    case OPT_STRING: return "string";
    case OPT_PATH: return "path";
    case OPT_CHOICE:
    case OPT_DRIVER: return "one of";
    case OPT_LISTEN: return "string or list";
    case OPT_WORDS: return "list of strings";
    case OPT_GROUP: return "group";
    case OPT_GROUPS: return "list";
    }
    return "";
}

static int write_range(struct buf *out, const struct option *o,
                       const struct conf_driver *const *drivers)
{
    char least[CONF_SHOWN_MAX], most[CONF_SHOWN_MAX];
    int rc = 0;
    switch (o->type) {
    case OPT_DURATION:
        return buf_printf(out, "%s to %s", conf_units_show_duration(o->least, least),
                          conf_units_show_duration(o->most, most));
    case OPT_MICROS:
        return buf_printf(out, "%s to %s", conf_units_show_micros(o->least, least),
                          conf_units_show_micros(o->most, most));
    case OPT_SIZE:
        return buf_printf(out, "%s to %s", conf_units_show_size(o->least, least),
                          conf_units_show_size(o->most, most));
    case OPT_INT:
    case OPT_RATIO: return buf_printf(out, "%lld to %lld", (long long)o->least, (long long)o->most);
    case OPT_BOOL: return buf_printf(out, "true, false");
    case OPT_DRIVER:
        for (size_t i = 0; rc == 0 && drivers[i]; i++)
            rc = buf_printf(out, "%s%s", i ? ", " : "", drivers[i]->name);
        return rc;
    case OPT_WORDS:
    case OPT_CHOICE:
        for (size_t i = 0; rc == 0 && o->choices && o->choices[i]; i++)
            rc = buf_printf(out, "%s%s", i ? ", " : "", o->choices[i]);
        return rc;
    default: return 0;
    }
}

static int write_default(struct buf *out, const struct option *o)
{
    bool bare = o->type == OPT_BOOL || o->type == OPT_INT || o->type == OPT_RATIO;
    if (o->fallback && (bare || strspn(o->fallback, "0123456789") == strlen(o->fallback)))
        return buf_printf(out, "`%s`", o->fallback);
    if (o->fallback)
        return buf_printf(out, "`\"%s\"`", o->fallback);
    return buf_printf(out, "%s", o->required ? "**required**" : "none");
}

/* Whether one row of the page tells both. */
static bool is_told_with(const struct option *a, const struct option *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->least == b->least &&
           a->most == b->most && a->required == b->required && strcmp(a->text, b->text) == 0 &&
           strcmp(a->fallback ? a->fallback : "", b->fallback ? b->fallback : "") == 0;
}

static bool has_row(const struct conf_driver *driver, const struct option *row)
{
    const struct option *o = options_of_driver(driver, row->name);
    return o && is_told_with(o, row);
}

/* The drivers that have this row: all, or their names. */
static int write_drivers(struct buf *out, const struct option *row,
                         const struct conf_driver *const *drivers)
{
    const char *between = "";
    int rc = 0;
    for (; rc == 0 && *drivers; drivers++) {
        if (!has_row(*drivers, row))
            continue;
        rc = buf_printf(out, "%s%s", between, (*drivers)->name);
        between = ", ";
    }
    return rc || *between ? rc : buf_printf(out, "all");
}

/* One column is the group's own: who takes a change over, or which driver knows the option. */
static int write_row(struct buf *out, const struct option *o, enum option_group group,
                     const struct conf_driver *const *drivers)
{
    int rc = buf_printf(out, "| `%s` | %s | ", o->name, kind_of(o));
    if (rc == 0)
        rc = write_default(out, o);
    if (rc == 0)
        rc = buf_printf(out, " | ");
    if (rc == 0)
        rc = write_range(out, o, drivers);
    if (rc == 0 && group == GROUP_TOP)
        rc = buf_printf(out, " | %s", o->restart ? "restart" : "reload");
    if (rc == 0 && group == GROUP_BACKEND) {
        rc = buf_printf(out, " | ");
        rc = rc ? rc : write_drivers(out, o, drivers);
    }
    return rc ? rc : buf_printf(out, " | %s |\n", o->text);
}

/* The options that drivers have of their own, each row once. */
static int write_of_drivers(struct buf *out, const struct conf_driver *const *drivers)
{
    int rc = 0;
    for (size_t d = 0; drivers[d]; d++) {
        for (const struct option *o = drivers[d]->options; rc == 0 && o && o->name; o++) {
            bool told = false;
            for (size_t before = 0; before < d; before++)
                told = told || has_row(drivers[before], o);
            rc = told ? 0 : write_row(out, o, GROUP_BACKEND, drivers);
        }
    }
    return rc;
}

static int write_table(struct buf *out, enum option_group group,
                       const struct conf_driver *const *drivers, const char *title,
                       const char *column)
{
    int rc = buf_printf(out, "\n### %s\n\n| option | type | default | range |%s meaning |\n", title,
                        column);
    if (rc == 0)
        rc = buf_printf(out, "| --- | --- | --- | --- |%s --- |\n", *column ? " --- |" : "");
    for (size_t i = 0; rc == 0 && i < options_count; i++)
        if (options_table[i].group == group)
            rc = write_row(out, &options_table[i], group, drivers);
    return rc || group != GROUP_BACKEND ? rc : write_of_drivers(out, drivers);
}

int conf_write_docs(struct buf *out, const struct conf_driver *const *drivers)
{
    static const struct {
        enum option_group group;
        const char *title, *column;
    } tables[] = {
        {GROUP_TOP, "At the top of the file", " a change takes |"},
        {GROUP_TLS, "Of TLS: `tls = { ... }`", ""},
        {GROUP_TIER, "Of the tier: `tier = { ... }`", ""},
        {GROUP_BACKEND, "Of a backend: `backends = { name = { ... } }`", " driver |"},
        {GROUP_LOADER, "Of a loader: `loaders = ( { ... }, ... )`", ""},
        {GROUP_POLICY, "The policy, of a loader or of `defaults = { ... }`", ""},
        {GROUP_USER, "Of a user: `users = ( { ... }, ... )`", ""},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof tables / sizeof *tables; i++)
        rc = write_table(out, tables[i].group, drivers, tables[i].title, tables[i].column);
    return rc ? rc : buf_append(out, "\n", 1);
}
