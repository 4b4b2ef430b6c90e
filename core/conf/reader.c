#include "conf/reader.h"

#include "conf/users.h"

#include <stdio.h>

#define NAMES_MAX 64

/* Which options a group of the file may hold, and where their values go. */
struct scope {
    enum option_group group;
    void *target;
};

struct scopes {
    struct scope list[2];
    size_t count;
    const struct conf_driver *driver; /* of a backend; NULL: it has none, or it is no backend */
};

/* NULL: none of the option's group. */
static const struct scope *scope_of(const struct scopes *in, const struct option *o)
{
    for (size_t i = 0; i < in->count; i++)
        if (o->group == in->list[i].group)
            return &in->list[i];
    return NULL;
}

static bool in_scope(const struct scopes *in, const struct option *o)
{
    return scope_of(in, o) != NULL;
}

/* The option of that name, and where its value goes; NULL: there is none. */
static const struct option *find(const struct scopes *in, const char *name,
                                 const struct scope **scope)
{
    const struct option *o;
    for (size_t i = 0; (o = options_row(in->driver, i)) != NULL; i++)
        if (strcmp(o->name, name) == 0 && (*scope = scope_of(in, o)) != NULL)
            return o;
    return NULL;
}

static const char *home_of(const struct option *o)
{
    switch (o->group) {
    case GROUP_TOP: return "the top of the file";
    case GROUP_BACKEND:
    case GROUP_DRIVER: return "a backend";
    case GROUP_LOADER: return "a loader";
    case GROUP_POLICY: return "a loader or \"defaults\"";
    case GROUP_TLS: return "\"tls\"";
    case GROUP_TIER: return "\"tier\"";
    case GROUP_USER: return "a user";
    case GROUP_COUNT: break;
    }
    return "";
}

/* The option of one of the drivers, and the names of all that have it, as far as there is room. */
static const struct option *find_of_drivers(const struct reading *r, const char *name, char *all,
                                            size_t size)
{
    const struct option *found = NULL;
    size_t used = 0;
    all[0] = '\0';
    for (size_t i = 0; r->drivers[i]; i++) {
        const struct option *o = options_of_driver(r->drivers[i], name);
        if (!o)
            continue;
        int n = snprintf(all + used, size - used, "%s%s", found ? ", " : "", r->drivers[i]->name);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
        found = o;
    }
    return found;
}

static void unknown(struct reading *r, const struct scopes *in, const config_setting_t *s)
{
    const char *name = config_setting_name(s);
    const char *names[NAMES_MAX] = {NULL};
    char drivers[128];
    size_t count = 0;
    const struct option *o, *elsewhere = find_of_drivers(r, name, drivers, sizeof drivers);
    if (elsewhere && in->driver) {
        setting_wrong(r, s, "\"%s\" belongs to %s; this backend's driver is %s", name, drivers,
                      in->driver->name);
        return;
    }
    for (size_t i = 0; (o = options_row(in->driver, i)) != NULL; i++) {
        bool here = in_scope(in, o);
        if (here && count < NAMES_MAX)
            names[count++] = o->name;
        if (!here && !elsewhere && strcmp(o->name, name) == 0)
            elsewhere = o;
    }
    const char *near = conf_nearest(name, names, count);
    setting_wrong(r, s, "unknown option \"%.64s\"%s%s%s%s%s", name, near ? "; did you mean \"" : "",
                  near ? near : "", near ? "\"?" : "", elsewhere ? "; it belongs to " : "",
                  elsewhere ? home_of(elsewhere) : "");
}

static void read_options(struct reading *r, const struct scopes *in, const config_setting_t *group)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const struct scope *scope = NULL;
        const struct option *o = find(in, config_setting_name(s), &scope);
        if (o)
            (void)setting_read(r, o, s, scope->target);
        else
            unknown(r, in, s);
    }
}

/* who: "backend \"main\"", for the error. */
static void need_options(struct reading *r, const struct scopes *in, const config_setting_t *group,
                         const char *who)
{
    const struct option *o;
    for (size_t i = 0; (o = options_row(in->driver, i)) != NULL; i++)
        if (o->required && in_scope(in, o) && !config_setting_get_member(group, o->name))
            setting_wrong(r, group, "%s needs \"%s\"", who, o->name);
}

/* A member of the root, or NULL where it is absent or of another kind, which is told. */
static const config_setting_t *section(struct reading *r, const config_setting_t *root,
                                       const char *name, int type, const char *form)
{
    const config_setting_t *s = config_setting_get_member(root, name);
    if (!s || config_setting_type(s) == type)
        return s;
    setting_wrong(r, s, "\"%s\" takes %s", name, form);
    return NULL;
}

static void *make_array(struct reading *r, size_t count, size_t size)
{
    void *array = arena_alloc(r->arena, count * size);
    if (!array)
        r->problems->nomem = true;
    return array;
}

static void read_backend(struct reading *r, const config_setting_t *group, struct conf_backend *b)
{
    char who[96];
    b->name = arena_copy(r->arena, slice_str(config_setting_name(group)));
    struct source_place place = setting_place(r, group);
    b->file = place.file;
    b->line = place.line;
    if (!b->name) {
        r->problems->nomem = true;
        return;
    }
    struct scopes in = {.list = {{GROUP_BACKEND, b}}, .count = 1};
    snprintf(who, sizeof who, "backend \"%.64s\"", b->name);
    const config_setting_t *driver = config_setting_get_member(group, "driver");
    if (!driver) {
        need_options(r, &in, group, who);
        return;
    }
    if (!setting_read(r, options_find(GROUP_BACKEND, "driver"), driver, b))
        return;
    void *own = arena_alloc(r->arena, b->driver->own_size + 1);
    if (!own) {
        r->problems->nomem = true;
        return;
    }
    b->own = own;
    in.driver = b->driver;
    in.list[in.count++] = (struct scope){GROUP_DRIVER, own};
    setting_defaults(r, GROUP_BACKEND, in.driver, b);
    setting_defaults(r, GROUP_DRIVER, in.driver, own);
    read_options(r, &in, group);
    need_options(r, &in, group, who);
}

static void read_backends(struct reading *r, const config_setting_t *root)
{
    struct conf *c = r->conf;
    const config_setting_t *all = section(r, root, "backends", CONFIG_TYPE_GROUP,
                                          "a group of backends: { main = { driver = ... } }");
    int count = all ? config_setting_length(all) : 0;
    if (count > CONF_BACKENDS_MAX) {
        setting_wrong(r, all, "there are %d backends; at most %d are taken", count,
                      CONF_BACKENDS_MAX);
        return;
    }
    bool full = c->errors && strcmp(c->errors, "full") == 0;
    c->backends = make_array(r, (size_t)count + 1, sizeof *c->backends);
    for (int i = 0; c->backends && i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(all, (unsigned)i);
        c->backends[c->backend_count].full_errors = full;
        if (config_setting_is_group(group))
            read_backend(r, group, &c->backends[c->backend_count++]);
        else
            setting_wrong(r, group, "backend \"%.64s\" takes a group: { driver = ... }",
                          config_setting_name(group));
    }
}

static void read_defaults(struct reading *r, const config_setting_t *root)
{
    const config_setting_t *group =
        section(r, root, "defaults", CONFIG_TYPE_GROUP, "a group: { ttl = \"60s\", ... }");
    struct scopes in = {.list = {{GROUP_POLICY, &r->conf->defaults}}, .count = 1};
    if (group)
        read_options(r, &in, group);
}

static void read_tls(struct reading *r, const config_setting_t *root)
{
    const config_setting_t *group =
        section(r, root, "tls", CONFIG_TYPE_GROUP, "a group: { certificate = ..., key = ... }");
    struct conf_tls *t = &r->conf->tls;
    struct scopes in = {.list = {{GROUP_TLS, t}}, .count = 1};
    setting_defaults(r, GROUP_TLS, NULL, t);
    if (!group)
        return;
    struct source_place place = setting_place(r, group);
    t->file = place.file;
    t->line = place.line;
    read_options(r, &in, group);
    need_options(r, &in, group, "\"tls\"");
}

static void read_tier(struct reading *r, const config_setting_t *root)
{
    const config_setting_t *group =
        section(r, root, "tier", CONFIG_TYPE_GROUP, "a group: { backend = ..., table = ... }");
    struct conf_tier *t = &r->conf->tier;
    struct scopes in = {.list = {{GROUP_TIER, t}}, .count = 1};
    setting_defaults(r, GROUP_TIER, NULL, t);
    if (!group)
        return;
    struct source_place place = setting_place(r, group);
    t->file = place.file;
    t->line = place.line;
    read_options(r, &in, group);
    need_options(r, &in, group, "\"tier\"");
}

/* What messages call a loader that has no script. */
static void name_sql(struct reading *r, struct conf_loader *l)
{
    char name[96];
    const char *slash = strrchr(l->file, '/');
    snprintf(name, sizeof name, "%.80s:%d", slash ? slash + 1 : l->file, l->line);
    l->script = arena_copy(r->arena, slice_str(name));
    if (!l->script)
        r->problems->nomem = true;
}

static void read_loader(struct reading *r, const config_setting_t *group, struct conf_loader *l)
{
    struct source_place place = setting_place(r, group);
    l->file = place.file;
    l->line = place.line;
    setting_defaults(r, GROUP_LOADER, NULL, l);
    l->policy = r->conf->defaults;
    struct scopes in = {.list = {{GROUP_LOADER, l}, {GROUP_POLICY, &l->policy}}, .count = 2};
    read_options(r, &in, group);
    need_options(r, &in, group, "a loader");
    if (l->sql && !l->script)
        name_sql(r, l);
}

static void read_loaders(struct reading *r, const config_setting_t *root)
{
    struct conf *c = r->conf;
    const config_setting_t *all = section(r, root, "loaders", CONFIG_TYPE_LIST,
                                          "a list of groups: ( { pattern = ... }, ... )");
    int count = all ? config_setting_length(all) : 0;
    if (count > CONF_LOADERS_MAX) {
        setting_wrong(r, all, "there are %d loaders; at most %d are taken", count,
                      CONF_LOADERS_MAX);
        return;
    }
    c->loaders = make_array(r, (size_t)count + 1, sizeof *c->loaders);
    c->loader_count = c->loaders ? (size_t)count : 0;
    for (int i = 0; c->loaders && i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(all, (unsigned)i);
        if (config_setting_is_group(group))
            read_loader(r, group, &c->loaders[i]);
        else
            setting_wrong(r, group, "a loader takes a group: { pattern = ..., script = ... }");
    }
}

static void read_user(struct reading *r, const config_setting_t *group, struct conf_user *u)
{
    struct source_place place = setting_place(r, group);
    u->file = place.file;
    u->line = place.line;
    u->uid = -1;
    struct scopes in = {.list = {{GROUP_USER, u}}, .count = 1};
    read_options(r, &in, group);
    need_options(r, &in, group, "a user");
    users_finish(r, group, u);
}

static void read_users(struct reading *r, const config_setting_t *root)
{
    struct conf *c = r->conf;
    const config_setting_t *all =
        section(r, root, "users", CONFIG_TYPE_LIST,
                "a list of groups: ( { name = ..., password_hash = ..., rights = ... }, ... )");
    int count = all ? config_setting_length(all) : 0;
    if (all && (count == 0 || count > CONF_USERS_MAX)) {
        setting_wrong(r, all, "there are %d users; at least 1 and at most %d are taken", count,
                      CONF_USERS_MAX);
        return;
    }
    c->users = make_array(r, (size_t)count + 1, sizeof *c->users);
    c->user_count = c->users ? (size_t)count : 0;
    for (int i = 0; c->users && i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(all, (unsigned)i);
        if (config_setting_is_group(group))
            read_user(r, group, &c->users[i]);
        else
            setting_wrong(r, group, "a user takes a group: { name = ..., rights = ... }");
    }
}

void reader_read(struct reading *r, const config_setting_t *root)
{
    struct scopes top = {.list = {{GROUP_TOP, r->conf}}, .count = 1};
    setting_defaults(r, GROUP_TOP, NULL, r->conf);
    setting_defaults(r, GROUP_POLICY, NULL, &r->conf->defaults);
    read_options(r, &top, root);
    read_tls(r, root);
    read_tier(r, root);
    read_defaults(r, root);
    read_backends(r, root);
    read_loaders(r, root);
    read_users(r, root);
}
