/* What differs between two configurations. */
#include "conf/options.h"

bool conf_backend_same(const struct conf_backend *a, const struct conf_backend *b)
{
    if (strcmp(a->name, b->name) != 0 || a->driver != b->driver || a->full_errors != b->full_errors)
        return false;
    const struct option *o;
    for (size_t i = 0; (o = options_row(a->driver, i)) != NULL; i++)
        if ((o->group == GROUP_BACKEND && !options_equal(o, a, b)) ||
            (o->group == GROUP_DRIVER && !options_equal(o, a->own, b->own)))
            return false;
    return true;
}

const char *conf_needs_restart(const struct conf *old, const struct conf *new)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        if (o->group == GROUP_TOP && o->restart && !options_equal(o, old, new))
            return o->name;
        if (o->group == GROUP_TIER && o->restart && !options_equal(o, &old->tier, &new->tier))
            return "tier";
    }
    return NULL;
}
