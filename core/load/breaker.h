/*
 * breaker: leaves a failing source alone, after M. Nygard, "Release It!" (2007).
 *
 *   CLOSED --failures in a row reach the bound--> OPEN --open_ms pass--> HALF_OPEN (one probe)
 *      ^------------------- the probe succeeds ---------------------------'  fails: OPEN again
 *
 * Pure: time is a parameter. Thread: its owner's (a loader thread's gate).
 */
#ifndef RTCACHE_LOAD_BREAKER_H
#define RTCACHE_LOAD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    int64_t failures; /* in a row, while closed */
    int64_t open_until_ms;
    bool probing;
};

struct breaker_rule {
    int64_t failures; /* 0: never opens */
    int64_t open_ms;
};

/* Whether a load may begin now; in HALF_OPEN the first one asked for is the probe. */
bool breaker_admits(struct breaker *b, const struct breaker_rule *rule, int64_t now_ms);
/* Ms until asking again makes sense, at least 1. */
int64_t breaker_retry_after_ms(const struct breaker *b, int64_t now_ms);
/* A load that was admitted ended; true if the breaker opens with it. */
bool breaker_ended(struct breaker *b, const struct breaker_rule *rule, bool failed, int64_t now_ms);
/* A load that was admitted came to nothing that says anything about the source. */
void breaker_gave_up(struct breaker *b);
const char *breaker_state_name(enum breaker_state state);

#endif
