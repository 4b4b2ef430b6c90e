#include "net/dispatch.h"

#include "base/show.h"
#include "net/commands.h"
#include "net/job.h"
#include "net/rights_walk.h"

struct method {
    const char *name;
    size_t size;
    uint32_t least, most; /* arguments, the map of options included */
    const char *usage;
    unsigned right;
    enum rights_names names;
    void (*run)(const struct target *t, struct params *p);
};

#define METHOD(name, least, most, usage, needs, run)                                               \
    {                                                                                              \
        name, sizeof name - 1 + 0 * sizeof(char[sizeof name > 3 ? 1 : -1]), least, most, usage,    \
            needs, run                                                                             \
    }
#define READ(names)       RIGHT_READ, NAMES_##names
#define WRITE(names)      RIGHT_WRITE, NAMES_##names
#define INVALIDATE(names) RIGHT_INVALIDATE, NAMES_##names
#define ADMIN             RIGHT_ADMIN, NAMES_NOTHING
#define ANYBODY           RIGHT_ANYBODY, NAMES_NOTHING

static void hello(const struct target *t, struct params *p);

/* The most frequent first. */
static const struct method methods[] = {
    METHOD("get", 1, 2, "(key, options?)", READ(KEY), read_get),
    METHOD("get_entry", 1, 2, "(key, options?)", READ(KEY), read_get_entry),
    METHOD("get_many", 1, 2, "(keys, options?)", READ(KEYS), read_get_many),
    METHOD("set", 2, 3, "(key, value, options?)", WRITE(KEY), key_change_set),
    METHOD("put", 2, 3, "(key, value, options?)", WRITE(KEY), write_request_put),
    METHOD("delete", 1, 2, "(key, options?)", WRITE(KEY), write_request_delete),
    METHOD("invalidate", 1, 2, "(key, options?)", INVALIDATE(KEY), key_change_invalidate),
    METHOD("invalidate_many", 1, 2, "(keys, options?)", INVALIDATE(KEYS),
           key_change_invalidate_many),
    METHOD("invalidate_tag", 1, 2, "(tag or [tags], options?)", INVALIDATE(TAGS),
           bulk_change_invalidate_tag),
    METHOD("invalidate_match", 1, 2, "(pattern, options?)", INVALIDATE(PATTERN),
           bulk_change_invalidate_match),
    METHOD("expire", 1, 2, "(key, options?)", INVALIDATE(KEY), key_change_expire),
    METHOD("expire_many", 1, 2, "(keys, options?)", INVALIDATE(KEYS), bulk_change_expire_many),
    METHOD("expire_tag", 1, 2, "(tag or [tags], options?)", INVALIDATE(TAGS),
           bulk_change_expire_tag),
    METHOD("expire_match", 1, 2, "(pattern, options?)", INVALIDATE(PATTERN),
           bulk_change_expire_match),
    METHOD("peek", 1, 2, "(key, options?)", READ(KEY), read_peek),
    METHOD("refresh", 1, 2, "(key, options?)", INVALIDATE(KEY), read_refresh),
    METHOD("touch", 1, 2, "(key, options?)", WRITE(KEY), key_change_touch),
    METHOD("subscribe", 1, 1, "({keys, patterns, tags})", READ(WISHES), subscribe_subscribe),
    METHOD("unsubscribe", 0, 1, "({keys, patterns, tags}?)", READ(NOTHING), subscribe_unsubscribe),
    METHOD("ping", 0, 1, "(options?)", ANYBODY, admin_ping),
    METHOD("hello", 0, 1, "(options?)", ANYBODY, hello),
    METHOD("auth", 2, 2, "(name, password)", ANYBODY, auth_auth),
    METHOD("stats", 0, 1, "(options?)", ADMIN, stats_answer),
    METHOD("loaders", 0, 1, "(options?)", ADMIN, stats_loaders),
    METHOD("reload", 0, 1, "(options?)", ADMIN, admin_reload),
    METHOD("snapshot", 0, 1, "(options?)", ADMIN, admin_snapshot),
    METHOD("lift_floors", 1, 1, "({key}, {match} or {all = true})", ADMIN, bulk_change_lift_floors),
};

enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

/* No name is shorter than three bytes, and a call for so few takes longer than to compare them. */
static bool is_named(const struct method *m, struct slice name)
{
    const char *a = m->name, *b = name.data;
    return m->size == name.size && a[0] == b[0] && a[1] == b[1] && a[2] == b[2] &&
           (m->size == 3 || memcmp(a + 3, b + 3, m->size - 3) == 0);
}

static const struct method *find(struct slice name)
{
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (is_named(&methods[i], name))
            return &methods[i];
    return NULL;
}

/* The name of the i-th method; NULL past the last one. */
static const char *name_of(size_t i)
{
    return i < METHOD_COUNT ? methods[i].name : NULL;
}

static void hello(const struct target *t, struct params *p)
{
    admin_hello(t, p, name_of);
}

void dispatch_ahead(const struct io *io, struct rpc_msg *msgs, unsigned count)
{
    const struct store *s = io->options.store;
    for (unsigned i = 0; i < count; i++) {
        struct rpc_msg *m = &msgs[i];
        const struct mp_token *key = &m->first;
        if (!m->behind_first || (key->type != MP_STR && key->type != MP_BIN))
            continue;
        m->first_hash = store_hash(s, key->bytes);
        store_prefetch(s, m->first_hash);
    }
    for (unsigned i = 0; i < count; i++)
        if (msgs[i].first_hash)
            store_prefetch_entry(s, msgs[i].first_hash);
}

/* ---- rights ---- */

#define AT_ONCE     4096 /* bytes of params that are looked through at once */
#define RIGHTS_EACH 16   /* texts of one step */

static void run(const struct target *t, const struct method *method, const struct rpc_msg *m)
{
    struct params p;
    params_init(&p, method->name, m, t->io->snapshot->conf);
    method->run(t, &p);
}

static void refuse(const struct target *t, const struct err *e)
{
    metrics_inc(t->io->metrics, M_DENIED);
    answer_error(t, e);
}

/* A request that names so much that the look at its rights is done in slices. */
struct command_job {
    struct job job;
    const struct method *method;
    struct rpc_msg msg;
    struct rights_walk rights;
    uint64_t generation; /* of the configuration that they are looked up in */
    bool free;           /* no further look is needed */
};

/* Begins the look at its rights, as they are now. */
static int call_begin(struct command_job *call, struct err *e)
{
    const struct conn *c = call->job.target.conn;
    const struct snapshot *now = c->io->snapshot;
    call->generation = now->generation;
    call->free = (call->method->right & c->session.may) != 0;
    rights_begin(&call->rights, call->method->names, &call->msg, (size_t)now->conf->max_batch);
    return call->free ? 0 : rights_group(c->session.user, call->method->right, call->msg.method, e);
}

/* What is looked at and what runs are of one configuration: after a reload it begins again. */
static bool call_step(struct job *j)
{
    struct command_job *call = container_of(j, struct command_job, job);
    const struct conn *c = j->target.conn;
    struct err e;
    int rc = call->generation != c->io->snapshot->generation ? call_begin(call, &e) : 0;
    for (int i = 0; i < RIGHTS_EACH && rc == 0; i++)
        if (call->free || (!rights_step(&call->rights, c->session.user, &rc, &e) && rc == 0)) {
            run(&j->target, call->method, &call->msg);
            return false;
        }
    if (rc != 0)
        refuse(&j->target, &e);
    return rc == 0;
}

static void call_moved(struct job *j, const char *from, const char *to)
{
    struct command_job *call = container_of(j, struct command_job, job);
    struct rpc_msg *m = &call->msg;
    job_move_slice(&m->method, from, to);
    job_move_slice(&m->params, from, to);
    job_move_slice(&call->rights.method, from, to);
    job_move_reader(&call->rights.at, from, to);
    for (uint32_t i = 0; i < m->end_count; i++)
        m->ends[i] = to + (m->ends[i] - from);
    m->behind_first = NULL;
    m->first_hash = 0;
}

static void check_and_run(const struct target *t, const struct method *method,
                          const struct rpc_msg *m)
{
    static const struct job_kind kind = {sizeof(struct command_job), call_step, call_moved, NULL};
    struct command_job call = {.job = {.kind = &kind, .target = *t}, .method = method, .msg = *m};
    struct err e;
    if (m->params.size <= AT_ONCE) {
        size_t max_batch = (size_t)t->io->snapshot->conf->max_batch;
        if (rights_check(t->conn->session.user, method->right, method->names, m, max_batch, &e) ==
            0)
            run(t, method, m);
        else
            refuse(t, &e);
    } else if (call_begin(&call, &e) == 0) {
        const char *start = m->method.data, *end = m->params.data + m->params.size;
        job_start(&call.job, slice_of(start, (size_t)(end - start)));
    } else {
        refuse(t, &e);
    }
}

void dispatch(struct conn *c, const struct rpc_msg *m)
{
    struct io *io = c->io;
    struct target t = {
        .io = io,
        .conn = c,
        .msgid = m->msgid,
        .notify = m->kind == RPC_NOTIFICATION,
    };
    metrics_inc(io->metrics, M_REQUESTS);
    const struct method *method = find(m->method);
    struct err e;
    if (!method) {
        char text[SHOW_KEY_TEXT];
        err_set(&e, ERR_UNKNOWN_METHOD, "%s: no such method; hello lists them",
                show_key(text, m->method));
        answer_error(&t, &e);
        return;
    }
    if (m->param_count < method->least || m->param_count > method->most) {
        err_set(&e, ERR_BAD_REQUEST, "%s%s takes %u to %u arguments, got %u", method->name,
                method->usage, method->least, method->most, m->param_count);
        answer_error(&t, &e);
        return;
    }
    if (__builtin_expect(!(method->right & c->session.may), 0)) {
        check_and_run(&t, method, m);
        return;
    }
    run(&t, method, m);
}

/* ---- a server that goes down ---- */

#define RETRY_AFTER_MS 1000 /* when another server may be there */

void dispatch_refusal(struct io *io, struct err *e)
{
    metrics_inc(io->metrics, M_REQUESTS);
    (void)err_set(e, ERR_SHUTDOWN, "the server is going down");
    e->retry_after_ms = RETRY_AFTER_MS;
}

void dispatch_refuse(struct conn *c, const struct rpc_msg *m)
{
    const struct target t = {
        .io = c->io,
        .conn = c,
        .msgid = m->msgid,
        .notify = m->kind == RPC_NOTIFICATION,
    };
    struct err e;
    dispatch_refusal(c->io, &e);
    answer_error(&t, &e);
}
