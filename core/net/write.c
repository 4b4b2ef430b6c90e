/* set, invalidate, expire, touch: what changes an entry from outside. */
#include "net/commands.h"

#include "load/jitter.h"
#include "net/job.h"
#include "net/texts.h"
#include "wire/mpw.h"

static struct put deadlines_of(const struct policy *policy, struct slice key, uint64_t hash)
{
    return (struct put){
        .key = key,
        .hash = hash,
        .ttl_ms = policy->ttl_ms,
        .stale_ttl_ms = policy->stale_ttl_ms,
        .keep_ms = policy->stale_if_error_ms,
    };
}

/* Spreads them; what a client brings is as little fresh as a load while the key's feed is cut. */
static void settle_deadlines(struct io *io, const struct policy *policy, int loader, struct put *p)
{
    p->ttl_ms = jitter_ms(p->ttl_ms, policy->jitter, &io->rng);
    p->stale_ttl_ms = jitter_ms(p->stale_ttl_ms, policy->jitter, &io->rng);
    if (snapshot_is_cut(io->snapshot, loader))
        p->ttl_ms = TTL_OVER;
    p->refresh = snapshot_refresh(io->snapshot, loader, p->ttl_ms, 0, 0, &io->rng);
}

/* A set. One of a large value has its room made in slices, for which many small entries may have to
 * leave; then it is stored, as a small one is at once. */
struct set {
    struct job job;
    struct put put;
    struct room room;
    bool has_tags;
    uint32_t slots[MARKS_TAGS_MAX];
};

static int take_tags(struct set *s, const struct params *p, struct slice packed, struct err *e)
{
    static const struct texts_rule rule = {
        .what = "tag", .longest = MARKS_TAG_SIZE, .most = MARKS_TAGS_MAX};
    const struct marks *marks = s->job.target.io->options.changes->marks;
    struct texts tags;
    struct slice tag;
    int rc = texts_of(&tags, p, packed, &rule, e);
    while (rc == 0 && texts_next(&tags, &tag))
        s->slots[s->put.tag_count++] = marks_slot(marks, tag);
    s->put.tags = s->slots;
    s->put.tag_texts = packed;
    s->put.since = marks_now(marks);
    return rc;
}

/* Loads of its loader give tags, and the client has not said which this value has: every tag is
 * taken for one of them. */
static void carry_any_tag(struct set *s)
{
    s->slots[0] = marks_any_tag(s->job.target.io->options.changes->marks);
    s->put.tag_count = 1;
}

/* Where its key leads. */
struct set_route {
    const struct policy *policy;
    int loader;
};

static struct set_route route_set(const struct set *s, struct slice key)
{
    struct set_route r;
    r.policy = snapshot_policy(s->job.target.io->snapshot, key, &r.loader);
    return r;
}

static int read_set(struct set *s, struct params *p, struct set_route *to, struct err *e)
{
    struct io *io = s->job.target.io;
    struct slice key, value, packed_tags = {0};
    int rc = params_key(p, &key, e);
    if (rc == 0)
        rc = params_value(p, &value, e);
    if (rc != 0)
        return rc;
    *to = route_set(s, key);
    s->put = deadlines_of(to->policy, key, params_hash(p, io->options.store, key));
    s->put.value = value;
    const struct option_spec specs[] = {
        {"tags", OPTION_RAW, &packed_tags, &s->has_tags},
        {"ttl_ms", OPTION_TTL, &s->put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_TTL, &s->put.stale_ttl_ms, NULL},
        {"version", OPTION_INT, &s->put.version, &s->put.has_version},
    };
    rc = params_options(p, specs, 4, e);
    if (rc == 0)
        rc = take_tags(s, p, packed_tags, e);
    if (rc == 0 && route_is_misfit(to->loader))
        rc = snapshot_refuse(io->snapshot, key, to->loader, e);
    if (rc == 0 && !s->has_tags && snapshot_gives_tags(io->snapshot, to->loader))
        carry_any_tag(s);
    return rc;
}

static void store_set(struct set *s, const struct set_route *to)
{
    struct io *io = s->job.target.io;
    struct err e;
    settle_deadlines(io, to->policy, to->loader, &s->put);
    if (change_set(io->options.changes, &s->put, io->now_ms, &e) != 0)
        answer_error(&s->job.target, &e);
    else
        answer_true(&s->job.target, true);
}

/* By the configuration of now, which may be another one than when it came. */
static void store_in_room(struct set *s)
{
    const struct snapshot *now = s->job.target.io->snapshot;
    struct set_route to = route_set(s, s->put.key);
    struct err e;
    if (route_is_misfit(to.loader) && snapshot_refuse(now, s->put.key, to.loader, &e) != 0) {
        answer_error(&s->job.target, &e);
        return;
    }
    if (!s->has_tags && s->put.tag_count == 0 && snapshot_gives_tags(now, to.loader))
        carry_any_tag(s);
    s->put.room = &s->room;
    store_set(s, &to);
}

static bool set_step(struct job *j)
{
    struct set *s = container_of(j, struct set, job);
    if (store_make_room(j->target.io->options.store, &s->put, &s->room))
        return true;
    store_in_room(s);
    entry_unref(s->room.entry);
    return false;
}

static void set_moved(struct job *j, const char *from, const char *to)
{
    struct set *s = container_of(j, struct set, job);
    job_move_slice(&s->put.key, from, to);
    job_move_slice(&s->put.value, from, to);
    job_move_slice(&s->put.tag_texts, from, to);
    s->put.tags = s->slots;
}

static void set_drop(struct job *j)
{
    entry_unref(container_of(j, struct set, job)->room.entry);
}

void write_set(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct set), set_step, set_moved, set_drop};
    struct set s;
    struct set_route to;
    struct err e;
    s.job.target = *t;
    s.has_tags = false;
    if (read_set(&s, p, &to, &e) != 0) {
        answer_error(t, &e);
    } else if (s.put.value.size < STORE_ROOM_LEAST) {
        store_set(&s, &to);
    } else {
        s.job = (struct job){.kind = &kind, .target = *t};
        s.room = (struct room){.entry = NULL};
        job_start(&s.job, p->msg->params);
    }
}

/* The trailing options of invalidate and invalidate_many. */
struct how {
    int64_t version;
    bool has_version, deleted;
};

/* One key; 1: an entry was dropped, 0: there was none, or an error. */
static int invalidate(struct io *io, struct slice key, uint64_t hash, const struct how *how,
                      struct err *e)
{
    struct invalidation i = {
        .key = key,
        .hash = hash,
        .now_ms = io->now_ms,
        .version = how->has_version ? &how->version : NULL,
        .gone = how->deleted,
        .floor_ttl_ms = io->snapshot->conf->floor_ttl_ms,
    };
    bool dropped;
    int rc = change_invalidate(io->options.changes, &i, CAUSE_INVALIDATE, &dropped, e);
    return rc != 0 ? rc : dropped;
}

static int read_how(struct params *p, struct how *how, struct err *e)
{
    *how = (struct how){.version = 0};
    const struct option_spec specs[] = {
        {"version", OPTION_INT, &how->version, &how->has_version},
        {"deleted", OPTION_BOOL, &how->deleted, NULL},
    };
    int rc = params_options(p, specs, 2, e);
    if (rc == 0 && how->deleted && !how->has_version)
        rc = err_set(e, ERR_BAD_REQUEST,
                     "%s: option deleted goes with the version at which the "
                     "row was deleted",
                     p->method);
    return rc;
}

void write_invalidate(const struct target *t, struct params *p)
{
    struct slice key;
    struct err e;
    struct how how;
    int rc = params_key(p, &key, &e);
    if (rc == 0)
        rc = read_how(p, &how, &e);
    if (rc == 0)
        rc = invalidate(t->io, key, params_hash(p, t->io->options.store, key), &how, &e);
    if (rc < 0)
        answer_error(t, &e);
    else
        answer_true(t, rc > 0);
}

struct invalidate_many {
    struct job job;
    struct mp_reader keys; /* that are left */
    uint32_t count;
    struct how how;
    int64_t dropped;
};

#define KEYS_EACH 32 /* keys of one step */

static void invalidate_many_moved(struct job *j, const char *from, const char *to)
{
    job_move_reader(&container_of(j, struct invalidate_many, job)->keys, from, to);
}

/* It is all keys, or an error that says that some may be left. */
static bool invalidate_many_step(struct job *j)
{
    struct invalidate_many *m = container_of(j, struct invalidate_many, job);
    struct io *io = j->target.io;
    struct mp_token token;
    struct err e;
    int rc = 0;
    for (int i = 0; i < KEYS_EACH && m->count > 0 && rc >= 0; i++, m->count--) {
        if (mp_next(&m->keys, &token) == MP_OK)
            rc = invalidate(io, token.bytes, store_hash(io->options.store, token.bytes), &m->how,
                            &e);
        m->dropped += rc > 0;
    }
    if (rc < 0) {
        answer_error(&j->target, &e);
        return false;
    }
    if (m->count > 0)
        return true;
    struct answer a;
    answer_begin(&a, &j->target);
    answer_done(&a, mpw_int(a.out, m->dropped));
    return false;
}

void write_invalidate_many(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct invalidate_many), invalidate_many_step,
                                         invalidate_many_moved, NULL};
    struct invalidate_many m = {.job = {.kind = &kind, .target = *t}};
    struct err e;
    struct mp_token token = {0};
    struct slice key;
    int rc = params_array(p, &m.count, &e);
    m.keys = p->at;
    for (uint32_t i = 0; i < m.count && rc == 0; i++)
        if (mp_next(&p->at, &token) != MP_OK)
            rc = err_set(&e, ERR_BAD_REQUEST, "invalidate_many: the array of keys is malformed");
        else
            rc = params_check_key(p, &token, &key, &e);
    if (rc == 0)
        rc = read_how(p, &m.how, &e);
    if (rc == 0)
        job_start(&m.job, p->msg->params);
    else
        answer_error(t, &e);
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
    uint64_t hash = params_hash(p, io->options.store, key);
    answer_true(t, change_expire(io->options.changes, key, hash, io->now_ms));
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
    int loader;
    const struct policy *policy = snapshot_policy(io->snapshot, key, &loader);
    struct put put = deadlines_of(policy, key, params_hash(p, io->options.store, key));
    const struct option_spec specs[] = {
        {"ttl_ms", OPTION_TTL, &put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_TTL, &put.stale_ttl_ms, NULL},
    };
    if (params_options(p, specs, 2, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    settle_deadlines(io, policy, loader, &put);
    answer_true(t, store_touch(io->options.store, &put, io->now_ms));
}
