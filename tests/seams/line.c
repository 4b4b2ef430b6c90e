/*
 * line: a second protocol, to show that one is a file and a line of a table (net/protocols.c, which
 * this file stands in for). It is spoken on Unix sockets whose name ends in ".line".
 *
 *   GET key\n   ->   VALUE <bytes of MessagePack>\n<them>\n  |  NIL\n  |  ERROR <code> <text>\n
 *   QUIT\n
 *
 * One answer after the other: while a key is loaded, what the client sends behind is kept unread.
 */
#include "net/auth.h"
#include "net/dispatch.h"
#include "net/protocols.h"
#include "net/read.h"
#include "net/rpc.h"
#include "serve/rights.h"

#include <stdio.h>

#define LINE_MAX_BYTES 1024

static void say(struct conn *c, const char *text, struct slice bytes)
{
    struct buf *out = conn_out(c);
    if ((buf_append(out, text, strlen(text)) | buf_append(out, bytes.data, bytes.size)) != 0)
        conn_break(c, "no room for its answers");
    conn_touch(c);
}

/* The answer that was waited for is there: what came behind it is taken. */
static void goes_on(struct conn *c)
{
    if (c->halts & CONN_HALT_TURN)
        conn_resume(c, CONN_HALT_TURN);
}

static void line_value(const struct target *t, struct slice packed, const struct facts *f)
{
    (void)f;
    char head[32];
    snprintf(head, sizeof head, "VALUE %zu\n", packed.size);
    say(t->conn, head, packed);
    say(t->conn, "\n", slice_of(NULL, 0));
    goes_on(t->conn);
}

static void line_absent(const struct target *t, const struct facts *f)
{
    (void)f;
    say(t->conn, "NIL\n", slice_of(NULL, 0));
    goes_on(t->conn);
}

static void line_error(const struct target *t, const struct err *e)
{
    char head[64];
    snprintf(head, sizeof head, "ERROR %s ", err_name(e->code));
    say(t->conn, head, slice_str(e->text));
    say(t->conn, "\n", slice_of(NULL, 0));
    goes_on(t->conn);
}

/* Whether its user may. */
static bool may_get(struct conn *c, struct slice key, struct err *e)
{
    if (c->session.may & RIGHT_READ)
        return true;
    return rights_group(c->session.user, RIGHT_READ, slice_str("GET"), e) == 0 &&
           rights_text(c->session.user, slice_str("GET"), RIGHTS_OF_KEY, key, e) == 0;
}

static void get(struct conn *c, struct slice key)
{
    const struct target t = {.io = c->io, .conn = c, .form = FORM_OWN};
    struct read r = {.target = &t, .ask = {.timeout_ms = -1, .stale_wait_ms = -1, .key = key}};
    struct err e;
    uint32_t parked = c->parked_count;
    if (!may_get(c, key, &e)) {
        line_error(&t, &e);
        return;
    }
    r.ask.hash = store_hash(c->io->options.store, key);
    read_key(&r);
    if (c->parked_count > parked)
        conn_halt(c, CONN_HALT_TURN);
}

static void run(struct conn *c, struct slice line)
{
    const struct target t = {.io = c->io, .conn = c, .form = FORM_OWN};
    struct err e;
    if (line.size > 4 && memcmp(line.data, "GET ", 4) == 0) {
        get(c, slice_of(line.data + 4, line.size - 4));
    } else if (slice_eq_str(line, "QUIT")) {
        conn_finish(c);
    } else {
        err_set(&e, ERR_UNKNOWN_METHOD, "there are GET key and QUIT");
        line_error(&t, &e);
    }
}

/* The server goes down. */
static void refuse(struct conn *c, struct slice line)
{
    const struct target t = {.io = c->io, .conn = c, .form = FORM_OWN};
    struct err e;
    (void)line;
    dispatch_refusal(c->io, &e);
    line_error(&t, &e);
}

static size_t take_all(struct conn *c, struct slice in, void (*each)(struct conn *, struct slice))
{
    size_t at = 0;
    while (!c->halts) {
        const char *end = memchr(in.data + at, '\n', in.size - at);
        if (!end && in.size - at > LINE_MAX_BYTES) {
            say(c, "ERROR TOO_LARGE a line\n", slice_of(NULL, 0));
            conn_finish(c);
        }
        if (!end)
            break;
        size_t size = (size_t)(end - in.data) - at;
        each(c, slice_of(in.data + at, size));
        at += size + 1;
        conn_fill_if(c);
    }
    return at;
}

static size_t line_take(struct conn *c, struct slice in)
{
    return take_all(c, in, run);
}

static size_t line_refuse(struct conn *c, struct slice in)
{
    return take_all(c, in, refuse);
}

static void line_closed(struct conn *c)
{
    (void)c;
}

static const struct protocol line_draining = {
    .name = "line",
    .opened = auth_conn_opened,
    .take = line_refuse,
    .draining = &line_draining,
    .closed = line_closed,
    .value = line_value,
    .absent = line_absent,
    .error = line_error,
};

static const struct protocol line_protocol = {
    .name = "line",
    .opened = auth_conn_opened,
    .take = line_take,
    .draining = &line_draining,
    .closed = line_closed,
    .value = line_value,
    .absent = line_absent,
    .error = line_error,
};

const struct protocol *protocol_at(const struct addr *a)
{
    size_t size = strlen(a->text), end = strlen(".line");
    bool line = size > end && strcmp(a->text + size - end, ".line") == 0;
    return line ? &line_protocol : &rpc_protocol;
}
