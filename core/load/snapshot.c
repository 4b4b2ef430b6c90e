#include "load/snapshot.h"

#include "base/show.h"
#include "load/jitter.h"
#include "metrics/metrics.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(METRIC_OWNERS > CONF_LOADERS_MAX, "a slot for each loader, and one for none");

/* The loader whose pattern another has before it; NULL where there is none. */
static const struct conf_loader *find_twin(const struct conf *conf)
{
    for (size_t i = 1; i < conf->loader_count; i++)
        for (size_t k = 0; k < i; k++)
            if (glob_order(slice_str(conf->loaders[i].pattern),
                           slice_str(conf->loaders[k].pattern)) == 0)
                return &conf->loaders[i];
    return NULL;
}

void snapshot_ask_backend(const struct snapshot *s, size_t backend, struct backend_stats *sum)
{
    live_backend_ask(s->backends[backend], sum);
}

void snapshot_ask_scripts(const struct snapshot *s, struct runtime_stats *sum)
{
    live_scripts_ask(s->scripts, sum);
}

static int compile_routes(struct snapshot *s, struct err *e)
{
    const struct conf *conf = s->conf;
    const char **patterns = calloc(conf->loader_count + 1, sizeof *patterns);
    if (!patterns)
        return err_set(e, ERR_NOMEM, "no memory for %zu patterns", conf->loader_count);
    int rc = 0;
    const struct conf_loader *wrong = NULL;
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++) {
        patterns[i] = conf->loaders[i].pattern;
        rc = route_check(patterns[i], e);
        wrong = rc == 0 ? NULL : &conf->loaders[i];
    }
    if (rc == 0) {
        rc = routes_new(&s->routes, patterns, conf->loader_count, e);
        wrong = rc == 0 ? NULL : find_twin(conf);
    }
    if (wrong)
        err_prefix(e, "%s:%d", wrong->file, wrong->line);
    free(patterns);
    return rc;
}

/* ---- what goes on ---- */

static struct live_loader *find_loader(struct live_loader *const *all, size_t count,
                                       const char *pattern)
{
    for (size_t i = 0; i < count; i++)
        if (all[i] && strcmp(all[i]->pattern, pattern) == 0)
            return all[i];
    return NULL;
}

/* With a slot where one is left, or the one that the pattern has already. */
static struct live_loader *open_loader(struct snapshot *s, const struct snapshot *before,
                                       const char *pattern)
{
    struct live_loader *l = find_loader(s->slots, s->slot_count, pattern);
    if (!l && before)
        l = find_loader(before->loaders, before->conf->loader_count, pattern);
    if (l)
        return live_loader_ref(l);
    bool left = s->slot_count < METRIC_OWNERS;
    l = live_loader_new(pattern, left ? (uint16_t)s->slot_count : 0,
                        (uint32_t)s->conf->loader_threads);
    if (l && left)
        s->slots[s->slot_count++] = live_loader_ref(l);
    return l;
}

static int open_loaders(struct snapshot *s, const struct snapshot *before)
{
    size_t count = s->conf->loader_count, had = before ? before->slot_count : 1;
    s->facts = calloc(count + 1, sizeof *s->facts);
    s->loaders = calloc(count + 1, sizeof *s->loaders);
    s->slots = calloc(had + count, sizeof *s->slots);
    if (!s->facts || !s->loaders || !s->slots)
        return ERR_NOMEM;
    for (s->slot_count = 1; s->slot_count < had; s->slot_count++)
        s->slots[s->slot_count] = live_loader_ref(before->slots[s->slot_count]);
    for (size_t i = 0; i < count; i++)
        if (!(s->loaders[i] = open_loader(s, before, s->conf->loaders[i].pattern)))
            return ERR_NOMEM;
    return 0;
}

/* A feed that was not there begins anew. */
static struct live_backend *find_backend(const struct snapshot *before,
                                         const struct conf_backend *b)
{
    int k = before ? conf_backend_index(before->conf, b->name) : -1;
    bool same = k >= 0 && !before->conf->backends[k].feed == !b->feed;
    return same ? before->backends[k] : NULL;
}

static int open_backends(struct snapshot *s, const struct snapshot *before)
{
    uint32_t threads = (uint32_t)s->conf->loader_threads;
    s->scripts = before ? live_scripts_ref(before->scripts) : live_scripts_new(threads);
    s->backends = calloc(s->conf->backend_count + 1, sizeof *s->backends);
    if (!s->scripts || !s->backends)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->conf->backend_count; i++) {
        struct live_backend *b = find_backend(before, &s->conf->backends[i]);
        s->backends[i] = b ? live_backend_ref(b) : live_backend_new(threads);
        if (!s->backends[i])
            return ERR_NOMEM;
    }
    return 0;
}

uint16_t snapshot_owner(const struct snapshot *s, int loader)
{
    return loader < 0 ? 0 : s->loaders[loader]->slot;
}

struct refresh snapshot_refresh(const struct snapshot *s, int loader, int64_t ttl_ms,
                                uint32_t load_us, double last, struct rng *rng)
{
    if (loader < 0)
        return (struct refresh){.owner = 0};
    const struct policy *p = &s->conf->loaders[loader].policy;
    return (struct refresh){
        .ahead_ms = jitter_ahead_ms(ttl_ms, p->refresh_ahead, last, load_us, rng),
        .owner = snapshot_owner(s, loader),
        .early = p->early_beta > 0,
    };
}

int snapshot_feed_of(const struct conf *conf, const struct conf_loader *l)
{
    int own = l->backend ? conf_backend_index(conf, l->backend) : -1;
    if (own >= 0 && conf->backends[own].feed)
        return own;
    const char *primary = own >= 0 ? conf->backends[own].primary : NULL;
    int other = primary ? conf_backend_index(conf, primary) : -1;
    return other >= 0 && conf->backends[other].feed ? other : -1;
}

static int make_tls(struct snapshot *s, struct err *e)
{
    const struct conf_tls *t = &s->conf->tls;
    if (!t->certificate)
        return 0;
    const struct tls_server_options o = {
        .certificate = t->certificate,
        .key = t->key,
        .client_ca = t->client_ca,
        .ciphers = t->ciphers,
        .only_1_3 = strcmp(t->min_version, "1.3") == 0,
    };
    int rc = tls_context_server(&s->tls, &o, e);
    if (rc != 0)
        err_prefix(e, "%s:%d: tls", t->file, t->line);
    return rc;
}

/* Everything but the configuration. */
static void release(struct snapshot *s)
{
    const struct conf *conf = s->conf;
    routes_free(s->routes);
    tls_context_free(s->tls);
    for (size_t slot = 1; slot < s->slot_count; slot++)
        live_loader_unref(s->slots[slot]);
    for (size_t i = 0; s->loaders && i < conf->loader_count; i++)
        live_loader_unref(s->loaders[i]);
    for (size_t i = 0; s->backends && i < conf->backend_count; i++)
        live_backend_unref(s->backends[i]);
    live_scripts_unref(s->scripts);
    free(s->slots);
    free(s->loaders);
    free(s->backends);
    free(s->facts);
    free(s);
}

int snapshot_new(struct snapshot **out, struct conf *conf, uint64_t generation,
                 const struct snapshot *before, struct err *e)
{
    *out = NULL;
    assert(!before || before->conf->loader_threads == conf->loader_threads);
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    atomic_init(&s->refs, 1);
    s->generation = generation;
    s->conf = conf;
    int rc = compile_routes(s, e);
    if (rc == 0 && open_backends(s, before) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    if (rc == 0 && open_loaders(s, before) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for %zu patterns", conf->loader_count);
    if (rc == 0)
        rc = make_tls(s, e);
    if (rc != 0) {
        release(s); /* conf is still the caller's */
        return rc;
    }
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
    struct conf *conf = s->conf;
    release(s);
    conf_unref(conf);
}

struct loader_counters *snapshot_counters(const struct snapshot *s, size_t thread, size_t loader)
{
    return &s->loaders[loader]->lanes[thread].counters;
}

const struct policy *snapshot_policy(const struct snapshot *s, struct slice key, int *loader)
{
    *loader = routes_match(s->routes, key, NULL);
    return *loader < 0 ? &s->conf->defaults : &s->conf->loaders[*loader].policy;
}

bool snapshot_once(_Atomic bool *told)
{
    return !atomic_exchange(told, true);
}

bool snapshot_gives_tags(const struct snapshot *s, int loader)
{
    return loader >= 0 && atomic_load_explicit(&s->facts[loader].gives_tags, memory_order_relaxed);
}

int snapshot_refuse(const struct snapshot *s, struct slice key, int misfit, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    return err_set(e, ERR_BAD_KEY, "%s: the types of the pattern \"%s\" do not take it",
                   show_key(text, key), s->conf->loaders[ROUTE_MISFIT - misfit].pattern);
}

bool snapshot_is_cut(const struct snapshot *s, int loader)
{
    int feed = loader >= 0 ? snapshot_feed_of(s->conf, &s->conf->loaders[loader]) : -1;
    return feed >= 0 && live_feed_is_cut(&s->backends[feed]->feed);
}
