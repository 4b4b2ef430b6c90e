#include "load/snapshot.h"

#include <stdlib.h>

static int compile_routes(struct snapshot *s, struct err *e)
{
    const struct conf *conf = s->conf;
    const char **patterns = calloc(conf->loader_count + 1, sizeof *patterns);
    if (!patterns)
        return err_set(e, ERR_NOMEM, "no memory for %zu patterns", conf->loader_count);
    int rc = 0;
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++) {
        patterns[i] = conf->loaders[i].pattern;
        rc = route_check(patterns[i], e);
        if (rc != 0)
            err_prefix(e, "%s:%d", conf->loaders[i].file, conf->loaders[i].line);
    }
    if (rc == 0)
        rc = routes_new(&s->routes, patterns, conf->loader_count, e);
    free(patterns);
    return rc;
}

static void carry_totals(struct snapshot *s, const struct snapshot *before)
{
    if (!before)
        return;
    for (size_t i = 0; i < s->conf->loader_count; i++) {
        for (size_t k = 0; k < before->conf->loader_count; k++) {
            if (strcmp(s->conf->loaders[i].pattern, before->conf->loaders[k].pattern) != 0)
                continue;
            for (size_t t = 0; t < (size_t)s->conf->loader_threads; t++) {
                struct loader_counters *to = snapshot_counters(s, t, i);
                struct loader_counters *from = snapshot_counters(before, t, k);
                atomic_init(&to->loads, atomic_load(&from->loads));
                atomic_init(&to->found, atomic_load(&from->found));
                atomic_init(&to->absent, atomic_load(&from->absent));
                atomic_init(&to->failed, atomic_load(&from->failed));
                atomic_init(&to->refused, atomic_load(&from->refused));
            }
        }
    }
}

int snapshot_new(struct snapshot **out, struct conf *conf, uint64_t generation,
                 const struct snapshot *before, struct err *e)
{
    *out = NULL;
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    atomic_init(&s->refs, 1);
    s->generation = generation;
    s->conf = conf;
    size_t count = (size_t)conf->loader_threads * conf->loader_count;
    s->counters = calloc(count + 1, sizeof *s->counters);
    int rc = s->counters ? compile_routes(s, e) : err_set(e, ERR_NOMEM, "no memory for counters");
    if (rc != 0) {
        s->conf = NULL; /* still the caller's */
        snapshot_unref(s);
        return rc;
    }
    carry_totals(s, before);
    *out = s;
    return 0;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    routes_free(s->routes);
    free(s->counters);
    conf_unref(s->conf);
    free(s);
}

struct loader_counters *snapshot_counters(const struct snapshot *s, size_t thread, size_t loader)
{
    return &s->counters[thread * s->conf->loader_count + loader];
}

const struct policy *snapshot_policy(const struct snapshot *s, struct slice key, int *loader)
{
    *loader = routes_match(s->routes, key, NULL);
    return *loader < 0 ? &s->conf->defaults : &s->conf->loaders[*loader].policy;
}
