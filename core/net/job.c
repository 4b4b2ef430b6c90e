#include "net/job.h"

#include "net/held.h"

#include <stdlib.h>

static void job_free(struct job *j)
{
    held_take(j->target.io, j->target.conn, LEDGER_JOBS, j->bytes);
    free(j->input);
    free(j);
}

/* Steps until the slice is over. false: it is done. */
static bool go_on(struct job *j)
{
    bool more = true;
    do {
        more = j->kind->step(j);
    } while (more && !slices_over(&j->target.io->slices));
    return more;
}

static bool job_on_slice(struct slice_work *w)
{
    struct job *j = container_of(w, struct job, work);
    struct io *io = j->target.io;
    struct conn *c = j->target.conn;
    if (go_on(j))
        return true;
    bool last = c->job == j; /* its end may have begun another one */
    ticket_done(&j->ticket, c);
    job_free(j);
    if (last) {
        c->job = NULL;
        conn_resume(c, CONN_HALT_JOB);
    }
    ticket_close(io);
    return false;
}

/* NULL: no memory. */
static struct job *copy_of(const struct job *j, struct slice input)
{
    struct job *copy = malloc(j->kind->size);
    char *bytes = malloc(input.size + 1);
    if (!copy || !bytes) {
        free(copy);
        free(bytes);
        return NULL;
    }
    memcpy(copy, j, j->kind->size);
    memcpy(bytes, input.data, input.size);
    copy->input = bytes;
    copy->bytes = j->kind->size + input.size;
    copy->work.run = job_on_slice;
    list_init(&copy->work.link);
    copy->kind->moved(copy, input.data, bytes);
    return copy;
}

static void job_left(struct ticket *t, struct conn *c)
{
    struct job *j = container_of(t, struct job, ticket);
    struct io *io = c->io;
    if (c->job == j)
        c->job = NULL;
    slices_remove(&io->slices, &j->work);
    if (j->kind->drop)
        j->kind->drop(j);
    job_free(j);
    ticket_close(io);
}

void job_start(struct job *j, struct slice input)
{
    static const struct ticket_kind kind = {.owes = true, .left = job_left};
    struct io *io = j->target.io;
    struct conn *c = j->target.conn;
    bool begins = slices_may_begin(&io->slices);
    if (begins)
        slices_begin(&io->slices);
    if (begins && !go_on(j))
        return;
    if (!conn_make_room(c, j->kind->size + input.size)) {
        held_refuse(c);
        if (j->kind->drop)
            j->kind->drop(j);
        return;
    }
    struct job *rest = copy_of(j, input);
    if (!rest) { /* without memory it is done at once */
        while (j->kind->step(j)) {
        }
        return;
    }
    metrics_inc(io->metrics, M_SLICED);
    c->job = rest;
    ticket_open(&rest->ticket, &kind, c, rest->target.notify);
    conn_halt(c, CONN_HALT_JOB);
    slices_add(&io->slices, &rest->work);
    held_add(io, c, LEDGER_JOBS, rest->bytes);
}
