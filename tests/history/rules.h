/*
 * rules: what docs/consistency.md promises, asked of a history.
 *
 *   invalidate(k, v) ended | get(k) began    => version(get) >= v G1 invalidate(k) ended    |
 * get(k) began    => version(get) >= committed(begin of invalidate)     G1 get(k, {min_version =
 * v})                => version(get) >= v                                  G2 a value => byte by
 * byte the row of its version                G4 the feed told of (k, v) | get(k) began   =>
 * version(get) >= v; after a gap: or not fresh       G5 fresh                                    =>
 * within its ttl; as new as its age says             G6 put or delete ended     | get(k) began   =>
 * version(get) >= that of the write               write after quiet                              =>
 * what the database holds                         final every request has an answer, of a kind that
 * is expected                                    answer
 *
 * A get that says "no such row" counts as the newest deletion that it may have seen. What is not
 * promised is not asked: plain invalidations and gaps where loads read a replica.
 * One sweep over begins and ends in the order of time: O(n log n). It knows nothing of who made the
 * history, nor of the server.
 */
#ifndef HISTORY_RULES_H
#define HISTORY_RULES_H

#include "history.h"

enum rule {
    RULE_G1,
    RULE_G2,
    RULE_G4,
    RULE_G5,
    RULE_G6,
    RULE_WRITE,
    RULE_FINAL,
    RULE_ANSWER,
    RULE_COUNT
};

struct verdict {
    uint64_t checked[RULE_COUNT]; /* how often it had something to say */
    uint64_t violated[RULE_COUNT];
    uint64_t operations, reads, changes;
    uint64_t status[STATUS_COUNT];
    uint64_t codes[CODE_COUNT];
    uint64_t told, untold, gaps;
    double lag_ms[3]; /* from the writer's answer to the feed's word: median, 99 %, longest */
};

const char *rule_name(unsigned rule);

/* out: the first violations of each rule, in words; NULL: nothing. */
void rules_check(const struct record *records, size_t count, FILE *out, struct verdict *v);

#endif
