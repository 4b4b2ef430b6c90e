/*
 * entry: what is stored under a key, in one piece.
 *
 *   state 4 | timer 4 | links 8 | stored, sizes, deadlines 16 | loader, references, flags 7
 *     | sizes 8, where they are large | version 8, where there is one | key | value
 *     | count 1, since 8, slots 4 each, size of the texts 2, texts, where there are tags
 *
 * Shape: 40 bytes beside key and value; 8 more with a version, 8 with a key over 255 bytes or a
 * value of 16 MiB, 11 with tags and for each tag 4 and its text, packed. Key, version, value, tags
 * and `flags` never change while more than the shard has a reference (but for `since`:
 * entry_renew); all else belongs to the shard that holds the entry, changes under its lock only,
 * and an entry to which nobody else has a reference may move there. Deadlines are spans (span.h)
 * from the time it was stored. Thread: references, key and value: any. Everything else: under the
 * shard's lock. Limits: a key of 65,535 bytes, a value of 4 GiB - 1; ENTRY_REFS_MAX references.
 */
#ifndef RTCACHE_STORE_ENTRY_H
#define RTCACHE_STORE_ENTRY_H

#include "base/near_list.h"
#include "base/slice.h"
#include "store/marks.h"
#include "store/span.h"
#include "store/store.h"
#include "store/wheel.h"

#include <stdatomic.h>
#include <stdint.h>

#define ENTRY_KEY_MAX  UINT16_MAX
#define ENTRY_REFS_MAX 32768 /* whoever wants one more takes a copy */

enum { /* entry.flags */
       ENTRY_NEGATIVE = 1,
       ENTRY_VERSIONED = 2,
       ENTRY_TAGGED = 4,
       ENTRY_WIDE = 8,     /* its sizes are in front of the version */
       ENTRY_OUTSIDE = 16, /* of malloc, in no heap */
};

enum {                       /* entry.life: the shard's */
       ENTRY_HOLE = 1,       /* the heap's: no entry at all */
       ENTRY_AFTER_HOLE = 2, /* the heap's */
       ENTRY_STORED = 4,     /* in the table; else it lives for the references that are left */
       ENTRY_EARLY = 8,      /* its loader has early_beta */
       ENTRY_UNPROVEN = 16,  /* a candidate: of it KEPT is left, and is no answer */
};

enum { /* entry.state: the policy's */
       ENTRY_FREQUENCY = 3,
       ENTRY_IN_MAIN = 4,
       ENTRY_SCORE_SHIFT = 3,
       ENTRY_SCORE = 7 << ENTRY_SCORE_SHIFT,
};

struct entry {
    uint8_t life; /* has to come first: a hole has it too */
    uint8_t state;
    uint8_t globs_seen; /* the low bits of the number of patterns that it has been judged by */
    uint8_t stored_high;
    struct timer timer;     /* in the TTL wheel */
    struct near_list queue; /* in a queue of the policy */
    union {
        uint32_t stored_low; /* in the time of its shard, 40 bits */
        uint32_t next;       /* without a reference left: the heap's (heap_return) */
    };
    uint32_t short_key_size : 8, short_value_size : 24;
    uint16_t fresh, stale, keep; /* spans: from stored; the others from the end of fresh */
    uint16_t load;               /* a span, of microseconds */
    uint16_t owner;              /* its loader's slot (snapshot.h); 0: none */
    uint16_t ahead; /* share of fresh, in 1/65536: still due then; 0: not, or not any more */
    _Atomic uint16_t refs;
    uint8_t flags;
    uint8_t reads; /* by clients, since it was stored or touched; 255: or more */
    char data[];
};

/* Its bytes. */
size_t entry_size(const struct put *p);
/* Whether key, value and tags are within what an entry's header can tell. */
bool entry_can_hold(const struct put *p);

/* Everything but `life` and the bytes of version, key and value, which entry_fill adds; in no list,
 * without deadlines, one reference, the caller's. */
void entry_shape(struct entry *e, const struct put *p);
void entry_fill(struct entry *e, const struct put *p);

/* Outside of any heap, shaped and filled. NULL: no memory, or out of its limits. */
struct entry *entry_new(const struct put *p);

/* What it takes in a heap, in its units and in bytes; constant for its life. */
uint32_t entry_units(const struct entry *e);
size_t entry_bytes(const struct entry *e);

/* As a put at now_ms, which counts as its shard does; the reads begin anew. Where it is linked
 * in a wheel it has to be taken out before. */
void entry_set_deadlines(struct entry *e, const struct put *p, int64_t now_ms);
/* How long its load took, up to this moment: waited_ms have passed since the put was made, for the
 * lock. So its age and its load together never tell of a later begin than there was. */
void entry_set_load(struct entry *e, const struct put *p, int64_t waited_ms);
/* Whose it is, and whether reads may refresh it; it is no candidate any more. */
void entry_set_loader(struct entry *e, const struct put *p);

/* Whether a put of what is stored anyway comes down to new deadlines: the value is the entry's own,
 * and so are its version and its tags. */
bool entry_is_renewal(const struct entry *e, const struct put *p);
/* As if it had been stored by such a put at now_ms, but for entry_set_load. */
void entry_renew(struct entry *e, const struct put *p, int64_t now_ms);

/* When nothing of it may be served any more, in the time of its shard; STORE_FOREVER_MS. */
int64_t entry_dies_ms(const struct entry *e);

/* The share of its ttl at which it has its ahead time; 0: it has none. */
float entry_ahead_share(const struct entry *e);

/* Its next due time in the wheel: its ahead time, if it has one, then its end; STORE_FOREVER_MS:
 * none. */
int64_t entry_due_ms(const struct entry *e);

/* A read by a client. */
static inline void entry_count_read(struct entry *e)
{
    e->reads = (uint8_t)(e->reads + (e->reads != UINT8_MAX));
}

static inline int64_t entry_stored_ms(const struct entry *e)
{
    return (int64_t)e->stored_high << 32 | e->stored_low;
}

/* 0 for a reader whose clock is behind. */
static inline int64_t entry_age_ms(const struct entry *e, int64_t now_ms)
{
    int64_t age = now_ms - entry_stored_ms(e);
    return age > 0 ? age : 0;
}

/* How long it will be fresh for a reader who sees age_ms, <= 0 past that; STORE_FOREVER_MS. */
static inline int64_t entry_left_ms(const struct entry *e, int64_t age_ms)
{
    return e->fresh == SPAN_FOREVER ? STORE_FOREVER_MS : span_ms(e->fresh) - age_ms;
}

/* Its status for a reader who sees that it is left so long; LOOKUP_MISS: expired. */
static inline enum lookup entry_status_left(const struct entry *e, int64_t left_ms)
{
    if (left_ms > 0)
        return e->flags & ENTRY_NEGATIVE ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
    if (-left_ms < span_ms(e->stale))
        return LOOKUP_STALE;
    if (-left_ms >= span_ms(e->keep))
        return LOOKUP_MISS;
    return e->life & ENTRY_UNPROVEN ? LOOKUP_CANDIDATE : LOOKUP_KEPT;
}

static inline enum lookup entry_status(const struct entry *e, int64_t age_ms)
{
    return entry_status_left(e, entry_left_ms(e, age_ms));
}

/* Whether it was stored, or made, stale: nothing but a put makes it fresh again. */
static inline bool entry_is_made_stale(const struct entry *e)
{
    return e->fresh == 0;
}

static inline int64_t entry_load_us(const struct entry *e)
{
    return span_ms(e->load);
}

/* Of the two sizes of a WIDE one. */
static inline uint32_t entry_wide_size(const struct entry *e, unsigned which)
{
    uint32_t size;
    memcpy(&size, e->data + which * sizeof size, sizeof size);
    return size;
}

static inline uint32_t entry_key_size(const struct entry *e)
{
    return __builtin_expect(e->flags & ENTRY_WIDE, 0) ? entry_wide_size(e, 0) : e->short_key_size;
}

static inline uint32_t entry_value_size(const struct entry *e)
{
    return __builtin_expect(e->flags & ENTRY_WIDE, 0) ? entry_wide_size(e, 1) : e->short_value_size;
}

static inline size_t entry_version_offset(const struct entry *e)
{
    return e->flags & ENTRY_WIDE; /* 8 bytes */
}

static inline size_t entry_key_offset(const struct entry *e)
{
    return entry_version_offset(e) + (e->flags & ENTRY_VERSIONED ? sizeof(int64_t) : 0);
}

static inline struct slice entry_key(const struct entry *e)
{
    return slice_of(e->data + entry_key_offset(e), entry_key_size(e));
}

/* Where its value ends, and its tags begin. */
static inline const char *entry_end(const struct entry *e)
{
    return e->data + entry_key_offset(e) + entry_key_size(e) + entry_value_size(e);
}

/* ENTRY_TAGGED: what it has beside its value. */
struct entry_tags {
    unsigned count;
    struct slice texts; /* packed; borrowed */
    uint32_t slots[MARKS_TAGS_MAX];
};
/* count 0 where it has none. The texts live as long as the value. */
void entry_read_tags(const struct entry *e, struct entry_tags *out);
/* What has overtaken its tags: MARK_NONE where it has none. */
enum mark entry_judge_tags(const struct entry *e, const struct marks *m);

/* 0 where it has none. */
static inline int64_t entry_version(const struct entry *e)
{
    int64_t version = 0;
    if (e->flags & ENTRY_VERSIONED)
        memcpy(&version, e->data + entry_version_offset(e), sizeof(version));
    return version;
}

/* Whether nothing was told of its tags since its load began. */
static inline bool entry_is_quiet(const struct entry *e, const struct marks *m)
{
    if (!(e->flags & ENTRY_TAGGED))
        return true;
    const char *at = entry_end(e);
    uint64_t since;
    memcpy(&since, at + 1, sizeof since);
    return marks_quiet(m, at + 1 + sizeof since, (unsigned char)*at, since);
}

#endif
