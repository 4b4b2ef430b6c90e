#include "backend/postgres/pg_work.h"

#include <stdlib.h>

void pg_work_init(struct pg_works *w, struct ev_loop *loop)
{
    w->loop = loop;
    w->pool = NULL;
    list_init(&w->jobs);
}

static void work_free(struct pg_work *job)
{
    list_remove(&job->link);
    pg_target_hosts_fini(&job->hosts);
    free(job);
}

void pg_work_fini(struct pg_works *w)
{
    pool_free(w->pool);
    w->pool = NULL;
    while (!list_empty(&w->jobs)) /* those that had not begun */
        work_free(container_of(w->jobs.next, struct pg_work, link));
}

static void work_run(struct pool_task *t, void *worker)
{
    (void)worker;
    struct pg_work *job = container_of(t, struct pg_work, task);
    (void)!pg_target_resolve(job->target, &job->hosts, &job->err);
}

static void work_done(struct pool_task *t)
{
    struct pg_work *job = container_of(t, struct pg_work, task);
    struct pg_conn *conn = job->conn;
    void (*done)(struct pg_work *, struct pg_conn *) = job->done;
    /* The backend may end inside done, and its jobs with it: this one is none of them any more. */
    list_remove(&job->link);
    if (conn)
        done(job, conn);
    work_free(job);
}

static struct pg_work *work_new(struct pg_works *w, struct pg_conn *conn, struct err *e)
{
    const struct pool_options options = {.name = "pg", .threads = 1};
    if (!w->pool && pool_new(&w->pool, w->loop, &options, e) != 0)
        return NULL;
    struct pg_work *job = calloc(1, sizeof *job);
    if (!job) {
        err_set(e, ERR_NOMEM, "no memory for a job");
        return NULL;
    }
    job->conn = conn;
    job->task.work = work_run;
    job->task.done = work_done;
    list_push_back(&w->jobs, &job->link);
    return job;
}

struct pg_work *pg_work_resolve(struct pg_works *w, struct pg_conn *conn,
                                const struct pg_target *target,
                                void (*done)(struct pg_work *, struct pg_conn *), struct err *e)
{
    struct pg_work *job = work_new(w, conn, e);
    if (!job)
        return NULL;
    job->target = target;
    job->done = done;
    pool_submit(w->pool, &job->task);
    return job;
}
