/*
 * entry: what is stored under a key, in one allocation.
 *
 *   links 40 | references, sizes, deadlines, flags 39 | version 8, where there is one | key | value
 *   | count 1, since 8, slots 4 each, where there are tags
 *
 * Shape: 79 bytes, or 87 with a version, beside key and value; 9 and 4 for each tag more. Key,
 * version, value and tags never change after entry_new (but for `since`: entry_renew); the links,
 * the deadlines, `state` and `reads` belong to the shard that holds the entry and change under its
 * lock only. Deadlines are spans (span.h) from the time it was stored. In the wheel it is due at
 * its ahead time first, if it has one, and then at its end. Thread: references, key and value: any.
 * Everything else: under the shard's lock. Limits: a key of 65,535 bytes, a value of 4 GiB - 1.
 */
#ifndef RTCACHE_STORE_ENTRY_H
#define RTCACHE_STORE_ENTRY_H

#include "base/list.h"
#include "base/slice.h"
#include "store/marks.h"
#include "store/span.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdint.h>

#define ENTRY_KEY_MAX UINT16_MAX

enum { /* entry.flags */
       ENTRY_NEGATIVE = 1,
       ENTRY_VERSIONED = 2,
       ENTRY_TAGGED = 4,
       ENTRY_EARLY = 8, /* its loader has early_beta */
};

enum { /* entry.state: the policy's */
       ENTRY_FREQUENCY = 3,
       ENTRY_IN_MAIN = 4,
};

struct entry {
    struct list wheel; /* in a slot of the TTL wheel, or alone */
    struct list queue; /* in a queue of the policy */
    uintptr_t next;    /* in the table's chain, tagged */
    _Atomic uint32_t refs;
    uint32_t value_size;
    uint32_t fresh, stale, keep; /* spans: from stored; from the end of fresh; likewise */
    uint32_t load_us;
    uint32_t stored_low; /* milliseconds since the store's start, 40 bits */
    uint16_t key_size;
    uint16_t owner; /* its loader's slot (snapshot.h); 0: none */
    uint16_t ahead; /* share of fresh, in 1/65536: still due then; 0: not, or not any more */
    uint8_t reads;  /* by clients, since it was stored or touched; 255: or more */
    uint8_t flags;
    uint8_t state;
    uint8_t stored_high;
    uint8_t globs_seen; /* the low bits of the number of patterns that it has been judged by */
    char data[];
};

/* Bytes before the allocator's own overhead. */
size_t entry_size(const struct put *p);

/* Without deadlines; one reference, the caller's. NULL: no memory. */
struct entry *entry_new(const struct put *p);

/* What it costs, the allocator's overhead included; constant for its life. */
size_t entry_bytes(const struct entry *e);

/* As a put at now_ms, which counts from the store's start; the reads begin anew. Where it is linked
 * in a wheel it has to be taken out before. */
void entry_set_deadlines(struct entry *e, const struct put *p, int64_t now_ms);

/* Whether a put of what is stored anyway comes down to new deadlines: the value is the entry's own,
 * and so are its version and its tags. */
bool entry_is_renewal(const struct entry *e, const struct put *p);
/* As if it had been stored by such a put at now_ms. */
void entry_renew(struct entry *e, const struct put *p, int64_t now_ms);

/* When nothing of it may be served any more, in ms since the store's start; STORE_FOREVER_MS. */
int64_t entry_dies_ms(const struct entry *e);

/* Its next due time in the wheel: STORE_FOREVER_MS: none. */
int64_t entry_due_ms(const struct entry *e);

/* Its status for a reader who sees age_ms; LOOKUP_MISS: expired. */
enum lookup entry_status(const struct entry *e, int64_t age_ms);

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

/* A read by a client. */
static inline void entry_count_read(struct entry *e)
{
    e->reads = (uint8_t)(e->reads + (e->reads != UINT8_MAX));
}

static inline size_t entry_key_offset(const struct entry *e)
{
    return e->flags & ENTRY_VERSIONED ? sizeof(int64_t) : 0;
}

static inline struct slice entry_key(const struct entry *e)
{
    return slice_of(e->data + entry_key_offset(e), e->key_size);
}

/* ENTRY_TAGGED: what it has beside its value. */
struct entry_tags {
    unsigned count;
    uint32_t slots[MARKS_TAGS_MAX];
};
/* count 0 where it has none. */
void entry_read_tags(const struct entry *e, struct entry_tags *out);
/* What has overtaken its tags: MARK_NONE where it has none. */
enum mark entry_judge_tags(const struct entry *e, const struct marks *m);

/* 0 where it has none. */
static inline int64_t entry_version(const struct entry *e)
{
    int64_t version = 0;
    if (e->flags & ENTRY_VERSIONED)
        memcpy(&version, e->data, sizeof(version));
    return version;
}

/* Whether nothing was told of its tags since its load began. */
static inline bool entry_is_quiet(const struct entry *e, const struct marks *m)
{
    if (!(e->flags & ENTRY_TAGGED))
        return true;
    const char *at = e->data + entry_key_offset(e) + e->key_size + e->value_size;
    uint64_t since;
    memcpy(&since, at + 1, sizeof since);
    return marks_quiet(m, at + 1 + sizeof since, (unsigned char)*at, since);
}

#endif
