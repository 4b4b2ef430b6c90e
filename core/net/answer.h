/*
 * answer: the forms in which a read is answered: the bare value, an entry's map, an item of
 * get_many.
 *
 *   struct answer a;
 *   answer_open(&a, target);            -- everything before the value
 *   store_get(..., a.out, ...)          -- the value, straight into the connection's buffer
 *   answer_close(&a, &facts);           -- everything after it;  or answer_undo(&a)
 *
 * Thread: the target's I/O thread. Errors: a buffer that cannot grow breaks the connection.
 */
#ifndef RTCACHE_NET_ANSWER_H
#define RTCACHE_NET_ANSWER_H

#include "net/conn.h"
#include "net/target.h"
#include "serve/ask.h"

struct facts {
    enum status status;
    bool has_version;
    int64_t version, age_ms, ttl_ms; /* ttl_ms STORE_FOREVER_MS: no end */
    uint32_t load_us;
    const struct err *err;      /* STALE_ERROR */
    const struct entry *tagged; /* of whose tags is told; NULL: it has none */
    size_t too_large, largest;  /* its bytes, where it could not be kept, and what could; else 0 */
};

struct answer {
    const struct target *target;
    struct buf *out;
    size_t mark, map_at;
    int rc;
};

/* The bare value of a request, as nearly all are, has its way in this file; answer_open_form and
 * answer_done_form know all others. */
void answer_open_form(struct answer *a, const struct target *t);
static inline __attribute__((always_inline)) void answer_open(struct answer *a,
                                                              const struct target *t)
{
    if (__builtin_expect(t->form != FORM_VALUE || t->notify || !t->conn, 0)) {
        answer_open_form(a, t);
        return;
    }
    a->target = t;
    a->out = conn_out(t->conn);
    a->mark = a->out->size;
    a->rc = rpc_reply_head(a->out, t->msgid);
}
void answer_close(struct answer *a, const struct facts *f);
static inline void answer_undo(struct answer *a)
{
    a->out->size = a->mark;
}

/* The value of an entry, as it is or by reference, where answers are sent from where they lie; the
 * reference is taken over. Nothing may undo the answer after it. */
void answer_share(struct answer *a, struct entry *e);

/* Whether a lookup is to hold the entry, of which more is told than its value. */
static inline bool answer_holds(const struct answer *a)
{
    return a->target->form >= FORM_ENTRY;
}
/* Where a lookup copies the value to; NULL where it holds the entry. */
static inline struct buf *answer_room(const struct answer *a)
{
    return answer_holds(a) ? NULL : a->out;
}
/* Where serve/ask copies the value to, or that it has to hold the entry. */
static inline struct ask_room answer_ask_room(const struct answer *a)
{
    return (struct ask_room){.out = a->out, .held = answer_holds(a)};
}
/* Closes the answer to a lookup that copied to answer_room, or holds the value; takes over what it
 * holds. */
void answer_found(struct answer *a, struct hit *hit, struct facts *f);

/* Closes the answer that there is nothing. */
void answer_absent(struct answer *a, const struct facts *f);

/* Whole answers. */
void answer_entry(const struct target *t, struct entry *e, const struct facts *f);
void answer_nil(const struct target *t, const struct facts *f);
/* An item of get_many that is being loaded: {pending = true}. */
void answer_pending(const struct target *t);
void answer_error(const struct target *t, const struct err *e);
void answer_true(const struct target *t, bool v);
/* [1, msgid, nil, and then the caller packs one value into the buffer; answer_done closes. */
struct buf *answer_begin(struct answer *a, const struct target *t);
void answer_done_form(struct answer *a, int rc);
static inline void answer_done(struct answer *a, int rc)
{
    const struct target *t = a->target;
    rc |= a->rc;
    if (__builtin_expect(rc != 0 || t->form == FORM_ITEM || a->out == &t->io->sink, 0))
        answer_done_form(a, rc);
    else
        conn_touch(t->conn);
}

struct facts facts_of_hit(enum status status, const struct hit *hit);

#endif
