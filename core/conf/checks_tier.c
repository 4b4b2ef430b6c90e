/* The group "tier", and the loaders that are kept there. */
#include "conf/checks.h"

#include "base/sql_name.h"

static void check_backend(struct reading *r, const config_setting_t *s, const char *name)
{
    int index = conf_backend_index(r->conf, name);
    if (index < 0)
        setting_wrong(r, s, "\"backend\": there is no backend \"%.64s\"", name);
    else if (r->conf->backends[index].driver && !r->conf->backends[index].driver->speaks_sql)
        setting_wrong(r, s, "\"backend\": \"%.64s\" does not speak SQL, as a tier has to", name);
}

static void check_group(struct reading *r, const config_setting_t *group)
{
    const struct conf_tier *t = &r->conf->tier;
    struct sql_name name;
    struct err e;
    if (t->backend)
        check_backend(r, config_setting_get_member(group, "backend"), t->backend);
    if (t->table && sql_name_read(&name, t->table, &e) != 0)
        setting_wrong(r, config_setting_get_member(group, "table"), "\"table\": %s", e.text);
    if (t->slots & (t->slots - 1))
        setting_wrong(r, config_setting_get_member(group, "slots"),
                      "\"slots\" takes a power of two");
}

void checks_tier(struct reading *r, const config_setting_t *root)
{
    const config_setting_t *group = config_setting_get_member(root, "tier");
    const config_setting_t *loaders = config_setting_get_member(root, "loaders");
    if (group && config_setting_is_group(group))
        check_group(r, group);
    for (size_t i = 0; i < r->conf->loader_count && !group; i++) {
        const config_setting_t *l = config_setting_get_elem(loaders, (unsigned)i);
        if (r->conf->loaders[i].tier)
            setting_wrong(r, l ? config_setting_get_member(l, "tier") : root,
                          "\"tier\" needs a group \"tier\" at the top of the file: { backend = "
                          "... }");
    }
}
