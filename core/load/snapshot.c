#include "load/snapshot.h"

#include "base/show.h"
#include "load/jitter.h"
#include "metrics/metrics.h"

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

/* Each field is one number of backend_stats or runtime_stats, as words that any thread may read. */
#define BACKEND_FIELDS(X)                                                                          \
    X(queries)                                                                                     \
    X(failures)                                                                                    \
    X(connects)                                                                                    \
    X(disconnects)                                                                                 \
    X(cancels)                                                                                     \
    X(timeouts)                                                                                    \
    X(groups)                                                                                      \
    X(groups_failed)                                                                               \
    X(reruns)                                                                                      \
    X(descriptions)                                                                                \
    X(stale)                                                                                       \
    X(lost)                                                                                        \
    X(retired)                                                                                     \
    X(grown)                                                                                       \
    X(unprepared)                                                                                  \
    X(statements_shared)                                                                           \
    X(statements_alone)                                                                            \
    X(connections)                                                                                 \
    X(idle)                                                                                        \
    X(in_flight)                                                                                   \
    X(queued)
#define SCRIPT_FIELDS(X)                                                                           \
    X(runs)                                                                                        \
    X(failures)                                                                                    \
    X(cpu_stops)                                                                                   \
    X(memory_stops)                                                                                \
    X(call_stops)                                                                                  \
    X(collections)                                                                                 \
    X(replaced)                                                                                    \
    X(memory_bytes)                                                                                \
    X(parked)

#define WORD(field) _Atomic uint64_t field;
#define TELL(field) atomic_store_explicit(&to->field, now->field, memory_order_relaxed);
#define ADD(field)  sum->field += atomic_load_explicit(&from->field, memory_order_relaxed);

struct backend_numbers {
    BACKEND_FIELDS(WORD)
};

struct script_numbers {
    SCRIPT_FIELDS(WORD)
};

void snapshot_tell_backend(struct snapshot *s, size_t thread, size_t backend,
                           const struct backend_stats *now)
{
    struct backend_numbers *to = &s->backends[thread * s->conf->backend_count + backend];
    BACKEND_FIELDS(TELL)
}

void snapshot_tell_scripts(struct snapshot *s, size_t thread, const struct runtime_stats *now)
{
    struct script_numbers *to = &s->scripts[thread];
    SCRIPT_FIELDS(TELL)
}

void snapshot_ask_backend(const struct snapshot *s, size_t backend, struct backend_stats *sum)
{
    *sum = (struct backend_stats){0};
    for (size_t t = 0; t < (size_t)s->conf->loader_threads; t++) {
        const struct backend_numbers *from = &s->backends[t * s->conf->backend_count + backend];
        BACKEND_FIELDS(ADD)
    }
}

void snapshot_ask_scripts(const struct snapshot *s, struct runtime_stats *sum)
{
    *sum = (struct runtime_stats){0};
    for (size_t t = 0; t < (size_t)s->conf->loader_threads; t++) {
        const struct script_numbers *from = &s->scripts[t];
        SCRIPT_FIELDS(ADD)
    }
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

static void add_totals(struct loader_counters *to, const struct loader_counters *from)
{
#define ADD_TOTAL(name) loader_count(&to->name, atomic_load(&from->name));
    LOADER_TOTALS(ADD_TOTAL)
#undef ADD_TOTAL
    for (int i = 0; i < REASON_COUNT; i++)
        loader_count(&to->by_reason[i], atomic_load(&from->by_reason[i]));
    for (int i = 0; i < ERR_COUNT; i++)
        loader_count(&to->failures[i], atomic_load(&from->failures[i]));
}

/* Threads that are no more leave theirs to those that are. */
static void carry_totals(struct snapshot *s, const struct snapshot *before)
{
    size_t threads = (size_t)s->conf->loader_threads;
    for (size_t i = 0; i < s->conf->loader_count; i++)
        for (size_t k = 0; k < before->conf->loader_count; k++) {
            if (strcmp(s->conf->loaders[i].pattern, before->conf->loaders[k].pattern) != 0)
                continue;
            for (size_t t = 0; t < (size_t)before->conf->loader_threads; t++)
                add_totals(snapshot_counters(s, t % threads, i), snapshot_counters(before, t, k));
        }
}

static struct feed_numbers *find_numbers(const struct snapshot *before, const char *backend)
{
    int k = before ? conf_backend_index(before->conf, backend) : -1;
    return k >= 0 && before->conf->backends[k].feed ? before->feeds[k] : NULL;
}

static int share_feeds(struct snapshot *s, const struct snapshot *before)
{
    for (size_t i = 0; i < s->conf->backend_count; i++) {
        const struct conf_backend *b = &s->conf->backends[i];
        struct feed_numbers *f = b->feed ? find_numbers(before, b->name) : NULL;
        if (!f && !(f = calloc(1, sizeof *f)))
            return ERR_NOMEM;
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
        s->feeds[i] = f;
    }
    return 0;
}

static void unshare_feeds(struct snapshot *s, size_t count)
{
    for (size_t i = 0; s->feeds && i < count; i++)
        if (s->feeds[i] &&
            atomic_fetch_sub_explicit(&s->feeds[i]->refs, 1, memory_order_acq_rel) == 1)
            free(s->feeds[i]);
    free(s->feeds);
}

static int find_slot(const struct snapshot *s, const char *pattern)
{
    for (size_t slot = 1; slot < s->owner_count; slot++)
        if (strcmp(s->owners[slot], pattern) == 0)
            return (int)slot;
    return 0;
}

/* The slots that were given out before stay with their patterns; then new patterns get theirs. */
static int give_slots(struct snapshot *s, const struct snapshot *before)
{
    size_t loaders = s->conf->loader_count, had = before ? before->owner_count : 1;
    s->owners = calloc(had + loaders, sizeof *s->owners);
    s->owner_of = calloc(loaders + 1, sizeof *s->owner_of);
    if (!s->owners || !s->owner_of)
        return ERR_NOMEM;
    s->owner_count = 1;
    for (size_t slot = 1; slot < had; slot++, s->owner_count++)
        if (!(s->owners[slot] = strdup(before->owners[slot])))
            return ERR_NOMEM;
    for (size_t i = 0; i < loaders; i++) {
        const char *pattern = s->conf->loaders[i].pattern;
        int slot = find_slot(s, pattern);
        if (slot == 0 && s->owner_count < METRIC_OWNERS) {
            if (!(s->owners[s->owner_count] = strdup(pattern)))
                return ERR_NOMEM;
            slot = (int)s->owner_count++;
        }
        s->owner_of[i] = (uint16_t)slot;
    }
    return 0;
}

uint16_t snapshot_owner(const struct snapshot *s, int loader)
{
    return loader < 0 ? 0 : s->owner_of[loader];
}

struct refresh snapshot_refresh(const struct snapshot *s, int loader, int64_t ttl_ms,
                                uint32_t load_us, double last, struct rng *rng)
{
    if (loader < 0)
        return (struct refresh){.owner = 0};
    const struct policy *p = &s->conf->loaders[loader].policy;
    return (struct refresh){
        .ahead_ms = jitter_ahead_ms(ttl_ms, p->refresh_ahead, last, load_us, rng),
        .owner = s->owner_of[loader],
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
    size_t threads = (size_t)conf->loader_threads;
    s->counters = calloc(count + 1, sizeof *s->counters);
    s->facts = calloc(conf->loader_count + 1, sizeof *s->facts);
    s->backends = calloc(threads * conf->backend_count + 1, sizeof *s->backends);
    s->scripts = calloc(threads, sizeof *s->scripts);
    s->feeds = calloc(conf->backend_count + 1, sizeof *s->feeds);
    int rc = s->counters && s->facts && s->backends && s->scripts && s->feeds
                 ? compile_routes(s, e)
                 : err_set(e, ERR_NOMEM, "no memory for counters");
    if (rc == 0 && share_feeds(s, before) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for the feeds of %zu backends", conf->backend_count);
    if (rc == 0 && give_slots(s, before) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for %zu patterns", conf->loader_count);
    if (rc == 0)
        rc = make_tls(s, e);
    if (rc != 0) {
        unshare_feeds(s, conf->backend_count);
        s->feeds = NULL;
        s->conf = NULL; /* still the caller's */
        snapshot_unref(s);
        return rc;
    }
    if (before)
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
    tls_context_free(s->tls);
    for (size_t slot = 1; slot < s->owner_count; slot++)
        free(s->owners[slot]);
    free(s->owners);
    free(s->owner_of);
    free(s->counters);
    free(s->facts);
    free(s->backends);
    free(s->scripts);
    if (s->conf)
        unshare_feeds(s, s->conf->backend_count);
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
    return feed >= 0 && feed_numbers_cut(s->feeds[feed]);
}
