/* set, invalidate, touch: what changes an entry from outside. */
#include "net/commands.h"

#include "load/spread.h"
#include "wire/mpw.h"

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
    if (change_set(io->options.changes, &put, io->now_ms, &e) != 0)
        answer_error(t, &e);
    else
        answer_true(t, true);
}

/* One key; 1: an entry was dropped, 0: there was none, or an error. */
static int invalidate(struct io *io, struct slice key, const int64_t *version, struct err *e)
{
    struct invalidation i = {
        .key = key,
        .hash = store_hash(io->options.store, key),
        .now_ms = io->now_ms,
        .version = version,
        .floor_ttl_ms = io->snapshot->conf->floor_ttl_ms,
    };
    bool dropped;
    int rc = change_invalidate(io->options.changes, &i, CAUSE_INVALIDATE, &dropped, e);
    return rc != 0 ? rc : dropped;
}

/* The trailing options of both; *version is NULL where none is given. */
static int invalidate_options(struct params *p, int64_t *room, const int64_t **version,
                              struct err *e)
{
    bool given = false;
    const struct option_spec specs[] = {{"version", OPTION_INT, room, &given}};
    int rc = params_options(p, specs, 1, e);
    *version = given ? room : NULL;
    return rc;
}

void write_invalidate(const struct target *t, struct params *p)
{
    struct slice key;
    struct err e;
    int64_t room;
    const int64_t *version = NULL;
    int rc = params_key(p, &key, &e);
    if (rc == 0)
        rc = invalidate_options(p, &room, &version, &e);
    if (rc == 0)
        rc = invalidate(t->io, key, version, &e);
    if (rc < 0)
        answer_error(t, &e);
    else
        answer_true(t, rc > 0);
}

void write_invalidate_many(const struct target *t, struct params *p)
{
    struct err e;
    int64_t room, dropped = 0;
    const int64_t *version = NULL;
    uint32_t count = 0;
    struct mp_token token = {0};
    struct slice key;
    int rc = params_array(p, &count, &e);
    struct params keys = *p;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        if (mp_next(&p->at, &token) != MP_OK)
            rc = err_set(&e, ERR_BAD_REQUEST, "invalidate_many: the array of keys is malformed");
        else
            rc = params_check_key(p, &token, &key, &e);
    if (rc == 0)
        rc = invalidate_options(p, &room, &version, &e);
    /* All is well formed: from here on it is all keys, or an error that says that some may be left.
     */
    for (uint32_t i = 0; i < count && rc >= 0; i++) {
        if (mp_next(&keys.at, &token) == MP_OK)
            rc = invalidate(t->io, token.bytes, version, &e);
        dropped += rc > 0;
    }
    if (rc < 0) {
        answer_error(t, &e);
        return;
    }
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_int(a.out, dropped));
}

void write_expire(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct slice key;
    struct err e;
    if (params_key(p, &key, &e) != 0 || params_options(p, NULL, 0, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct put put = put_by_policy(io, key);
    answer_true(t, change_expire(io->options.changes, &put, io->now_ms));
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
