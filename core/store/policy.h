/*
 * policy: who leaves when the memory is full. Two queues as in S3-FIFO (Yang, Zhang, Qiu, Yue,
 * Rashmi, SOSP 2023), by bytes; what gets into the main one is a question of frequency, as in
 * TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017), but counted only where something leaves.
 *
 *   key --> small --its score beats that of main's oldest--> main --oldest, not read again--> out
 *             `--else--> out
 *   ghost: the scores of those that are out; taken up by a key that returns
 *
 * An entry's score is its reads, as they are found at a queue's end, and one for each time it left
 * before. What is read once (a scan) passes through the small queue and disturbs nothing. Main's
 * oldest goes to the back when it holds off an entry with a score, and pays one of its own for
 * every second: what is not read any more leaves in time, and of a loop that does not fit a part
 * stays.
 * Of an entry's reads in the small queue at most two count against main's oldest; a read in the
 * main queue keeps an entry there for one round, up to three, but once in all where bias is high.
 *
 * Sizes and loads: each halving of an entry's size against the mean, and each doubling of the time
 * that its load took against the mean, is worth half a read in that comparison (as
 * GreedyDual-Size-Frequency weighs them: Cherkasova, HP Labs 1998; in logarithms, so that an
 * outlier does not count for more than it should). A main queue that is less than half full takes
 * what comes, without a score: a loop over more than there is room for then hits what stays. It
 * does so with every key that comes, long before the memory is full: so the order and the reads of
 * a full memory are there when the first one has to leave.
 * Where many leave in a row (the limit sinks, a table grows, one large entry comes), there is no
 * time for reads in between: main's oldest then goes to the back for one of its score, too.
 *
 * Two figures follow the load, by the keys that return to the ghost:
 *   share  of the bytes, the small queue's. A key that just left the small queue would have been a
 *          hit with a longer one; a familiar key that just left, with a longer main queue (as ARC
 *          weighs two ghosts: Megiddo and Modha, FAST 2003).
 *   bias   what is added to the score of the new. It rises while those that were kept out of the
 *          main queue return more often than those that had to leave it, and falls else: also where
 *          most of the latter return soon, for then it is a loop that the new ones only turn.
 *
 * Shape: two bits of frequency and three of score in the entry; a read changes the former and moves
 * nothing. Ghost: 3 to 6 bytes an entry. Adding and removing are O(1), picking is O(1) amortised
 * and at most POLICY_STEPS moves. Thread: under the shard's lock.
 */
#ifndef RTCACHE_STORE_POLICY_H
#define RTCACHE_STORE_POLICY_H

#include "store/entry.h"
#include "store/ghost.h"

#define POLICY_STEPS 128

/* How many left in one way, and how many of these returned soon; halved from time to time. */
struct policy_losers {
    double left, back;
};

struct policy {
    struct near_list small, main; /* new at the back */
    size_t small_bytes, main_bytes;
    size_t count;
    uint8_t unfilled; /* keys that were added since policy_fill last moved any */
    uint8_t held_off; /* by main's oldest, that nothing was paid for */
    bool filling;     /* the main queue takes what comes: it has less than half of its part */
    bool in_a_row;    /* one was evicted, and none came since: room is made for many */
    double share, bias;
    double mean_load; /* logarithm to the base 2 of what a key took to load, in us */
    struct policy_losers kept_out, replaced; /* of the main queue */
    struct ghost ghost;
};

void policy_init(struct policy *p);
void policy_fini(struct policy *p); /* the entries are not its own */
/* Fits the ghost to the entries there are: to be called as they leave for a smaller limit. */
void policy_fit(struct policy *p);

/* A key that was not stored. */
void policy_add(struct policy *p, struct entry *e, uint64_t hash);

/* Brings the main queue a little nearer to its part: to be called for each key that was added. It
 * moves for several keys at once, as those that came in a row lie side by side in memory. */
void policy_fill(struct policy *p);

/* e takes the place, the frequency and the score of old: no read. */
void policy_replace(struct policy *p, struct entry *old, struct entry *e);

/* What was known of e before, which was just added. */
void policy_put_back(struct policy *p, struct entry *e, unsigned frequency, unsigned score,
                     bool main);

void policy_remove(struct policy *p, struct entry *e);
/* The same, for whoever knows entry_bytes(e) already. */
void policy_leave(struct policy *p, struct entry *e, size_t bytes);

/* The oldest of the main queue and of the small one, but not `kept`; NULL: there is none. */
void policy_ends(const struct policy *p, const struct entry *kept, struct entry *ends[2]);

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
