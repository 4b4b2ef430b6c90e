#include "conf/checks_backend.h"

#include <stdio.h>

static const config_setting_t *place_of(const config_setting_t *group, const char *option)
{
    const config_setting_t *s = config_setting_get_member(group, option);
    return s ? s : group;
}

void checks_backend_named(struct reading *r, const config_setting_t *group, const char *option,
                          const char *named)
{
    const struct conf *c = r->conf;
    const char *names[CONF_BACKENDS_MAX];
    size_t count = 0;
    if (!named || conf_backend_index(c, named) >= 0)
        return;
    for (; count < c->backend_count; count++)
        names[count] = c->backends[count].name;
    const char *near = conf_nearest(named, names, count);
    setting_wrong(r, place_of(group, option), "there is no backend \"%.64s\"%s%s%s", named,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void checks_backend_speaks_sql(struct reading *r, const config_setting_t *group,
                               const char *option, const char *named)
{
    int at = named ? conf_backend_index(r->conf, named) : -1;
    const struct conf_driver *driver = at >= 0 ? r->conf->backends[at].driver : NULL;
    char all[128] = "";
    if (!driver || driver->speaks_sql)
        return; /* or what is wrong was told */
    for (size_t i = 0; r->drivers[i]; i++) {
        size_t size = strlen(all);
        if (r->drivers[i]->speaks_sql)
            snprintf(all + size, sizeof all - size, "%s%s", size ? ", " : "", r->drivers[i]->name);
    }
    setting_wrong(
        r, place_of(group, option),
        "\"%s\": the backend \"%.64s\" does not speak SQL, its driver is %s; these do: %s", option,
        named, driver->name, all[0] ? all : "none");
}
