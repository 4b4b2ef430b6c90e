/*
 * breaker: leaves a failing source alone, after M. Nygard, "Release It!" (2007).
 *
 *   CLOSED --failures in a row reach the bound--> OPEN --open_ms pass--> HALF_OPEN (one probe)
 *      ^------------------- the source is well ---------------------------'  unwell: OPEN again
 *
 * What counts is the health of the source, not what became of a load: a source that refuses a key
 * has answered.
 *
 * Pure: time is a parameter. Thread: its owner's (a loader thread's gate).
 */
#ifndef RTCACHE_LOAD_BREAKER_H
#define RTCACHE_LOAD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* What a load that ended says of its source. */
enum breaker_sign { SIGN_NONE, SIGN_WELL, SIGN_SICK };

struct breaker {
    enum breaker_state state;
    int64_t failures; /* signs of sickness in a row, while closed */
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
/* A load that was admitted ended; probe: in HALF_OPEN. True if the breaker opens with it. After
 * SIGN_NONE of a probe the next load is one. */
bool breaker_ended(struct breaker *b, const struct breaker_rule *rule, enum breaker_sign sign,
                   bool probe, int64_t now_ms);
/* Nobody will tell how the probe ended: the next load is one. */
void breaker_gave_up(struct breaker *b);
const char *breaker_state_name(enum breaker_state state);

#endif
