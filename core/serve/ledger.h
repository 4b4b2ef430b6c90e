/*
 * ledger: what all connections together hold, by kind, against client_memory.
 *
 *   I/O thread 0: | connections | input | output | ... | held |   a page, of its thread alone
 *   I/O thread 1: | connections | input | output | ... | held |
 *                                                        ----
 *                                 ledger_held = their sum + results of loads (store.h)
 *
 * Memory is written down where it is allocated and taken back where it is freed, at the granularity
 * of buffers and requests: a hit that is answered at once writes nothing. Shape: two cache lines a
 * thread; a change is a plain load and store of two words, reading all is O(threads). Thread: a
 * page is its I/O thread's, reading: any. Limits: none of its own; net/shed.h says who has to go.
 */
#ifndef RTCACHE_SERVE_LEDGER_H
#define RTCACHE_SERVE_LEDGER_H

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* X(enumerator, name, what it is) */
#define LEDGER_KINDS_TABLE(X)                                                                      \
    X(LEDGER_CONNECTIONS, "connections", "the connections themselves")                             \
    X(LEDGER_TLS, "tls", "an estimate for each connection over TLS")                               \
    X(LEDGER_INPUT, "input", "requests that have not come as a whole, or wait to be taken")        \
    X(LEDGER_OUTPUT, "output", "answers and notifications that are not written yet")               \
    X(LEDGER_REQUESTS, "requests", "requests that wait for loads")                                 \
    X(LEDGER_GATHERED, "gathered", "items of get_many that wait for the others")                   \
    X(LEDGER_JOBS, "jobs", "requests that are done in slices, with their arguments")               \
    X(LEDGER_WRITES, "writes", "put and delete that have not ended, with their values")            \
    X(LEDGER_SUBSCRIPTIONS, "subscriptions", "subscriptions with their texts")                     \
    X(LEDGER_AUTHS, "auths", "auth attempts that wait to be verified")

enum ledger_kind {
#define LEDGER_ENUM(id, name, text) id,
    LEDGER_KINDS_TABLE(LEDGER_ENUM)
#undef LEDGER_ENUM
        LEDGER_KINDS
};

/* One thread's. */
struct ledger_page {
    _Alignas(64) _Atomic size_t kinds[LEDGER_KINDS];
    _Atomic size_t held;        /* all kinds */
    _Atomic size_t connections; /* how many */
    _Atomic size_t unread;      /* of them, are not read for now */
    _Atomic size_t largest;     /* the least that its largest connection holds (net/shed.h) */
};

struct ledger {
    size_t count;
    struct ledger_page *pages;
    /* Taken by connections, from accepting them until they are closed: what max_connections bounds.
     * Exact, which a difference of counters need not be. */
    _Alignas(64) _Atomic size_t places;
    _Atomic size_t limit; /* client_memory, as the I/O threads have it */
};

int ledger_new(struct ledger **out, size_t threads, struct err *e) MUST_USE;
void ledger_free(struct ledger *l); /* NULL is allowed */

static inline void ledger_change(_Atomic size_t *word, size_t plus)
{
    size_t v = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, v + plus, memory_order_relaxed);
}

static inline void ledger_add(struct ledger_page *p, enum ledger_kind kind, size_t bytes)
{
    ledger_change(&p->kinds[kind], bytes);
    ledger_change(&p->held, bytes);
}

/* No more than was added. */
static inline void ledger_take(struct ledger_page *p, enum ledger_kind kind, size_t bytes)
{
    ledger_change(&p->kinds[kind], (size_t)0 - bytes);
    ledger_change(&p->held, (size_t)0 - bytes);
}

static inline void ledger_tell_largest(struct ledger_page *p, size_t bytes)
{
    atomic_store_explicit(&p->largest, bytes, memory_order_relaxed);
}

/* Of any thread. */
static inline void ledger_take_place(struct ledger *l)
{
    atomic_fetch_add_explicit(&l->places, 1, memory_order_relaxed);
}

static inline void ledger_give_place(struct ledger *l)
{
    atomic_fetch_sub_explicit(&l->places, 1, memory_order_relaxed);
}

static inline size_t ledger_read(const _Atomic size_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void ledger_tell_limit(struct ledger *l, size_t bytes)
{
    atomic_store_explicit(&l->limit, bytes, memory_order_relaxed);
}

static inline size_t ledger_limit(const struct ledger *l)
{
    return ledger_read(&l->limit);
}

/* All threads together; results of loads are part of it. */
size_t ledger_held(const struct ledger *l);
size_t ledger_kind_held(const struct ledger *l, enum ledger_kind kind);
size_t ledger_connections(const struct ledger *l);
size_t ledger_unread(const struct ledger *l);
/* The largest of what other threads than p's say of their largest. */
size_t ledger_largest_beside(const struct ledger *l, const struct ledger_page *p);
/* Bytes of results of loads that are on their way to those who wait, or wait to be written. */
size_t ledger_results(void);
const char *ledger_kind_name(enum ledger_kind kind);

#endif
