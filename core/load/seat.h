/*
 * seat: one flight's place on its loader thread: in a queue of its loader's, then in a load.
 *
 * Thread: the loader thread's. A seat holds the load's reference to its flight, and one to the
 * edition that its loader is of.
 */
#ifndef RTCACHE_LOAD_SEAT_H
#define RTCACHE_LOAD_SEAT_H

#include "load/binding.h"
#include "store/entry.h"
#include "tier/tier_read.h"

struct load;

/* Whom a queued seat goes behind. Within a class the first that came is the first to go. */
enum load_class {
    CLASS_SINGLE,
    CLASS_BULK, /* of a large get_many: takes turns with the singles */
    CLASS_REFRESH,
    CLASS_PREFETCH,
    CLASS_COUNT
};

struct seat {
    struct list link;
    struct binding *binding;
    struct flight *flight; /* one reference */
    struct load *load;     /* NULL while queued */
    enum load_class class;
    uint64_t turn; /* of the thread, when it came */
    int64_t queued_us;
    struct entry *stored; /* what the store held when the attempt began, for ctx.value; or NULL */
    struct hit stored_hit;
    bool apart;    /* while results are taken: it is to be asked for again, with fewer others */
    uint32_t part; /* of its load; see load_priv.h */
    struct tier_ask ask;           /* for its key's row in the tier */
    bool asking, rowless, brought; /* rowless: there is none; brought: into memory, unproven */
    uint64_t seen;                 /* tier_slots_now when the attempt began */
};

/* Takes over the flight's reference on success; NULL: no memory. */
struct seat *seat_new(struct binding *b, struct flight *f);
/* It is a seat of that loader from now on, as if it came now. In no queue, before and after. */
void seat_move(struct seat *seat, struct binding *b);
/* Its flight is the caller's. */
struct flight *seat_take_flight(struct seat *seat);
/* Its flight was taken. */
void seat_free(struct seat *seat);
/* Ends its flight with err, and frees the seat, which is in no queue. */
void seat_refuse(struct seat *seat, const struct err *err);
/* Reads what is stored, for ctx.value and rtcache.unchanged. */
void seat_take_stored(struct seat *seat);

#endif
