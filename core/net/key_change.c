/* set, invalidate, invalidate_many, expire, touch: what changes an entry, each key named. */
#include "net/commands.h"

#include "net/job.h"
#include "net/text_list.h"
#include "serve/set.h"
#include "wire/mpw.h"

static struct setter setter_of(struct io *io)
{
    return (struct setter){
        .changes = io->options.changes,
        .snapshot = io->snapshot,
        .rng = &io->rng,
        .now_ms = io->now_ms,
    };
}

/* A set. One of a large value has its room made in slices, for which many small entries may have to
 * leave; then it is stored, as a small one is at once. */
struct set_request {
    struct job job;
    struct set set;
    struct room room;
};

static int read_tags(struct set *s, const struct setter *by, const struct params *p,
                     struct slice packed, struct err *e)
{
    static const struct text_list_rule rule = {
        .what = "tag", .longest = MARKS_TAG_SIZE, .most = MARKS_TAGS_MAX};
    struct text_list tags;
    struct slice tag;
    int rc = text_list_of(&tags, p, packed, &rule, e);
    set_tags(s, packed);
    while (rc == 0 && text_list_next(&tags, &tag))
        set_tag(s, by, tag);
    return rc;
}

static int read_set(struct set *s, const struct setter *by, struct params *p, struct err *e)
{
    struct slice key, value, packed_tags = {0};
    int rc = params_key(p, &key, e);
    if (rc == 0)
        rc = params_value(p, &value, e);
    if (rc != 0)
        return rc;
    set_begin(s, by, key, params_hash(p, by->changes->store, key));
    s->put.value = value;
    const struct option_spec specs[] = {
        {"tags", OPTION_RAW, &packed_tags, &s->has_tags},
        {"ttl_ms", OPTION_TTL, &s->put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_TTL, &s->put.stale_ttl_ms, NULL},
        {"version", OPTION_INT, &s->put.version, &s->put.has_version},
    };
    rc = params_options(p, specs, 4, e);
    if (rc == 0 && packed_tags.size > 0)
        rc = read_tags(s, by, p, packed_tags, e);
    return rc == 0 ? set_check(s, by, e) : rc;
}

static void answer_set(const struct target *t, int rc, const struct err *e)
{
    if (rc != 0)
        answer_error(t, e);
    else
        answer_true(t, true);
}

static bool set_step(struct job *j)
{
    struct set_request *r = container_of(j, struct set_request, job);
    struct setter by = setter_of(j->target.io);
    struct err e;
    if (store_make_room(by.changes->store, &r->set.put, &r->room))
        return true;
    r->set.put.room = &r->room;
    answer_set(&j->target, set_store_later(&r->set, &by, &e), &e);
    entry_unref(r->room.entry);
    return false;
}

static void set_moved(struct job *j, const char *from, const char *to)
{
    struct put *p = &container_of(j, struct set_request, job)->set.put;
    job_move_slice(&p->key, from, to);
    job_move_slice(&p->value, from, to);
    job_move_slice(&p->tag_texts, from, to);
    p->tags = container_of(j, struct set_request, job)->set.slots;
}

static void set_drop(struct job *j)
{
    entry_unref(container_of(j, struct set_request, job)->room.entry);
}

void key_change_set(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct set_request), set_step, set_moved, set_drop};
    struct set_request r;
    struct setter by = setter_of(t->io);
    struct err e;
    int rc = read_set(&r.set, &by, p, &e);
    if (rc == 0 && r.set.put.value.size >= STORE_ROOM_LEAST) {
        r.job = (struct job){.kind = &kind, .target = *t};
        r.room = (struct room){.entry = NULL};
        job_start(&r.job, p->msg->params);
        return;
    }
    if (rc == 0)
        rc = set_store(&r.set, &by, &e);
    answer_set(t, rc, &e);
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

void key_change_invalidate(const struct target *t, struct params *p)
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

void key_change_invalidate_many(const struct target *t, struct params *p)
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

void key_change_expire(const struct target *t, struct params *p)
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

void key_change_touch(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct slice key;
    struct err e;
    if (params_key(p, &key, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct set s;
    struct setter by = setter_of(io);
    set_begin(&s, &by, key, params_hash(p, io->options.store, key));
    const struct option_spec specs[] = {
        {"ttl_ms", OPTION_TTL, &s.put.ttl_ms, NULL},
        {"stale_ttl_ms", OPTION_TTL, &s.put.stale_ttl_ms, NULL},
    };
    if (params_options(p, specs, 2, &e) != 0)
        answer_error(t, &e);
    else
        answer_true(t, set_touch(&s, &by));
}
