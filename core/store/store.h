/*
 * store: the entries, in memory, shared by all threads.
 *
 *   key --hash--> shard --(short lock)--> table slot --> entry { header | key | packed value }
 *                   |-- TTL wheel (wheel.h): expiry costs O(1) per entry
 *                   `-- eviction policy (policy.h): who leaves when the memory is full
 *
 * It knows no I/O, no Lua and no clock: now_ms is a parameter, from one clock that never goes back.
 * A lookup is O(1) and allocates nothing. Values of up to STORE_COPY_MAX bytes are copied under the
 * shard's lock, longer ones are shared by reference.
 * Thread: any, every function. No callback runs under a lock.
 * Limits: options.memory_bytes, counted over all memory that may be resident for entries, tables
 * and their overhead, what is lost to holes included; a put that would pass it evicts first, and
 * what new deadlines need (a page now and then) is had back with the next tick. An entry larger
 * than 1/8 of a shard's share (store_largest) is refused with ERR_TOO_LARGE.
 */
#ifndef RTCACHE_STORE_STORE_H
#define RTCACHE_STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/slice.h"

#include <stdint.h>

#define STORE_COPY_MAX   4096
#define STORE_FOREVER_MS INT64_MAX
#define STORE_GLOBS_MAX  100

struct store;
struct marks;
struct entry; /* a shared, reference-counted, immutable value: see entry.h */

struct store_options {
    size_t memory_bytes; /* at least 32 KiB a shard, at most 4 GiB */
    unsigned shards;     /* a power of two, at most 4096 */
    uint64_t seed;       /* of the keyed hash: store_hash */
    int64_t now_ms;
    struct marks *marks; /* of the tags; borrowed. NULL: no put has any */
    unsigned globs_max;  /* at most STORE_GLOBS_MAX; 0: that */
};

enum lookup {
    LOOKUP_MISS,
    LOOKUP_CANDIDATE, /* with WANT_CANDIDATE alone: what is no answer (store_restore) */
    LOOKUP_FRESH,
    LOOKUP_STALE,    /* past fresh_until, before stale_until */
    LOOKUP_KEPT,     /* past stale_until, kept for stale_if_error */
    LOOKUP_NEGATIVE, /* a fresh negative entry */
};

/* What a lookup is for. */
enum {
    WANT_STALE = 1, /* the value of a STALE entry too (that of a FRESH one always comes) */
    WANT_KEPT = 2,  /* and that of a KEPT one */
    WANT_PEEK = 4,  /* not a client's read: no recency, no frequency */
    WANT_BARE = 8,  /* of the hit: its owner, and where it is early age, ttl and load_us; no more */
    WANT_CANDIDATE = 16, /* a candidate is not a MISS; with WANT_KEPT its value comes too */
};

struct hit {
    int64_t version;  /* valid where has_version */
    int64_t age_ms;   /* since it was stored or touched */
    int64_t ttl_ms;   /* till fresh_until, <= 0 past it; STORE_FOREVER_MS: no end */
    uint32_t load_us; /* how long its load took, until it was stored */
    uint16_t owner;   /* of the put */
    bool early;       /* of the put */
    bool has_version;
    /* Where the value was not copied (longer than STORE_COPY_MAX, or out was NULL and the status is
     * one whose value is wanted): one reference, owned by the caller, given back with entry_unref.
     */
    struct entry *entry;
};

/* Who loaded an entry, and when it is to be loaded again ahead of its end. */
struct refresh {
    int64_t ahead_ms; /* of its ttl: store_tick hands it over then; 0: never */
    uint16_t owner;   /* its loader's slot (snapshot.h): for hits; 0: none */
    bool early;       /* its loader has early_beta: for hits */
};

#define TTL_OVER (-1) /* a put's ttl_ms: it is past fresh_until from now on */

struct put {
    struct slice key;
    uint64_t hash;
    struct slice value; /* packed; ignored for a negative entry */
    bool renews;        /* value may be that of the entry that is stored, unchanged */
    bool negative;      /* ttl_ms is its negative_ttl; stale_ttl_ms and keep_ms are ignored */
    bool has_version;
    int64_t version;
    int64_t ttl_ms;       /* jitter is already in it; 0: for ever */
    int64_t stale_ttl_ms; /* counted from the end of ttl */
    int64_t keep_ms;      /* stale_if_error, counted from the end of ttl */
    struct refresh refresh;
    uint32_t load_us;
    const uint32_t *tags; /* slots (marks.h), tag_count of them */
    unsigned tag_count;
    struct slice tag_texts; /* with tags: as they were given, packed, for entry_tag_texts */
    uint64_t since;         /* marks_now when its load began; of use only with tags */
    struct room *room;      /* of store_make_room; NULL: there is none */
};

/* Room for one large entry, had before its put, which takes it. {0} begins. */
struct room {
    struct entry *entry; /* NULL: not yet, or it was taken; else to be given back, by entry_unref */
    uint64_t passed, bound;
    size_t key_size, value_size, texts_size; /* of the put that it is for */
    unsigned tag_count;
    bool has_version;
};

/* Summed over shards when read. */
struct store_stats {
    uint64_t entries;   /* all that are in memory, expired ones that were not met yet included */
    uint64_t negatives; /* of them */
    uint64_t bytes, memory_limit; /* bytes: what is resident, holes included */
    uint64_t entry_bytes;         /* of bytes: the entries' own */
    uint64_t holes;               /* of bytes: between entries, in use for none */
    uint64_t puts, evictions, expirations, removals, refused;
    uint64_t marked;   /* dropped for a tag or a pattern */
    uint64_t renewals; /* of the puts, those that took no copy */
    uint64_t globs;    /* patterns whose scan has not ended, of the shard that is furthest behind */
};

/* ERR_CONFIG (options out of their bounds) or ERR_NOMEM. */
int store_new(struct store **out, const struct store_options *o, struct err *e) MUST_USE;
void store_free(struct store *s); /* NULL is allowed; no reference to an entry of it is left */

uint64_t store_hash(const struct store *s, struct slice key);

/* Ask for the memory that a call for this hash will touch, ahead of it: first the place in the
 * table, then, when that has come, the entry. For several keys at a time; no lock is taken, and
 * nothing is promised. */
void store_prefetch(const struct store *s, uint64_t hash);
void store_prefetch_entry(const struct store *s, uint64_t hash);

/* The value, where the status is one whose value is wanted, is appended to out (whose failure gives
 * LOOKUP_MISS and leaves out as it was), or comes as hit->entry. hit is always filled, but for what
 * WANT_BARE leaves open. */
enum lookup store_get(struct store *s, struct slice key, uint64_t hash, int64_t now_ms,
                      unsigned want, struct buf *out, struct hit *hit);

/* Stores or replaces. ERR_TOO_LARGE (nothing is stored, and what was stored is removed, for it is
 * known to be old), ERR_NOMEM (with the same effect), ERR_BAD_KEY (empty, or over 65,535 bytes). e
 * may be NULL. A negative ttl_ms stores an entry that is past fresh_until already. */
int store_put(struct store *s, const struct put *p, int64_t now_ms, struct err *e) MUST_USE;

/* What takes a put long that many small entries have to leave for, in steps of about 0.1 ms. true:
 * call again. Else room->entry is there, or the put has to look for itself. A put of other sizes
 * than p's leaves the room alone. */
#define STORE_ROOM_LEAST 16384 /* bytes of a value for which it is worth while */
bool store_make_room(struct store *s, const struct put *p, struct room *room) MUST_USE;

/* Whether there was an entry (an expired one does not count, nor does a candidate, which goes). */
bool store_remove(struct store *s, struct slice key, uint64_t hash, int64_t now_ms);
/* Unless it is a value of this version, or of a newer one. An absence that was loaded proves less
 * than whoever names a version, and goes. */
bool store_remove_below(struct store *s, struct slice key, uint64_t hash, int64_t now_ms,
                        int64_t version);

/* Moves the deadlines as `deadlines` put at now_ms would, the value stays. false: nothing was
 * moved: there is no value, it is past stale_until, or it was made stale (by store_expire, a tag or
 * a pattern, or stored so): only what is stored anew is fresh again then. */
bool store_touch(struct store *s, const struct put *deadlines, int64_t now_ms);

/* A value that is fresh is stale from now on, and one that is stale already will be no longer for
 * it; an absence goes. Whether there was an entry. */
bool store_expire(struct store *s, struct slice key, uint64_t hash, int64_t now_ms);

/* An entry at its ahead time, which clients have read since it was stored or touched. */
struct ahead {
    struct entry *entry; /* one reference, the caller's: for entry_key_of */
    uint64_t hash;
    unsigned reads; /* 255: or more */
    float share;    /* of its ttl that had passed then */
};

/* What a tick hands over, most read first. Past `max` the rest waits for the next tick. */
struct aheads {
    struct ahead *items; /* borrowed */
    size_t max, count;
};

/* Brings the wheels to now_ms, at most `most` entries per call, which expire or pass their ahead
 * time; how many. To be called every STORE_TICK_MS or so; lookups are right without it, memory
 * comes back through it. out: what is to be loaded ahead; what was not read, is absent, or has been
 * overtaken is left to its end. NULL: all is. */
#define STORE_TICK_MS 10
size_t store_tick(struct store *s, int64_t now_ms, size_t most, struct aheads *out);

/* What is stored and matches g is dropped (soft: stale until it is stored again). In force when it
 * returns, for readers; a scan, which store_sweep goes on with, takes the entries away.
 * ERR_OVERLOADED: globs_max of them are being scanned for. ERR_NOMEM. */
int store_apply_glob(struct store *s, const struct glob *g, bool soft) MUST_USE;

/* Looks at about `most` entries for the patterns that are being scanned for; how many. 0: there is
 * nothing to do. */
size_t store_sweep(struct store *s, int64_t now_ms, size_t most);

/* A smaller limit evicts at once; one outside the bounds of store_options becomes the nearest. */
void store_set_memory(struct store *s, size_t memory_bytes, int64_t now_ms);

void store_read_stats(struct store *s, struct store_stats *out);

/* Where a walk over all entries is; {0} begins. It may take any time, and any number of puts and
 * removals, of which it keeps nothing in the store. */
struct dump_cursor {
    unsigned shard;
    bool begun; /* in this shard */
    bool done;  /* there is no more */
    uint8_t bits;
    uint64_t low, high;
};

/* Appends the records (record.h) of the next entries, *count of them, about most_bytes but for what
 * is longer alone, under one hold of one shard's lock. Every entry that is there from the first
 * call to the last comes at least once, in an order by which a store of the same seed is filled
 * evenly. What no reader would get any more is left out; what is kept for stale_if_error, and a
 * candidate, are not. *count may be 0 before the end. ERR_NOMEM, ERR_TOO_LARGE: of out; out and
 * cursor are then as they were. */
int store_dump(struct store *s, struct dump_cursor *cursor, int64_t now_ms, size_t most_bytes,
               struct buf *out, size_t *count) MUST_USE;

/* As what an entry comes back. */
enum restored {
    RESTORED_PROVEN, /* as it was; a candidate stays one */
    RESTORED_STALE,  /* as if store_expire had been called now */
    /* Never an answer (get, peek, get_entry, stale_if_error: there is nothing), but what a load is
     * shown as stored, for as long as the entry would have lived. An absence is none. */
    RESTORED_CANDIDATE,
};

struct record;

/* What store_restore is told beside the record. */
struct restore {
    enum restored as;
    int64_t passed_ms;      /* since the record was made */
    struct refresh refresh; /* owner and early as its loader has them now; its ahead time is the
                               record's, where ahead_ms is not 0 */
    bool judged;            /* by all tags that were told of up to `since`, a number of marks_now */
    uint64_t since;         /* where it is not: as if it was by all up to now */
};

/* Puts an entry back with what is left of its times. *stored: false where nothing is left of it, or
 * where its key is stored already, of a version that is not lower. Where memory lacks, others leave
 * for it as the policy says, which knows what the record tells of its reads. ERR_TOO_LARGE,
 * ERR_NOMEM, ERR_BAD_KEY: as store_put; what is stored stays. e may be NULL. */
int store_restore(struct store *s, const struct record *r, const struct restore *how,
                  int64_t now_ms, bool *stored, struct err *e) MUST_USE;

/* A counted reference to an immutable packed value, also made outside the store (a load's result
 * that many waiters share). */
struct entry *
entry_new_value(struct slice packed); /* NULL: no memory; one reference, the caller's */
/* The value of p with its tags; all else of p is ignored. NULL: no memory; one reference. */
struct entry *entry_new_tagged(const struct put *p);
struct entry *entry_ref(struct entry *e);
/* A reference for whoever may be one of very many: where there are too many it is one to a copy.
 * NULL: no memory for that. */
struct entry *entry_hold(struct entry *e);
void entry_unref(struct entry *e);                /* any thread; NULL is allowed */
struct slice entry_value(const struct entry *e);  /* borrowed while a reference is held */
struct slice entry_key_of(const struct entry *e); /* borrowed; empty for entry_new_value's */

/* What e takes where it was made outside the store; else 0: it is the store's. */
size_t entry_outside_size(const struct entry *e);
/* What all values that were made outside the store take and are not given back yet, in bytes. Any
 * thread. */
size_t entry_outside_bytes(void);

/* What is told of an entry's tags: a packed str or an array of them, borrowed as the value is. */
enum entry_tagged {
    TAGGED_NOT,     /* it has none */
    TAGGED_TEXTS,   /* those of texts */
    TAGGED_UNKNOWN, /* nobody has said which: every tag is taken for one of its own */
};
enum entry_tagged entry_tag_texts(const struct entry *e, struct slice *texts);

/* What a put would take, and what one of that hash may. */
size_t store_size_of(const struct put *p);
size_t store_largest(const struct store *s, uint64_t hash);

#endif
