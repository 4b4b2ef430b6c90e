/* ping, hello, reload, snapshot: the server itself, not its keys. */
#include "net/commands.h"

#include "base/log.h"
#include "base/show.h"
#include "wire/mpw.h"

#include <stdlib.h>

static bool no_options(const struct target *t, struct params *p)
{
    struct err e;
    if (params_options(p, NULL, 0, &e) == 0)
        return true;
    answer_error(t, &e);
    return false;
}

void admin_ping(const struct target *t, struct params *p)
{
    if (!no_options(t, p))
        return;
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_cstr(a.out, "pong"));
}

static int pack_hello(struct buf *out, const struct conf *conf, method_name *name_of)
{
    uint32_t count = 0;
    while (name_of(count))
        count++;
    int rc = mpw_map(out, 7);
    rc |= mpw_cstr(out, "server") | mpw_cstr(out, "rtcache");
    rc |= mpw_cstr(out, "version") | mpw_cstr(out, RTCACHE_VERSION);
    rc |= mpw_cstr(out, "protocol") | mpw_int(out, 1);
    rc |= mpw_cstr(out, "max_frame") | mpw_int(out, conf->max_frame);
    rc |= mpw_cstr(out, "max_key") | mpw_int(out, conf->max_key);
    rc |= mpw_cstr(out, "max_value") | mpw_int(out, conf->max_value);
    rc |= mpw_cstr(out, "methods") | mpw_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        rc |= mpw_cstr(out, name_of(i));
    return rc;
}

void admin_hello(const struct target *t, struct params *p, method_name *name_of)
{
    struct slice errors = {0}, client = {0};
    const struct option_spec specs[] = {
        {"errors", OPTION_TEXT, &errors, NULL},
        {"client", OPTION_TEXT, &client, NULL},
    };
    struct err e;
    int rc = params_options(p, specs, 2, &e);
    bool as_map = slice_eq_str(errors, "map");
    if (rc == 0 && errors.size > 0 && !as_map && !slice_eq_str(errors, "string"))
        rc = err_set(&e, ERR_BAD_REQUEST, "hello: option errors is \"string\" or \"map\"");
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    if (errors.size > 0)
        t->conn->errors_as_map = as_map;
    if (client.size > 0) {
        char text[SHOW_KEY_TEXT];
        log_debug("conn.hello", "id=%llu client=%s", (unsigned long long)t->conn->id,
                  log_q(show_key(text, client)));
    }
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, pack_hello(a.out, p->conf, name_of));
}

/* ---- what the main thread does ---- */

/* What a connection asked of the main thread; it outlives the connection. */
struct asked {
    struct ticket ticket;
    struct target target; /* its conn is NULL once the client has left */
    union {
        struct io_reload reload;
        struct io_snapshot snapshot;
    };
};

static void asked_left(struct ticket *t, struct conn *c)
{
    (void)c;
    container_of(t, struct asked, ticket)->target.conn = NULL;
}

/* NULL: no memory, which is answered. */
static struct asked *ask_main(const struct target *t, struct params *p)
{
    static const struct ticket_kind kind = {.request = true, .owes = true, .left = asked_left};
    if (!no_options(t, p))
        return NULL;
    struct asked *asked = calloc(1, sizeof *asked);
    struct err e;
    if (!asked) {
        err_set(&e, ERR_NOMEM, "%s: no memory", p->method);
        answer_error(t, &e);
        return NULL;
    }
    asked->target = *t;
    ticket_open(&asked->ticket, &kind, t->conn, t->notify);
    return asked;
}

static void asked_done(struct asked *asked, struct io *io)
{
    if (asked->target.conn)
        ticket_done(&asked->ticket, asked->target.conn);
    free(asked);
    ticket_close(io);
}

/* ---- reload ---- */

static void admin_recv_reloaded(struct message *m, void *owner)
{
    struct asked *asked =
        container_of(container_of(m, struct io_reload, message), struct asked, reload);
    const struct io_reload *r = &asked->reload;
    if (r->rc != 0) {
        answer_error(&asked->target, &r->err);
    } else {
        struct answer a;
        answer_begin(&a, &asked->target);
        int rc = mpw_map(a.out, 3);
        rc |= mpw_cstr(a.out, "generation") | mpw_uint(a.out, r->generation);
        rc |= mpw_cstr(a.out, "loaders") | mpw_uint(a.out, r->loaders);
        rc |= mpw_cstr(a.out, "changed") | mpw_bool(a.out, r->changed);
        answer_done(&a, rc);
    }
    asked_done(asked, owner);
}

void admin_reload(const struct target *t, struct params *p)
{
    struct asked *asked = ask_main(t, p);
    if (!asked)
        return;
    asked->reload.answer_to = io_mailbox(t->io);
    asked->reload.answered = admin_recv_reloaded;
    asked->reload.message.recv = t->io->options.recv_reload;
    mailbox_send(t->io->options.control, &asked->reload.message);
}

/* ---- snapshot ---- */

static void admin_recv_written(struct message *m, void *owner)
{
    struct asked *asked =
        container_of(container_of(m, struct io_snapshot, message), struct asked, snapshot);
    const struct io_snapshot *s = &asked->snapshot;
    if (s->rc != 0) {
        answer_error(&asked->target, &s->err);
    } else {
        struct answer a;
        answer_begin(&a, &asked->target);
        int rc = mpw_map(a.out, 4);
        rc |= mpw_cstr(a.out, "file") | mpw_text(a.out, slice_str(s->file));
        rc |= mpw_cstr(a.out, "entries") | mpw_uint(a.out, s->entries);
        rc |= mpw_cstr(a.out, "bytes") | mpw_uint(a.out, s->bytes);
        rc |= mpw_cstr(a.out, "ms") | mpw_int(a.out, s->ms);
        answer_done(&a, rc);
    }
    asked_done(asked, owner);
}

void admin_snapshot(const struct target *t, struct params *p)
{
    struct asked *asked = ask_main(t, p);
    if (!asked)
        return;
    asked->snapshot.answer_to = io_mailbox(t->io);
    asked->snapshot.answered = admin_recv_written;
    asked->snapshot.message.recv = t->io->options.recv_snapshot;
    mailbox_send(t->io->options.control, &asked->snapshot.message);
}
