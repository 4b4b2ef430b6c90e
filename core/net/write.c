/* set, invalidate, touch: what changes an entry from outside. */
#include "net/commands.h"

#include "load/spread.h"

static struct put put_by_policy(const struct io *io, struct slice key)
{
    int loader;
    const struct policy *policy = snapshot_policy(io->snapshot, key, &loader);
    return (struct put){
        .key = key,
        .hash = store_hash(io->options.store, key),
        .ttl_ms = policy->ttl_ms,
        .stale_ttl_ms = policy->stale_ttl_ms,
        .keep_ms = policy->stale_if_error_ms,
    };
}

static void spread(struct io *io, struct put *p)
{
    int loader;
    double jitter = snapshot_policy(io->snapshot, p->key, &loader)->jitter;
    p->ttl_ms = spread_ms(p->ttl_ms, jitter, &io->rng);
    p->stale_ttl_ms = spread_ms(p->stale_ttl_ms, jitter, &io->rng);
}

void write_set(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct slice key, value;
    struct err e;
    if (params_key(p, &key, &e) != 0 || params_value(p, &value, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct put put = put_by_policy(io, key);
    put.value = value;
    const struct option_spec specs[] = {
        {"ttl_ms", OPTION_MS, &put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_MS, &put.stale_ttl_ms, NULL},
        {"version", OPTION_INT, &put.version, &put.has_version},
    };
    if (params_options(p, specs, 3, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    spread(io, &put);
    if (flights_set(io->options.flights, &put, io->now_ms, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    metrics_inc(io->metrics, M_SETS);
    answer_true(t, true);
}

void write_invalidate(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct slice key;
    struct err e;
    if (params_key(p, &key, &e) != 0 || params_options(p, NULL, 0, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    metrics_inc(io->metrics, M_INVALIDATIONS);
    answer_true(t, flights_invalidate(io->options.flights, key, store_hash(io->options.store, key),
                                      io->now_ms));
}

void write_touch(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct slice key;
    struct err e;
    if (params_key(p, &key, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct put put = put_by_policy(io, key);
    const struct option_spec specs[] = {
        {"ttl_ms", OPTION_MS, &put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_MS, &put.stale_ttl_ms, NULL},
    };
    if (params_options(p, specs, 2, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    spread(io, &put);
    answer_true(t, store_touch(io->options.store, key, put.hash, io->now_ms, put.ttl_ms,
                               put.stale_ttl_ms, put.keep_ms));
}
