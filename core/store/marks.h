/*
 * marks: what was invalidated by more than its key: tags and patterns, in one order.
 *
 *   seq: 1 2 3 ...          every such invalidation takes the next number
 *   tag --hash--> slot      { any: the last that was about it, hard: the last that killed it }
 *   globs                   the last MARKS_GLOBS patterns, with their numbers
 *
 * A load notes the number that was the newest when it began (`since`); what it brings is overtaken
 * by every mark above that. An entry with tags keeps its `since` and its slots, so that a tag is
 * invalidated in O(1) however many entries carry it; tags that share a slot are invalidated
 * together. One slot more, marks_any_tag, is that of values of which nobody has said what tags they
 * have: every tag is about it. Patterns reach entries through the store (store_apply_glob).
 * Shape: 16 bytes a slot. Thread: any; the slots are atomics, the globs under a lock of their own,
 * which is a leaf. Limits: tag_slots; a load that began before the oldest pattern that is
 * remembered counts as overtaken.
 */
#ifndef RTCACHE_STORE_MARKS_H
#define RTCACHE_STORE_MARKS_H

#include "base/err.h"
#include "base/glob.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define MARKS_GLOBS    128
#define MARKS_TAGS_MAX 64 /* of one entry */
#define MARKS_TAG_SIZE 255

struct marks_state;

struct marks {
    _Atomic uint64_t *any, *hard;   /* by slot; owned */
    const _Atomic uint64_t *newest; /* number, of all */
    struct marks_state *state;
    uint32_t slot_mask;
};

enum mark {
    MARK_NONE,
    MARK_SOFT, /* served as stale until it is loaded again */
    MARK_HARD, /* never served again */
};

/* tag_slots: a power of two. ERR_NOMEM. */
int marks_new(struct marks **out, size_t tag_slots, uint64_t seed, struct err *e) MUST_USE;
void marks_free(struct marks *m); /* NULL is allowed */

/* The newest number; what begins now is overtaken by those above it. m NULL: 0, here and below. */
uint64_t marks_now(const struct marks *m);

uint32_t marks_slot(const struct marks *m, struct slice tag);
/* What carries it is overtaken by every tag. */
static inline uint32_t marks_any_tag(const struct marks *m)
{
    return m->slot_mask + 1;
}

/* In force when it returns; its number. */
uint64_t marks_tag(struct marks *m, struct slice tag, bool soft);
/* Every tag there is, in the time of a walk over the slots. */
uint64_t marks_all_tags(struct marks *m, bool soft);
uint64_t marks_glob(struct marks *m, const struct glob *g, bool soft);

/* Whether no tag of these was told of since, which is all that a hit asks. slots: count of
 * uint32_t, aligned or not. */
static inline bool marks_quiet(const struct marks *m, const char *slots, size_t count,
                               uint64_t since)
{
    if (atomic_load_explicit(m->newest, memory_order_acquire) <= since)
        return true;
    for (const char *end = slots + count * sizeof(uint32_t); slots < end;
         slots += sizeof(uint32_t)) {
        uint32_t n;
        memcpy(&n, slots, sizeof n);
        if (atomic_load_explicit(&m->any[n], memory_order_acquire) > since)
            return false;
    }
    return true;
}

/* The hardest of what overtook something that began at since. slots: count of uint32_t, aligned or
 * not. */
enum mark marks_judge_tags(const struct marks *m, const void *slots, size_t count, uint64_t since);
enum mark marks_judge_key(struct marks *m, struct slice key, uint64_t since);

#endif
