#include "net/job.h"

#include <stdlib.h>

static void job_free(struct job *j)
{
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
    job_free(j);
    if (last) {
        c->job = NULL;
        conn_go_on(c);
    }
    io_unparked(io);
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
    copy->work.run = job_on_slice;
    list_init(&copy->work.link);
    copy->kind->moved(copy, input.data, bytes);
    return copy;
}

void job_start(struct job *j, struct slice input)
{
    struct io *io = j->target.io;
    struct conn *c = j->target.conn;
    slices_begin(&io->slices);
    if (!go_on(j))
        return;
    struct job *rest = copy_of(j, input);
    if (!rest) { /* without memory it is done at once */
        while (j->kind->step(j)) {
        }
        return;
    }
    metrics_inc(io->metrics, M_SLICED);
    c->job = rest;
    io->parked_count++;
    conn_halt(c);
    slices_add(&io->slices, &rest->work);
}

void job_client_left(struct conn *c)
{
    struct job *j = c->job;
    if (!j)
        return;
    c->job = NULL;
    slices_remove(&c->io->slices, &j->work);
    if (j->kind->drop)
        j->kind->drop(j);
    job_free(j);
    io_unparked(c->io);
}
