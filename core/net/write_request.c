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
#include "load/write.h"
#include "net/held.h"
#include "wire/mpw.h"

#include <stdlib.h>

struct write_request {
    struct write write;
    struct ticket ticket;
    struct target target; /* its conn is NULL once nobody waits */
    ev_timer timer;
    int64_t wait_ms;
    bool asked, written; /* give_up is on its way; the answer has come */
    char data[];         /* key, value */
};

static size_t bytes_of(const struct write_request *r)
{
    return sizeof *r + r->write.key.size + r->write.value.size;
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
    if (!r->target.conn)
        return;
    ticket_done(&r->ticket, r->target.conn);
    let_go(r);
}

static int pack_outcome(struct buf *out, const struct write *w)
{
    static const char *const left[] = {
        [LEFT_UNTAGGED] = "save said nothing of tags, and loads give some",
        [LEFT_TOO_LARGE] = "the entry is too large for the memory",
    };
    int rc = mpw_map(out, left[w->left] ? 3 : 2) | mpw_cstr(out, "version");
    rc |= w->has_version ? mpw_int(out, w->version) : mpw_nil(out);
    rc |= mpw_cstr(out, "stored") | mpw_bool(out, w->stored);
    if (left[w->left])
        rc |= mpw_cstr(out, "reason") | mpw_cstr(out, left[w->left]);
    return rc;
}

static void request_free(struct write_request *r)
{
    struct io *io = r->target.io;
    ev_timer_stop(io->worker.loop, &r->timer);
    held_take(io, NULL, LEDGER_WRITES, bytes_of(r));
    free(r);
    ticket_close(io);
}

static void write_request_recv_written(struct message *m, void *owner)
{
    (void)owner;
    struct write *w = container_of(m, struct write, message);
    struct write_request *r = container_of(w, struct write_request, write);
    if (r->target.conn && w->err.code != 0) {
        answer_error(&r->target, &w->err);
    } else if (r->target.conn) {
        struct answer a;
        answer_begin(&a, &r->target);
        answer_done(&a, pack_outcome(a.out, w));
    }
    answered(r);
    r->written = true;
    if (!r->asked)
        request_free(r);
}

/* Where it was not begun, its answer has come before this. */
static void write_request_recv_heard(struct message *m, void *owner)
{
    (void)owner;
    struct write *w = container_of(m, struct write, give_up);
    struct write_request *r = container_of(w, struct write_request, write);
    char text[SHOW_KEY_TEXT];
    struct err e;
    r->asked = false;
    if (r->written) {
        request_free(r);
    } else if (r->target.conn) {
        err_set(&e, ERR_WRITE_UNKNOWN, "%s: no word of the write within %lld ms; it goes on",
                show_key(text, r->write.key), (long long)r->wait_ms);
        answer_error(&r->target, &e);
        answered(r);
    }
}

/* Only its loader thread knows whether it was begun. */
static void write_request_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct write_request *r = timer->data;
    struct io *io = r->target.io;
    metrics_inc(io->metrics, M_TIMEOUTS);
    r->asked = true;
    r->write.heard = write_request_recv_heard;
    loader_thread_give_up(io_loader(io, r->write.hash), &r->write);
}

static void write_request_client_left(struct ticket *t, struct conn *c)
{
    (void)c;
    let_go(container_of(t, struct write_request, ticket));
}

static void submit(struct write_request *r, int64_t wait_ms)
{
    static const struct ticket_kind kind = {
        .request = true, .owes = true, .left = write_request_client_left};
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    r->wait_ms = wait_ms;
    ticket_open(&r->ticket, &kind, c, r->target.notify);
    ev_timer_init(&r->timer, write_request_on_timer, (double)wait_ms / 1e3, 0.);
    r->timer.data = r;
    ev_timer_start(io->worker.loop, &r->timer);
    r->write.answer_to = io_mailbox(io);
    r->write.answered = write_request_recv_written;
    loader_thread_write(io_loader(io, r->write.hash), &r->write);
    held_add(io, c, LEDGER_WRITES, bytes_of(r));
}

static struct write_request *request_new(const struct target *t, enum write_what what,
                                         struct slice key, uint64_t hash, struct slice value)
{
    struct write_request *r = calloc(1, sizeof *r + key.size + value.size);
    if (!r)
        return NULL;
    r->target = *t;
    r->write.what = what;
    r->write.hash = hash;
    memcpy(r->data, key.data, key.size);
    if (value.size)
        memcpy(r->data + key.size, value.data, value.size);
    r->write.key = slice_of(r->data, key.size);
    r->write.value = slice_of(r->data + key.size, value.size);
    return r;
}

static void write_to_source(const struct target *t, struct params *p, enum write_what what)
{
    struct io *io = t->io;
    struct slice key, value = {0};
    int64_t timeout_ms = -1, seen = 0;
    bool has_seen = false;
    char text[SHOW_KEY_TEXT];
    struct err e;
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &timeout_ms, NULL},
        {"version", OPTION_INT, &seen, &has_seen},
    };
    int rc = params_key(p, &key, &e);
    if (rc == 0 && what == WRITE_PUT)
        rc = params_value(p, &value, &e);
    if (rc == 0)
        rc = params_options(p, specs, 2, &e);
    int loader;
    const struct policy *policy = rc == 0 ? snapshot_policy(io->snapshot, key, &loader) : NULL;
    if (rc == 0 && route_is_misfit(loader))
        rc = snapshot_refuse(io->snapshot, key, loader, &e);
    if (rc == 0 && loader < 0)
        rc = err_set(&e, ERR_NO_LOADER, "%s: no loader's pattern matches", show_key(text, key));
    if (rc == 0 && t->conn->parked_count >= (uint64_t)io->snapshot->conf->max_parked) {
        metrics_inc(io->metrics, M_PARKED_REFUSED);
        rc = err_set(&e, ERR_OVERLOADED, "%s: this connection has max_parked requests waiting",
                     show_key(text, key));
    }
    struct write_request *r = NULL;
    if (rc == 0 && !conn_make_room(t->conn, sizeof *r + key.size + value.size))
        rc = held_refusal(io, show_key(text, key), &e);
    if (rc == 0)
        r = request_new(t, what, key, params_hash(p, io->options.store, key), value);
    if (rc == 0 && !r)
        rc = err_set(&e, ERR_NOMEM, "%s: no memory for a write", show_key(text, key));
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    r->write.has_seen = has_seen;
    r->write.seen = seen;
    /* Its turn may take a while to come; then the write has a time of its own. */
    submit(r, timeout_ms >= 0 ? timeout_ms : policy->wait_timeout_ms + policy->write_timeout_ms);
}

void write_request_put(const struct target *t, struct params *p)
{
    write_to_source(t, p, WRITE_PUT);
}

void write_request_delete(const struct target *t, struct params *p)
{
    write_to_source(t, p, WRITE_DELETE);
}
