#include "conf/checks.h"

#include "base/address.h"
#include "base/glob.h"
#include "conf/conf_check.h"
#include "conf/conf_units.h"
#include "conf/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SHARD_LEAST   ((int64_t)48 << 10) /* bytes of memory; the store's bounds */
#define SHARD_MOST    ((int64_t)4 << 30)
#define OUTPUT_BESIDE ((int64_t)64 << 10) /* a value, answers that wait before it */

/* ---- pairs of options ---- */

/* A problem of a group stands where the option is written, else where the group begins. */
static const config_setting_t *place_of(const config_setting_t *group, const char *name,
                                        const char *other)
{
    const config_setting_t *s = config_setting_get_member(group, name);
    if (!s)
        s = config_setting_get_member(group, other);
    return s ? s : group;
}

/* The same for several. */
static const config_setting_t *first_place(const config_setting_t *group, const char *const *names)
{
    for (; *names; names++)
        if (config_setting_get_member(group, *names))
            return config_setting_get_member(group, *names);
    return group;
}

static bool writes(const config_setting_t *group, const char *name)
{
    return config_setting_get_member(group, name) != NULL;
}

/* Durations of one group; told only where one of the two is written there: what a loader inherits
 * is told where it comes from. */
static void check_order(struct reading *r, const config_setting_t *group, const char *less,
                        int64_t less_ms, const char *more, int64_t more_ms)
{
    const struct conf_check c = {.r = r, .group = group};
    conf_check_order(&c, less, less_ms, more, more_ms);
}

static void check_policy(struct reading *r, const config_setting_t *group, const struct policy *p)
{
    check_order(r, group, "stale_wait", p->stale_wait_ms, "wait_timeout", p->wait_timeout_ms);
    check_order(r, group, "retry_base", p->retry_base_ms, "retry_cap", p->retry_cap_ms);
    check_order(r, group, "backoff_base", p->backoff_base_ms, "backoff_cap", p->backoff_cap_ms);
    check_order(r, group, "load_timeout", p->load_timeout_ms, "floor_ttl", r->conf->floor_ttl_ms);
    /* A short load_timeout alone just leaves no time for a retry; a written wait is meant. */
    if (p->retries > 0 && writes(group, "retry_base"))
        check_order(r, group, "retry_base", p->retry_base_ms, "load_timeout", p->load_timeout_ms);
}

static void check_top(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    char a[CONF_SHOWN_MAX], b[CONF_SHOWN_MAX];
    if ((c->shards & (c->shards - 1)) != 0)
        setting_wrong(r, place_of(root, "shards", "shards"),
                      "\"shards\" is %lld; it must be a power of two", (long long)c->shards);
    if ((c->tag_slots & (c->tag_slots - 1)) != 0)
        setting_wrong(r, place_of(root, "tag_slots", "tag_slots"),
                      "\"tag_slots\" is %lld; it must be a power of two", (long long)c->tag_slots);
    if (c->memory_bytes / c->shards < SHARD_LEAST)
        setting_wrong(r, place_of(root, "memory", "shards"),
                      "\"memory\" (%s) is too small for %lld shards; they need %s",
                      conf_units_show_size(c->memory_bytes, a), (long long)c->shards,
                      conf_units_show_size(c->shards * SHARD_LEAST, b));
    if (c->memory_bytes / c->shards > SHARD_MOST)
        setting_wrong(r, place_of(root, "memory", "shards"),
                      "\"memory\" (%s) is too large for %lld shards; they hold %s",
                      conf_units_show_size(c->memory_bytes, a), (long long)c->shards,
                      conf_units_show_size(c->shards * SHARD_MOST, b));
    if (c->max_frame < c->max_value + c->max_key)
        setting_wrong(r, place_of(root, "max_frame", "max_value"),
                      "\"max_frame\" (%s) cannot hold a \"max_value\" (%s) and a \"max_key\"",
                      conf_units_show_size(c->max_frame, a), conf_units_show_size(c->max_value, b));
    if (c->max_batch > c->max_parked)
        setting_wrong(r, place_of(root, "max_parked", "max_batch"),
                      "\"max_batch\" (%lld) is above \"max_parked\" (%lld): a get_many of so many "
                      "keys could not wait for them",
                      (long long)c->max_batch, (long long)c->max_parked);
}

/* Bounds of what clients hold that could not be kept beside each other. */
static void check_clients(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    char a[CONF_SHOWN_MAX], b[CONF_SHOWN_MAX], n[CONF_SHOWN_MAX];
    int64_t one = c->max_frame + c->max_output;
    if (c->max_output < c->max_value + OUTPUT_BESIDE)
        setting_wrong(r, place_of(root, "max_output", "max_value"),
                      "\"max_output\" (%s) cannot hold a \"max_value\" (%s) and 64kb beside it",
                      conf_units_show_size(c->max_output, a),
                      conf_units_show_size(c->max_value, b));
    if (c->client_memory < 2 * one)
        setting_wrong(r,
                      first_place(root, (const char *const[]){"client_memory", "max_output",
                                                              "max_frame", NULL}),
                      "\"client_memory\" (%s) cannot hold twice a \"max_frame\" (%s) and a "
                      "\"max_output\" (%s)",
                      conf_units_show_size(c->client_memory, a),
                      conf_units_show_size(c->max_frame, b),
                      conf_units_show_size(c->max_output, n));
    if (c->max_frame_before_auth > c->max_frame)
        setting_wrong(r, place_of(root, "max_frame_before_auth", "max_frame"),
                      "\"max_frame_before_auth\" (%s) is above \"max_frame\" (%s)",
                      conf_units_show_size(c->max_frame_before_auth, a),
                      conf_units_show_size(c->max_frame, b));
}

/* ---- addresses ---- */

static void check_listen(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    const config_setting_t *s = place_of(root, "listen", "listen");
    for (size_t i = 0; i < c->listen_count; i++) {
        const char *text = c->listen[i];
        struct address a;
        struct err why;
        if (address_read(&a, text, &why) != 0)
            setting_wrong(r, s, "\"listen\": %s", why.text);
        else
            users_check_address(r, root, &a, text);
        size_t size = strlen(text);
        bool any_port = size > 2 && strcmp(text + size - 2, ":0") == 0;
        for (size_t k = 0; k < i && !any_port; k++)
            if (strcmp(text, c->listen[k]) == 0)
                setting_wrong(r, s, "\"listen\" has \"%.140s\" twice", text);
    }
}

/* ---- files ---- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool leaves_folder(const char *path)
{
    if (path[0] == '/')
        return true;
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

static void check_script(struct reading *r, const config_setting_t *group,
                         const struct conf_loader *l, bool folder_there)
{
    const config_setting_t *s = place_of(group, "script", "script");
    if (leaves_folder(l->script)) {
        setting_wrong(r, s, "\"script\": \"%.128s\" leaves the folder of scripts", l->script);
        return;
    }
    char path[8192];
    int n = snprintf(path, sizeof path, "%s/%s", r->conf->scripts_dir, l->script);
    if (folder_there && (n >= (int)sizeof path || !conf_check_is_file(path)))
        setting_wrong(r, s, "\"script\": there is no file %s/%s", r->conf->scripts_dir, l->script);
}

/* The nearest star's name, for a parameter of a name that the pattern does not have; or none. */
static const char *near_star(struct slice name, const struct glob_star *stars, unsigned count,
                             char room[GLOB_STARS_MAX + 1][CONF_NAME_MAX + 1])
{
    const char *names[GLOB_STARS_MAX];
    size_t named = 0;
    for (unsigned i = 0; i < count; i++) {
        if (stars[i].type == GLOB_ANY || stars[i].name.size > CONF_NAME_MAX)
            continue;
        snprintf(room[named], sizeof room[named], "%.*s", SLICE_ARG(stars[i].name));
        names[named] = room[named];
        named++;
    }
    snprintf(room[GLOB_STARS_MAX], sizeof room[0], "%.*s", SLICE_ARG(name));
    return conf_nearest(room[GLOB_STARS_MAX], names, named);
}

/* What is no star of the pattern cannot be a parameter. */
static void check_parameters(struct reading *r, const config_setting_t *group,
                             const struct conf_loader *l)
{
    const config_setting_t *place = place_of(group, "sql", "sql");
    struct glob_star stars[GLOB_STARS_MAX];
    char room[GLOB_STARS_MAX + 1][CONF_NAME_MAX + 1];
    const char *at, *end;
    int number, highest = 0;
    if (!l->pattern || glob_check(slice_str(l->pattern), NULL) != 0)
        return; /* what is wrong with it is told elsewhere */
    unsigned count = glob_stars(slice_str(l->pattern), stars);
    for (const char *sql = l->sql; (at = conf_sql_next(sql, &end, &number)) != NULL; sql = end) {
        struct slice name = slice_of(at, (size_t)(end - at));
        highest = number > highest ? number : highest;
        if (number > 0 || conf_sql_number(name, number, stars, count) > 0)
            continue;
        if (at[1] == '0') {
            setting_wrong(r, place, "\"sql\" has $0, but parameters count from $1");
            continue;
        }
        const char *near = near_star(slice_of(at + 1, name.size - 1), stars, count, room);
        setting_wrong(r, place,
                      "\"sql\" has %.*s, but the pattern \"%.128s\" has no star of that name%s%s%s",
                      SLICE_ARG(name), l->pattern, near ? "; did you mean $" : "", near ? near : "",
                      near ? "?" : "");
    }
    if (highest > (int)count)
        setting_wrong(r, place, "\"sql\" has $%d, but the pattern \"%.128s\" has %u star%s",
                      highest > 65535 ? 65535 : highest, l->pattern, count, count == 1 ? "" : "s");
}

/* SQL can be asked of a source that speaks it. */
static void check_speaks_sql(struct reading *r, const config_setting_t *group,
                             const struct conf_loader *l)
{
    int at = conf_backend_index(r->conf, l->backend);
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
        r, place_of(group, "sql", "sql"),
        "\"sql\": the backend \"%.64s\" does not speak SQL, its driver is %s; these do: %s",
        l->backend, driver->name, all[0] ? all : "none");
}

/* A script or SQL, and what goes with SQL only. */
static void check_source(struct reading *r, const config_setting_t *group,
                         const struct conf_loader *l)
{
    if (writes(group, "script") == writes(group, "sql"))
        setting_wrong(r, place_of(group, "sql", "script"),
                      writes(group, "sql") ? "a loader has \"script\" or \"sql\", not both"
                                           : "a loader needs \"script\" or \"sql\"");
    if (!l->sql) {
        if (writes(group, "version"))
            setting_wrong(r, place_of(group, "version", "version"),
                          "\"version\" goes with \"sql\"; a script returns its version");
        return;
    }
    if (l->jit)
        setting_wrong(r, place_of(group, "jit", "jit"), "\"jit\" goes with \"script\"");
    if (!l->backend)
        setting_wrong(r, place_of(group, "sql", "sql"), "\"sql\" needs a \"backend\"");
    else
        check_speaks_sql(r, group, l);
    check_parameters(r, group, l);
}

/* ---- backends and loaders ---- */

static void check_backend(struct reading *r, const config_setting_t *group,
                          const struct conf_backend *b)
{
    const struct conf_check c = {.r = r, .group = group};
    if (b->min_loads > b->max_loads && (writes(group, "min_loads") || writes(group, "max_loads")))
        setting_wrong(r, place_of(group, "min_loads", "max_loads"),
                      "\"min_loads\" (%lld) is above \"max_loads\" (%lld)", (long long)b->min_loads,
                      (long long)b->max_loads);
    if (b->driver && b->driver->check)
        b->driver->check(&c, b);
}

/* A backend that another option names. */
static void check_named_backend(struct reading *r, const config_setting_t *group,
                                const char *option, const char *named)
{
    const struct conf *c = r->conf;
    const char *names[CONF_BACKENDS_MAX];
    size_t count = 0;
    if (!named || conf_backend_index(c, named) >= 0)
        return;
    for (; count < c->backend_count; count++)
        names[count] = c->backends[count].name;
    const char *near = conf_nearest(named, names, count);
    setting_wrong(r, place_of(group, option, option), "there is no backend \"%.64s\"%s%s%s", named,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* A load that a replica cannot answer asks the primary once: so that has to be one. */
static void check_primary(struct reading *r, const config_setting_t *group,
                          const struct conf_backend *b)
{
    const struct conf *c = r->conf;
    int at = b->primary ? conf_backend_index(c, b->primary) : -1;
    if (at < 0)
        return; /* there is none, or it was told */
    const config_setting_t *s = place_of(group, "primary", "primary");
    const struct conf_backend *primary = &c->backends[at];
    if (primary == b)
        setting_wrong(r, s, "\"primary\": \"%.64s\" names itself", b->name);
    else if (primary->primary)
        setting_wrong(r, s,
                      "\"primary\": \"%.64s\" has a \"primary\" of its own (\"%.64s\"); name the "
                      "backend that takes the writes",
                      primary->name, primary->primary);
}

static int pattern_order(const void *left, const void *right)
{
    const struct conf_loader *const *a = left, *const *b = right;
    int order = glob_order(slice_str((*a)->pattern), slice_str((*b)->pattern));
    return order ? order : (*a > *b) - (*a < *b);
}

/* groups: the list of loaders, in the order of conf->loaders. */
static void check_patterns(struct reading *r, const config_setting_t *groups)
{
    const struct conf *c = r->conf;
    const struct conf_loader **sorted = malloc((c->loader_count + 1) * sizeof *sorted);
    if (!sorted) {
        r->problems->nomem = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < c->loader_count; i++) {
        const config_setting_t *group = config_setting_get_elem(groups, (unsigned)i);
        struct err e;
        if (!c->loaders[i].pattern)
            continue;
        if (glob_check(slice_str(c->loaders[i].pattern), &e) == 0)
            sorted[count++] = &c->loaders[i];
        else
            setting_wrong(r, place_of(group, "pattern", "pattern"), "\"pattern\": %s", e.text);
    }
    qsort(sorted, count, sizeof *sorted, pattern_order);
    for (size_t i = 1; i < count; i++) {
        const struct conf_loader *first = sorted[i - 1], *again = sorted[i];
        if (glob_order(slice_str(first->pattern), slice_str(again->pattern)) != 0)
            continue;
        const config_setting_t *group =
            config_setting_get_elem(groups, (unsigned)(again - c->loaders));
        bool same = strcmp(first->pattern, again->pattern) == 0;
        setting_wrong(r, place_of(group, "pattern", "pattern"),
                      same ? "pattern \"%.128s\" is that of the loader at %s:%d too"
                           : "pattern \"%.128s\" matches the same keys as that of the loader at "
                             "%s:%d",
                      again->pattern, first->file, first->line);
    }
    free(sorted);
}

static void check_loaders(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    const config_setting_t *groups = config_setting_get_member(root, "loaders");
    if (c->loader_count == 0)
        return;
    bool folder_there = is_folder(c->scripts_dir), needs_folder = false;
    for (size_t i = 0; i < c->loader_count; i++) {
        const config_setting_t *group = config_setting_get_elem(groups, (unsigned)i);
        const struct conf_loader *l = &c->loaders[i];
        if (!config_setting_is_group(group))
            continue;
        check_policy(r, group, &l->policy);
        check_named_backend(r, group, "backend", l->backend);
        check_source(r, group, l);
        if (l->script && !l->sql)
            check_script(r, group, l, folder_there);
        needs_folder |= !l->sql;
    }
    if (!folder_there && needs_folder)
        setting_wrong(r, place_of(root, "scripts", "loaders"), "\"scripts\": there is no folder %s",
                      c->scripts_dir);
    check_patterns(r, groups);
}

static void check_shares(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    if (c->auth_share_address > c->auth_share_network &&
        (writes(root, "auth_share_address") || writes(root, "auth_share_network")))
        setting_wrong(r, place_of(root, "auth_share_address", "auth_share_network"),
                      "\"auth_share_address\" (%g) is above \"auth_share_network\" (%g)",
                      c->auth_share_address, c->auth_share_network);
}

/* What is about the folder of state means nothing without one, and whoever wrote it relies on
 * it. */
static void check_state(struct reading *r, const config_setting_t *root)
{
    static const char *const about[] = {"snapshot_every", "journal", "journal_bytes"};
    for (size_t i = 0; i < sizeof about / sizeof *about; i++)
        if (!r->conf->state && writes(root, about[i]))
            setting_wrong(r, place_of(root, about[i], about[i]),
                          "\"%s\" needs \"state\", the folder in which the cache is kept",
                          about[i]);
}

void checks_run(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    check_top(r, root);
    check_clients(r, root);
    check_state(r, root);
    check_listen(r, root);
    checks_tls(r, root);
    checks_unix(r, root);
    if (writes(root, "lua") && !is_folder(c->lua_dir))
        setting_wrong(r, place_of(root, "lua", "lua"), "\"lua\": there is no folder %s",
                      c->lua_dir);
    const config_setting_t *defaults = config_setting_get_member(root, "defaults");
    if (defaults && config_setting_is_group(defaults))
        check_policy(r, defaults, &c->defaults);
    for (size_t i = 0; i < c->backend_count; i++) {
        const config_setting_t *all = config_setting_get_member(root, "backends");
        const config_setting_t *group = config_setting_get_member(all, c->backends[i].name);
        check_backend(r, group, &c->backends[i]);
        check_named_backend(r, group, "primary", c->backends[i].primary);
        check_primary(r, group, &c->backends[i]);
    }
    check_loaders(r, root);
    check_order(r, root, "auth_delay", c->auth_delay_ms, "auth_delay_cap", c->auth_delay_cap_ms);
    check_shares(r, root);
    checks_tier(r, root);
    users_check(r, root);
}
