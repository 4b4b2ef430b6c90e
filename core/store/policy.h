/*
 * policy: who leaves when the memory is full. S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023),
 * by bytes.
 *
 *   new key --> small (10 % of the bytes) --read twice--> main --not read again--> out
 *                     `--hardly read--> out, its fingerprint into the ghost
 *   key that the ghost knows -----------------------------> main
 *
 * What is read once (a scan) passes through the small queue and disturbs nothing else.
 * Shape: two bits of frequency in the entry; a read changes these and moves nothing. Ghost: 2 to 4
 * bytes an entry. Adding and removing are O(1), picking is O(1) amortised and at most
 * POLICY_STEPS moves. Thread: under the shard's lock.
 */
#ifndef RTCACHE_STORE_POLICY_H
#define RTCACHE_STORE_POLICY_H

#include "store/entry.h"
#include "store/ghost.h"

#define POLICY_STEPS 128

struct policy {
    struct near small, main; /* new at the back */
    size_t small_bytes;
    size_t capacity_bytes;
    size_t count;
    struct ghost ghost;
};

void policy_init(struct policy *p, size_t capacity_bytes);
void policy_fini(struct policy *p); /* the entries are not its own */
/* Also fits the ghost to the entries there are: to be called again as they leave for it. */
void policy_set_capacity(struct policy *p, size_t capacity_bytes);

/* A key that was not stored. */
void policy_add(struct policy *p, struct entry *e, uint64_t hash);

/* e takes the place and the frequency of old: no read. */
void policy_replace(struct policy *p, struct entry *old, struct entry *e);

void policy_remove(struct policy *p, struct entry *e);

/* Who is to leave next, but not `kept` (NULL is allowed); it stays until policy_evict. NULL: there
 * is no one. */
struct entry *policy_victim(struct policy *p, const struct entry *kept);

/* As policy_remove, and remembers the key. */
void policy_evict(struct policy *p, struct entry *e, uint64_t hash);

/* What it takes beside the entries and itself. */
size_t policy_bytes(const struct policy *p);

/* A read by a client. */
static inline void policy_read(struct entry *e)
{
    if ((e->state & ENTRY_FREQUENCY) != ENTRY_FREQUENCY)
        e->state++;
}

#endif
