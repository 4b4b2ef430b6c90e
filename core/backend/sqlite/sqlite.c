#include "backend/sqlite/sqlite.h"

#include "backend/sql.h"
#include "backend/sqlite/sqlite_conn.h"
#include "backend/sqlite/sqlite_options.h"
#include "sys/pool.h"

#include <stdlib.h>
#include <string.h>

struct sqlite {
    struct backend head;
    struct ev_loop *loop;
    struct pool *pool;
    unsigned threads;
    size_t max_queue;
    size_t jobs_count;
    struct list jobs;    /* with a worker or on the way there */
    struct list refused; /* queries that failed in submit; they hear it in the loop's next turn */
    struct ev_timer refuse;
    struct sqlite_settings settings;
    struct backend_stats stats;
    char text[]; /* of name, path and init */
};

/* What a worker works on: copies, so that the query's owner may leave at any time. */
struct job {
    struct pool_task task;
    struct list link;
    struct sqlite *backend;
    struct call *query; /* NULL: given up */
    struct sqlite_run run;
    char bytes[];
};

/* ---- jobs ---- */

static bool job_given_up(const struct sqlite_run *run)
{
    return pool_given_up(&container_of(run, const struct job, run)->task);
}

static void job_free(struct job *j)
{
    list_remove(&j->link);
    j->backend->jobs_count--;
    buf_fini(&j->run.result);
    free(j);
}

static void job_work(struct pool_task *t, void *worker)
{
    struct job *j = container_of(t, struct job, task);
    if (worker)
        sqlite_conn_run(worker, &j->run);
    else
        j->run.code = err_set(&j->run.err, ERR_NOMEM, "no memory for a connection to SQLite");
}

static void job_done(struct pool_task *t)
{
    struct job *j = container_of(t, struct job, task);
    struct sqlite *b = j->backend;
    struct call *q = j->query;
    b->stats.connects += (uint64_t)j->run.opened;
    b->stats.disconnects += (uint64_t)j->run.closed;
    if (q) {
        b->stats.failures += j->run.code != 0;
        q->code = j->run.code;
        q->fate = j->run.fate;
        q->err = j->run.err;
        q->found = j->run.found;
        q->result = j->run.result;
        q->driver = NULL;
        buf_init(&j->run.result, 0);
    }
    job_free(j);
    if (q)
        q->done(q); /* may free the backend */
}

static struct job *job_new(struct sqlite *b, struct call *q)
{
    struct job *j = calloc(1, sizeof *j + q->text.size + q->params.size);
    if (!j)
        return NULL;
    char *params = j->bytes + q->text.size;
    if (q->text.size > 0)
        memcpy(j->bytes, q->text.data, q->text.size);
    if (q->params.size > 0)
        memcpy(params, q->params.data, q->params.size);
    j->backend = b;
    j->query = q;
    j->task.work = job_work;
    j->task.done = job_done;
    j->run.sql = slice_of(j->bytes, q->text.size);
    j->run.params = slice_of(params, q->params.size);
    j->run.shape = q->shape;
    j->run.given_up = job_given_up;
    buf_init(&j->run.result, b->settings.max_result);
    list_push_back(&b->jobs, &j->link);
    b->jobs_count++;
    return j;
}

/* ---- the backend ---- */

static void sqlite_on_refuse(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct sqlite *b = timer->data;
    struct list now, *link;
    (void)loop, (void)events;
    list_init(&now); /* what is refused meanwhile waits for the next turn */
    list_splice(&now, &b->refused);
    backend_ref(&b->head);
    while ((link = list_pop_front(&now)) != NULL) {
        struct call *q = container_of(link, struct call, link);
        q->done(q);
    }
    backend_unref(&b->head);
}

static void refuse(struct sqlite *b, struct call *q)
{
    q->code = q->err.code;
    b->stats.failures++;
    list_push_back(&b->refused, &q->link);
    if (!ev_is_active(&b->refuse)) {
        ev_timer_set(&b->refuse, 0., 0.);
        ev_timer_start(b->loop, &b->refuse);
    }
}

static void sqlite_submit(struct backend *head, struct call *q)
{
    struct sqlite *b = container_of(head, struct sqlite, head);
    call_reset(q, b->settings.max_result);
    b->stats.queries++;
    struct job *j = NULL;
    if (b->jobs_count >= b->threads + b->max_queue)
        err_set(&q->err, ERR_OVERLOADED, "backend '%s': %zu queries wait already (max_queue)",
                head->name, b->max_queue);
    else if (!(j = job_new(b, q)))
        err_set(&q->err, ERR_NOMEM, "no memory for a query");
    if (!j) {
        refuse(b, q);
        return;
    }
    q->driver = j;
    pool_submit(b->pool, &j->task);
}

static void sqlite_cancel(struct backend *head, struct call *q)
{
    struct sqlite *b = container_of(head, struct sqlite, head);
    struct job *j = q->driver;
    if (!j) {
        list_remove(&q->link); /* out of refused, or nowhere */
        return;
    }
    q->driver = NULL;
    j->query = NULL;
    b->stats.cancels++;
    bool waited = pool_cancel(b->pool, &j->task);
    q->fate = waited ? CALL_UNSENT : CALL_SENT;
    if (waited)
        job_free(j);
}

static void sqlite_free(struct backend *head)
{
    struct sqlite *b = container_of(head, struct sqlite, head);
    list_for_each_safe (link, tmp, &b->jobs) {
        struct job *j = container_of(link, struct job, link);
        j->query = NULL;
        if (pool_cancel(b->pool, &j->task))
            job_free(j);
    }
    pool_free(b->pool);
    ev_timer_stop(b->loop, &b->refuse);
    free(b);
}

static void sqlite_read_stats(const struct backend *head, struct backend_stats *out)
{
    const struct sqlite *b = container_of(head, const struct sqlite, head);
    *out = b->stats;
    out->in_flight = (uint32_t)(b->jobs_count < b->threads ? b->jobs_count : b->threads);
    out->queued = (uint32_t)(b->jobs_count - out->in_flight);
    out->connections = (uint32_t)(b->stats.connects - b->stats.disconnects);
    out->idle = out->connections > out->in_flight ? out->connections - out->in_flight : 0;
}

static void *worker_new(void *arg)
{
    const struct sqlite *b = arg;
    return sqlite_conn_new(&b->settings);
}

static void worker_free(void *worker, void *arg)
{
    (void)arg;
    sqlite_conn_free(worker);
}

static char *copy_text(char **at, const char *text)
{
    char *copy = *at;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

static struct sqlite *sqlite_alloc(const struct conf_backend *conf)
{
    const struct sqlite_conf *own = conf->own;
    size_t text = strlen(conf->name) + strlen(own->path) + 2;
    text += own->init ? strlen(own->init) + 1 : 0;
    struct sqlite *b = calloc(1, sizeof *b + text);
    if (!b)
        return NULL;
    char *at = b->text;
    b->head.name = copy_text(&at, conf->name);
    b->settings.path = copy_text(&at, own->path);
    b->settings.init = own->init ? copy_text(&at, own->init) : NULL;
    b->settings.statements = (size_t)own->statements;
    b->settings.max_result = (size_t)conf->max_result;
    b->settings.busy_timeout_ms = own->busy_timeout_ms;
    b->max_queue = (size_t)conf->max_queue;
    return b;
}

static int sqlite_open(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                       unsigned share, struct err *e)
{
    static const struct backend_ops ops = {.submit = sqlite_submit,
                                           .cancel = sqlite_cancel,
                                           .free = sqlite_free,
                                           .read_stats = sqlite_read_stats};
    *out = NULL;
    struct sqlite *b = sqlite_alloc(conf);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for the backend '%s'", conf->name);
    b->head.ops = &ops;
    b->head.refs = 1;
    b->loop = loop;
    b->threads = share ? share : 1;
    list_init(&b->jobs);
    list_init(&b->refused);
    ev_timer_init(&b->refuse, sqlite_on_refuse, 0., 0.);
    b->refuse.data = b;
    struct pool_options options = {.name = "sqlite",
                                   .threads = b->threads,
                                   .worker_new = worker_new,
                                   .worker_free = worker_free,
                                   .arg = b};
    int code = pool_new(&b->pool, loop, &options, e);
    if (code != 0) {
        err_prefix(e, "backend '%s'", conf->name);
        free(b);
        return code;
    }
    *out = &b->head;
    return 0;
}

const struct backend_driver sqlite_driver = {
    .conf = {.name = "sqlite",
             .options = sqlite_options,
             .own_size = sizeof(struct sqlite_conf),
             .speaks_sql = true,
             .check = sqlite_options_check,
             .name_source = sqlite_options_name_source},
    .verbs = sql_verbs,
    .open = sqlite_open,
};
