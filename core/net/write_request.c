/*
 * put, delete: writes to the source, through the script, with their clients' deadlines.
 *
 * Shape: one allocation a write, its key and value behind it. It belongs to the I/O thread and is
 * freed with the loader thread's answer; a client that has left or was answered at its deadline
 * takes nothing from the write. Thread: the connection's. Limits: max_parked per connection, and
 * those of load/write.h.
 */
#include "net/commands.h"

#include "base/show.h"
#include "net/held.h"
#include "serve/source_write.h"
#include "wire/mpw.h"

#include <stdlib.h>

struct write_request {
    struct source_write source;
    struct ticket ticket;
    struct target target; /* its conn is NULL once nobody waits */
    ev_timer timer;
    char data[]; /* key, value */
};

static size_t bytes_of(const struct write_request *r)
{
    return sizeof *r + r->source.write.key.size + r->source.write.value.size;
}

/* The client has its answer, or has left. Its write goes on; what has not begun by its deadline
 * will not, as where its client waits. */
static void let_go(struct write_request *r)
{
    held_orphan(r->target.conn, bytes_of(r));
    r->target.conn = NULL;
}

static void answered(struct write_request *r)
{
    ticket_done(&r->ticket, r->target.conn);
    let_go(r);
}

static int pack_outcome(struct buf *out, const struct source_write *s)
{
    const struct write *w = &s->write;
    const char *left = source_write_left(s);
    int rc = mpw_map(out, left ? 3 : 2) | mpw_cstr(out, "version");
    rc |= w->has_version ? mpw_int(out, w->version) : mpw_nil(out);
    rc |= mpw_cstr(out, "stored") | mpw_bool(out, w->stored);
    if (left)
        rc |= mpw_cstr(out, "reason") | mpw_cstr(out, left);
    return rc;
}

static void answer_outcome(struct write_request *r)
{
    const struct source_write *s = &r->source;
    if (s->write.err.code != 0) {
        answer_error(&r->target, &s->write.err);
    } else {
        struct answer a;
        answer_begin(&a, &r->target);
        answer_done(&a, pack_outcome(a.out, s));
    }
    answered(r);
}

static void free_if_over(struct write_request *r)
{
    struct io *io = r->target.io;
    if (!source_write_is_over(&r->source))
        return;
    ev_timer_stop(io->worker.loop, &r->timer);
    held_take(io, NULL, LEDGER_WRITES, bytes_of(r));
    free(r);
    ticket_close(io);
}

static void write_request_recv_written(struct message *m, void *owner)
{
    (void)owner;
    struct write *w = container_of(m, struct write, message);
    struct write_request *r = container_of(w, struct write_request, source.write);
    if (r->target.conn)
        answer_outcome(r);
    source_write_ended(&r->source);
    free_if_over(r);
}

/* Where it was not begun, its answer has come before this. */
static void write_request_recv_heard(struct message *m, void *owner)
{
    (void)owner;
    struct write *w = container_of(m, struct write, give_up);
    struct write_request *r = container_of(w, struct write_request, source.write);
    struct err e;
    if (source_write_heard(&r->source, &e) != 0 && r->target.conn) {
        answer_error(&r->target, &e);
        answered(r);
    }
    free_if_over(r);
}

/* Only its loader thread knows whether it was begun. */
static void write_request_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct write_request *r = timer->data;
    struct io *io = r->target.io;
    struct write *w = &r->source.write;
    source_write_time(&r->source, io->metrics);
    w->heard = write_request_recv_heard;
    loader_thread_give_up(io_loader(io, w->hash), w);
}

static void write_request_client_left(struct ticket *t, struct conn *c)
{
    (void)c;
    let_go(container_of(t, struct write_request, ticket));
}

static void submit(struct write_request *r)
{
    static const struct ticket_kind kind = {
        .request = true, .owes = true, .left = write_request_client_left};
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    struct write *w = &r->source.write;
    ticket_open(&r->ticket, &kind, c, r->target.notify);
    ev_timer_init(&r->timer, write_request_on_timer, (double)r->source.wait_ms / 1e3, 0.);
    r->timer.data = r;
    ev_timer_start(io->worker.loop, &r->timer);
    w->answer_to = io_mailbox(io);
    w->answered = write_request_recv_written;
    loader_thread_write(io_loader(io, w->hash), w);
    held_add(io, c, LEDGER_WRITES, bytes_of(r));
}

static int read_wish(struct params *p, struct source_wish *w, struct err *e)
{
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &w->timeout_ms, NULL},
        {"version", OPTION_INT, &w->seen, &w->has_seen},
    };
    int rc = params_key(p, &w->key, e);
    if (rc == 0 && w->what == WRITE_PUT)
        rc = params_value(p, &w->value, e);
    return rc != 0 ? rc : params_options(p, specs, 2, e);
}

/* NULL: there is no room for it, or no memory. */
static struct write_request *request_new(const struct target *t, const struct params *p,
                                         const struct source_wish *w, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    size_t bytes = sizeof(struct write_request) + w->key.size + w->value.size;
    if (!conn_make_room(t->conn, bytes)) {
        held_refusal(t->io, show_key(text, w->key), e);
        return NULL;
    }
    struct write_request *r = calloc(1, bytes);
    if (!r) {
        err_set(e, ERR_NOMEM, "%s: no memory for a write", show_key(text, w->key));
        return NULL;
    }
    r->target = *t;
    source_write_begin(&r->source, w, params_hash(p, t->io->options.store, w->key), r->data);
    return r;
}

static void write_to_source(const struct target *t, struct params *p, enum write_what what)
{
    const struct source_writer by = {
        .snapshot = t->io->snapshot,
        .metrics = t->io->metrics,
        .waiting = t->conn->parked_count,
    };
    struct source_wish wish = {.what = what, .timeout_ms = -1};
    struct write_request *r = NULL;
    struct err e;
    int rc = read_wish(p, &wish, &e);
    if (rc == 0)
        rc = source_write_admit(&by, &wish, &e);
    if (rc == 0)
        r = request_new(t, p, &wish, &e);
    if (r)
        submit(r);
    else
        answer_error(t, &e);
}

void write_request_put(const struct target *t, struct params *p)
{
    write_to_source(t, p, WRITE_PUT);
}

void write_request_delete(const struct target *t, struct params *p)
{
    write_to_source(t, p, WRITE_DELETE);
}
