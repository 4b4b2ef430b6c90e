#include "load/write_run.h"

#include "base/clock.h"
#include "load/write_entry.h"

#include <stdlib.h>

static void write_run_ended(struct write_run *run)
{
    struct write_run was = *run;
    ev_timer_stop(was.thread->loop, &run->deadline);
    list_remove(&run->link);
    free(run);
    was.write->run = NULL;
    was.done(was.write, was.binding, was.arg);
    edition_unref(was.binding->edition);
}

static void write_run_done(struct run *ended, struct run_result *r, void *arg)
{
    (void)ended;
    struct write_run *run = arg;
    run->run = NULL;
    if (r->outcome == RUN_FAILED)
        write_entry_failed(run, &r->err, r->effect);
    else
        write_entry_succeeded(run, r);
    write_run_ended(run);
}

static void cancel(struct write_run *run, int code, const char *why)
{
    enum run_effect effect = run->run ? run_cancel(run->run) : EFFECT_NONE;
    struct err err;
    run->run = NULL;
    err_set(&err, code, "%s: %s", run->binding->conf->script, why);
    write_entry_failed(run, &err, effect);
    write_run_ended(run);
}

static void write_run_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    cancel(timer->data, ERR_TIMEOUT, "the write took more than its write_timeout");
}

static void start(struct write_run *run)
{
    const struct binding *b = run->binding;
    struct write *w = run->write;
    struct glob_match match = {0};
    routes_capture(b->edition->snapshot->routes, b->index, w->key, &match);
    struct run_request q = {
        .what = write_function(w),
        .script = b->script,
        .key = w->key,
        .captures = match.capture,
        .capture_count = match.captures,
        .stars = b->stars,
        .backend = b->primary >= 0 ? b->primary : b->backend,
        .pattern = b->conf->pattern,
        .attempt = 1,
        .deadline_ms = clock_ms() + b->conf->policy.write_timeout_ms,
        .has_version = w->has_seen,
        .version = w->seen,
        .input = w->value,
        .done = write_run_done,
        .arg = run,
    };
    struct err err;
    struct run *started = NULL;
    int rc = run_start(&started, b->edition->runtime, &q, &err);
    if (rc == ERR_NOMEM) /* nothing has run, and another VM may have taken the full one's place */
        rc = run_start(&started, b->edition->runtime, &q, &err);
    if (rc != 0) {
        write_entry_failed(run, &err, EFFECT_NONE);
        write_run_ended(run);
    } else if (started) {
        run->run = started; /* else it is done, and run is gone */
    }
}

bool write_run_begin(struct write *w, struct binding *b, struct list *running,
                     void (*done)(struct write *w, struct binding *b, void *arg), void *arg)
{
    struct write_run *run = calloc(1, sizeof *run);
    if (!run)
        return false;
    struct thread_state *t = binding_thread(b);
    int64_t timeout_ms = binding_policy(b)->write_timeout_ms;
    *run = (struct write_run){
        .thread = t,
        .binding = b,
        .write = w,
        .since = marks_now(t->changes->marks),
        .done = done,
        .arg = arg,
    };
    edition_ref(b->edition);
    flights_write_begins(t->flights, w->hash, clock_ms(), &run->token);
    w->run = run;
    metrics_inc(t->metrics, M_WRITES);
    list_push_back(running, &run->link);
    ev_now_update(t->loop);
    ev_timer_init(&run->deadline, write_run_on_deadline, (double)timeout_ms / 1e3, 0.);
    run->deadline.data = run;
    ev_timer_start(t->loop, &run->deadline);
    change_write_begins(t->changes, w->key, timeout_ms);
    start(run);
    return true;
}

void write_run_shutdown(struct list *running)
{
    cancel(container_of(running->next, struct write_run, link), ERR_SHUTDOWN,
           "the server is going down");
}
