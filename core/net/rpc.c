#include "net/rpc.h"

#include "base/log.h"
#include "net/auth.h"
#include "net/dispatch.h"
#include "net/many.h"
#include "net/subscribe.h"
#include "net/telling.h"
#include "wire/rpc.h"

static void malformed(struct conn *c, uint32_t msgid, const struct err *e)
{
    metrics_inc(c->io->metrics, M_PROTOCOL_ERRORS);
    log_info("conn.malformed", "id=%llu error=%s", (unsigned long long)c->id, log_q(e->text));
    (void)!rpc_reply_error(conn_out(c), msgid, e, c->errors_as_map); /* it ends without one, too */
    conn_finish(c);
}

#define AHEAD 16 /* messages that are looked at before the first of them is dispatched */

/* The messages of one read, or some of them. */
struct batch {
    unsigned count;
    int rc; /* RPC_MESSAGE: there may be more; or what rpc_next says of msgs[count], with e */
    struct rpc_msg msgs[AHEAD];
    size_t ends[AHEAD]; /* where they end in the input */
    struct err e;
};

/* The loop that serves has it as a part of itself, and with it rpc_next, which is called nowhere
 * else. */
static inline __attribute__((always_inline)) void parse(struct conn *c, struct slice in, size_t at,
                                                        struct batch *b, bool refuses)
{
    const struct conf *conf = c->io->snapshot->conf;
    struct rpc_limits limits = {
        .max_frame = (size_t)(c->session.known ? conf->max_frame : conf->max_frame_before_auth)};
    unsigned most = c->session.known ? AHEAD : 1; /* the first may change what may follow */
    b->rc = RPC_MESSAGE;
    for (b->count = 0; b->count < most; b->count++) {
        size_t used = 0;
        struct slice rest = slice_of(in.data + at, in.size - at);
        struct rpc_msg *m = &b->msgs[b->count];
        b->rc = at >= in.size ? RPC_MORE
                : refuses     ? rpc_next_scanned(&c->scan, rest, &limits, m, &used, &b->e)
                              : rpc_next(&c->scan, rest, &limits, m, &used, &b->e);
        if (b->rc != RPC_MESSAGE)
            return;
        at += used;
        b->ends[b->count] = at;
    }
}

/* Dispatches or refuses the whole messages of `in`; the bytes used. */
static inline __attribute__((always_inline)) size_t take_all(struct conn *c, struct slice in,
                                                             bool refuses)
{
    size_t at = 0;
    struct batch b;
    b.rc = RPC_MESSAGE;
    while (b.rc == RPC_MESSAGE && !c->halts) {
        parse(c, in, at, &b, refuses);
        if (b.count > 1 && !refuses)
            dispatch_ahead(c->io, b.msgs, b.count);
        unsigned done = 0;
        while (done < b.count && !c->halts) {
            if (refuses)
                dispatch_refuse(c, &b.msgs[done]);
            else
                dispatch(c, &b.msgs[done]);
            at = b.ends[done++];
            /* Looked at as it grows: 64 KiB of input may ask for gigabytes. */
            if (__builtin_expect(c->out.size + c->values.bytes > CONN_NOBODY_PAUSE, 0))
                conn_fill_if(c);
        }
        if (done < b.count || (b.rc < 0 && c->halts)) {
            c->scan = (struct rpc_scan){0}; /* what follows is read again, if at all */
        } else if (b.rc < 0) {
            malformed(c, b.msgs[b.count].msgid, &b.e);
            return in.size;
        }
    }
    return at;
}

static size_t rpc_take(struct conn *c, struct slice in)
{
    return take_all(c, in, false);
}

static size_t rpc_refuse(struct conn *c, struct slice in)
{
    return take_all(c, in, true);
}

static bool rpc_more(struct conn *c)
{
    bool any = (!list_empty(&c->ready) && many_send_ready(c)) || telling_drained(c);
    c->more = !list_empty(&c->ready) || telling_waits(c);
    return any;
}

static const struct protocol rpc_draining = {
    .name = "rpc",
    .first = RPC_ANSWER_BEGINS,
    .opened = auth_conn_opened,
    .take = rpc_refuse,
    .draining = &rpc_draining,
    .more = rpc_more,
    .closed = subscribe_client_left,
};

const struct protocol rpc_protocol = {
    .name = "rpc",
    .first = RPC_ANSWER_BEGINS,
    .opened = auth_conn_opened,
    .take = rpc_take,
    .draining = &rpc_draining,
    .more = rpc_more,
    .closed = subscribe_client_left,
};
