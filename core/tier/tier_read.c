#include "tier/tier_read.h"

#include "wire/mpw.h"

#include <stdlib.h>

/* One statement. */
struct tier_read {
    struct list link;
    struct tier_reader *reader;
    struct call call;
    struct buf params;
    ev_timer timeout;
    uint32_t count;
    struct tier_ask *asks[]; /* by place; NULL: it was given up, or is done */
};

void tier_reader_init(struct tier_reader *r, struct tier_link *link)
{
    *r = (struct tier_reader){.link = link, .most = TIER_READ_KEYS};
    list_init(&r->wanted);
    list_init(&r->reads);
}

bool tier_reader_ask(struct tier_reader *r, struct tier_ask *ask)
{
    bool room = r->wanted_count < (size_t)r->most * (TIER_READS - r->in_air);
    bool may = room && tier_link_admits(r->link);
    ask->read = NULL;
    ask->reader = r;
    ask->answered = false;
    list_init(&ask->link);
    if (!may) {
        tier_count(&r->link->tier->numbers.skipped, 1);
        return false;
    }
    list_push_back(&r->wanted, &ask->link);
    r->wanted_count++;
    return true;
}

/* The first of those that are wanted; NULL: there is none. */
static struct tier_ask *pop(struct tier_reader *r)
{
    struct list *link = list_pop_front(&r->wanted);
    if (!link)
        return NULL;
    r->wanted_count--;
    return container_of(link, struct tier_ask, link);
}

void tier_reader_cancel(struct tier_ask *ask)
{
    if (ask->read)
        ask->read->asks[ask->place] = NULL;
    else if (!list_empty(&ask->link))
        ask->reader->wanted_count--;
    list_remove(&ask->link);
    ask->read = NULL;
}

/* ---- the end of a statement ---- */

static void read_free(struct tier_read *read)
{
    ev_timer_stop(read->reader->link->loop, &read->timeout);
    list_remove(&read->link);
    read->reader->in_air--;
    buf_fini(&read->params);
    buf_fini(&read->call.result);
    free(read);
}

static void tell(struct tier_read *read, int64_t place, const struct tier_row *row)
{
    struct tier_ask *ask = place >= 0 && place < read->count ? read->asks[place] : NULL;
    if (!ask)
        return;
    read->asks[place] = NULL;
    ask->read = NULL;
    ask->done(ask, row);
}

/* Those that are left have no row. read goes. */
static void end(struct tier_read *read, bool answered)
{
    struct tier_reader *r = read->reader;
    for (uint32_t i = 0; i < read->count; i++) {
        if (read->asks[i])
            read->asks[i]->answered = answered;
        tell(read, i, NULL);
    }
    read_free(read);
    tier_reader_flush(r);
}

static void read_on_done(struct call *q)
{
    struct tier_read *read = container_of(q, struct tier_read, call);
    struct tier_reader *r = read->reader;
    struct mp_reader at;
    struct tier_row row;
    ev_timer_stop(r->link->loop, &read->timeout);
    if (q->code == ERR_TOO_LARGE) {
        r->most = read->count > 1 ? read->count / 2 : 1;
        tier_count(&r->link->tier->numbers.failures, 1);
    } else if (q->code != 0) {
        tier_link_failed(r->link, &q->err);
    } else {
        tier_link_well(r->link);
        if (r->most < TIER_READ_KEYS && read->count >= r->most)
            r->most++;
        if (tier_row_begin(&at, buf_slice(&q->result)) >= 0)
            while (tier_row_next(&at, &row))
                tell(read, row.place - 1, row.whole ? &row : NULL);
    }
    end(read, q->code == 0);
}

static void read_on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_read *read = timer->data;
    struct tier_link *link = read->reader->link;
    backend_cancel(link->backend, &read->call);
    tier_link_late(link, "read", link->tier->conf.timeout_ms);
    end(read, false);
}

void tier_reader_stop(struct tier_reader *r)
{
    struct tier_ask *ask;
    while ((ask = pop(r)))
        ask->done(ask, NULL);
    while (!list_empty(&r->reads)) {
        struct tier_read *read = container_of(r->reads.next, struct tier_read, link);
        backend_cancel(r->link->backend, &read->call);
        end(read, false);
    }
}

/* ---- its beginning ---- */

/* The keys of the first n that are wanted. NULL: no memory. */
static struct tier_read *read_new(struct tier_reader *r, uint32_t n)
{
    struct tier_read *read = calloc(1, sizeof *read + n * sizeof *read->asks);
    if (!read)
        return NULL;
    read->reader = r;
    buf_init(&read->params, 0);
    int rc = mpw_array(&read->params, 1) | mpw_array(&read->params, n);
    struct list *link = r->wanted.next;
    for (uint32_t i = 0; i < n && rc == 0; i++, link = link->next)
        rc = mpw_str(&read->params, container_of(link, struct tier_ask, link)->key);
    if (rc == 0)
        return read;
    buf_fini(&read->params);
    free(read);
    return NULL;
}

static void start(struct tier_reader *r, struct tier_read *read, uint32_t n)
{
    struct tier_link *link = r->link;
    for (; read->count < n; read->count++) {
        struct tier_ask *ask = pop(r);
        ask->read = read;
        ask->place = read->count;
        read->asks[read->count] = ask;
    }
    list_push_back(&r->reads, &read->link);
    r->in_air++;
    tier_count(&link->tier->numbers.reads, n);
    ev_now_update(link->loop);
    ev_timer_init(&read->timeout, read_on_timeout, (double)link->tier->conf.timeout_ms / 1e3, 0.);
    read->timeout.data = read;
    ev_timer_start(link->loop, &read->timeout);
    tier_link_submit(link, &read->call, SQL_PACKED_ROWS, buf_slice(&link->sql.read),
                     buf_slice(&read->params), read_on_done);
}

void tier_reader_flush(struct tier_reader *r)
{
    while (r->wanted_count > 0 && r->in_air < TIER_READS) {
        uint32_t n = r->wanted_count < r->most ? (uint32_t)r->wanted_count : r->most;
        struct tier_read *read = read_new(r, n);
        if (!read) {
            tier_reader_stop(r);
            return;
        }
        start(r, read, n);
    }
}
