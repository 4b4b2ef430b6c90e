/*
 * feed: what a database tells of changes, and what its silence means.
 *
 *   payload --> invalidations          {"k": key, "v": version?, "t": [tags]?, "d": deleted?}
 *                                      {"m": pattern} and {"t": [tags]}
 *   {"t": "*"} is every tag            where more changed than can be told
 *   heartbeat --> comes back, or not   {"hb": "nonce", "n": number}
 *   up, down, silence --> marks        what was loaded before a gap is not served as fresh
 *   up, resumed --> nothing            a cut that has left no gap
 *   missed --> marks                   what a trigger could not tell is a gap, once it is committed
 *
 * Pure decisions: no connection, no clock. What it feeds are the loaders whose backend (or whose
 * backend's primary) has the feed; a gap makes all that they loaded stale, by their patterns, and
 * all that has a tag, for any tag may have been told of. Payloads are not trusted: every field is
 * checked, one that is wrong changes nothing and is counted. Thread: one. Limits: payloads of
 * FEED_PAYLOAD_MAX bytes; above FEED_PATTERNS_MAX patterns a gap makes everything stale.
 */
#ifndef RTCACHE_LOAD_FEED_H
#define RTCACHE_LOAD_FEED_H

#include "backend/listen.h"
#include "load/change.h"

#include <stdatomic.h>

#define FEED_PAYLOAD_MAX  8000
#define FEED_PATTERNS_MAX 16
#define FEED_MISSED_MAX   3 /* heartbeats */
#define FEED_BEAT_TEXT    64
#define FEED_MISSED_TEXT  48
#define FEED_MISSED_NONE  "0/0" /* nothing was ever missed */

struct feed_rule {
    int64_t heartbeat_ms, grace_ms, floor_ttl_ms;
    size_t max_key;
    const char *const *patterns; /* of the fed loaders; borrowed */
    size_t pattern_count;
    bool lagging;      /* some of these loaders read a replica of what the feed tells of */
    _Atomic bool *cut; /* borrowed: set while nothing that it feeds may count as fresh */
};

struct feed {
    const struct changes *changes; /* borrowed */
    struct feed_rule rule;
    uint64_t nonce;
    bool connected, was_up;
    bool polls;       /* what it is told by looks by itself: no heartbeats */
    bool cut;         /* nothing that it feeds may count as fresh */
    bool mark_due;    /* a gap whose marks could not all be set yet */
    bool mark_hard;   /* then: another cluster or timeline */
    bool hard;        /* there was another cluster or timeline since the last feed_change */
    bool missed_open; /* something was not told of, by a transaction that may not be over */
    int64_t down_since_ms, next_beat_ms;
    uint64_t sent, received;  /* heartbeats, of this connection */
    int64_t sent_ms, lag_ms;  /* of the last one; how long the last that came back took */
    struct identity identity; /* of the server that it listened to last */
    char
        missed[FEED_MISSED_TEXT]; /* what the database said last of what was not told; "" nothing */
    uint64_t events, bad, gaps;
};

void feed_init(struct feed *f, const struct changes *changes, const struct feed_rule *rule,
               uint64_t nonce, int64_t now_ms);
/* Other patterns or times, some time ago: what is fed only now is not fresh where it was loaded
 * before; what was fed before and is not any more is left alone. The patterns of the rule until now
 * are looked at. */
void feed_change(struct feed *f, const struct feed_rule *rule, int64_t now_ms);

/* It goes on where `before` was, whose connection was made of another configuration. */
void feed_succeed(struct feed *f, const struct feed *before, int64_t now_ms);

/* Changes are heard from now on. Whether the server has all that the last one had; where that is
 * not shown, what was loaded before is dropped, for its versions may exist nowhere any more. One
 * that resumed has it all, and has left no gap. */
bool feed_up(struct feed *f, const struct listen_up *up, int64_t now_ms);
void feed_down(struct feed *f, int64_t now_ms);
/* What the database said when a heartbeat was sent; held: a transaction that could not tell of its
 * change is not over. false: something was missed, which is a gap now. */
bool feed_beaten(struct feed *f, const char *missed, bool held, uint64_t wal_end, int64_t now_ms);

/* false: it could not be understood; e says why. */
bool feed_payload(struct feed *f, struct slice payload, int64_t now_ms, struct err *e);

/* Whether all that it was told of is in force, and no gap is under way: a position that is taken
 * now holds. */
bool feed_settled(const struct feed *f);

/* When feed_tick has something to do; INT64_MAX: nothing until something happens. */
int64_t feed_due_ms(const struct feed *f, int64_t now_ms);

enum feed_wish {
    FEED_NOTHING,
    FEED_BEAT, /* notify with beat */
    FEED_DEAD, /* the connection is half open: drop it */
};
enum feed_wish feed_tick(struct feed *f, int64_t now_ms, char beat[FEED_BEAT_TEXT]);

#endif
