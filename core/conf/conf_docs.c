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

static int write_range(struct buf *out, const struct option *o)
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
    case OPT_WORDS:
    case OPT_CHOICE:
    case OPT_DRIVER:
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

/* One column is the group's own: who takes a change over, or which driver knows the option. */
static int write_row(struct buf *out, const struct option *o)
{
    int rc = buf_printf(out, "| `%s` | %s | ", o->name, kind_of(o));
    if (rc == 0)
        rc = write_default(out, o);
    if (rc == 0)
        rc = buf_printf(out, " | ");
    if (rc == 0)
        rc = write_range(out, o);
    if (rc == 0 && o->group == GROUP_TOP)
        rc = buf_printf(out, " | %s", o->restart ? "restart" : "reload");
    if (rc == 0 && o->group == GROUP_BACKEND)
        rc = buf_printf(out, " | %s", o->driver == DRIVER_ANY ? "all" : options_drivers[o->driver]);
    return rc ? rc : buf_printf(out, " | %s |\n", o->text);
}

static int write_table(struct buf *out, enum option_group group, const char *title,
                       const char *column)
{
    int rc = buf_printf(out, "\n### %s\n\n| option | type | default | range |%s meaning |\n", title,
                        column);
    if (rc == 0)
        rc = buf_printf(out, "| --- | --- | --- | --- |%s --- |\n", *column ? " --- |" : "");
    for (size_t i = 0; rc == 0 && i < options_count; i++)
        if (options_table[i].group == group)
            rc = write_row(out, &options_table[i]);
    return rc;
}

int conf_write_docs(struct buf *out)
{
    int rc = write_table(out, GROUP_TOP, "At the top of the file", " a change takes |");
    if (rc == 0)
        rc = write_table(out, GROUP_TLS, "Of TLS: `tls = { ... }`", "");
    if (rc == 0)
        rc = write_table(out, GROUP_BACKEND, "Of a backend: `backends = { name = { ... } }`",
                         " driver |");
    if (rc == 0)
        rc = write_table(out, GROUP_LOADER, "Of a loader: `loaders = ( { ... }, ... )`", "");
    if (rc == 0)
        rc = write_table(out, GROUP_POLICY, "The policy, of a loader or of `defaults = { ... }`",
                         "");
    if (rc == 0)
        rc = write_table(out, GROUP_USER, "Of a user: `users = ( { ... }, ... )`", "");
    return rc ? rc : buf_append(out, "\n", 1);
}
