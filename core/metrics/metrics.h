/*
 * metrics: per-thread counters and histograms, summed when read.
 *
 * Shape: one cache-aligned block of words per thread; counting is a plain load and store of one's
 * own word (no lock prefix), reading walks the blocks. Histograms have 8 linear steps to a power of
 * two (an edge is at most 12.5 % above the value), in the manner of HdrHistogram. A block has 136
 * KiB, most of them a hit counter for each loader there may be: untouched pages cost nothing.
 * Thread: a block is written by its thread alone, read by any. Limits: as many blocks as there were
 * threads at once; the block of a thread that ended, with its counts, goes to the next one that
 * asks.
 */
#ifndef RTCACHE_METRICS_METRICS_H
#define RTCACHE_METRICS_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(enumerator, name, what it counts) */
#define METRIC_COUNTERS(X)                                                                         \
    X(M_REQUESTS, "requests", "requests and notifications taken")                                  \
    X(M_SLICED, "sliced", "requests that were served in more than one turn of their thread")       \
    X(M_HITS, "hits", "reads answered fresh from memory")                                          \
    X(M_HITS_STALE, "hits_stale", "reads answered stale from memory")                              \
    X(M_HITS_NEGATIVE, "hits_negative", "reads answered nil from memory")                          \
    X(M_HITS_STALE_ERROR, "hits_stale_error", "reads answered stale because a load failed")        \
    X(M_MISSES, "misses", "reads that waited for a load")                                          \
    X(M_MISFITS, "misfits", "reads answered nil by the shape of the key, with no load")            \
    X(M_BACKOFF_ANSWERS, "backoff_answers", "reads answered with the last error of a key")         \
    X(M_COALESCED, "coalesced", "reads that joined a load already in the air")                     \
    X(M_TIMEOUTS, "timeouts", "requests past their deadline")                                      \
    X(M_WAITERS_REFUSED, "waiters_refused", "requests past max_waiters of a flight")               \
    X(M_PARKED_REFUSED, "parked_refused", "requests past max_parked of a connection")              \
    X(M_ERRORS, "errors", "requests answered with an error")                                       \
    X(M_INVALIDATIONS, "invalidations", "keys invalidated")                                        \
    X(M_TAG_INVALIDATIONS, "tag_invalidations", "tags invalidated or expired")                     \
    X(M_GLOB_INVALIDATIONS, "glob_invalidations", "patterns invalidated or expired")               \
    X(M_GLOBS_REFUSED, "globs_refused", "patterns refused for max_globs")                          \
    X(M_FLOORS_LIFTED, "floors_lifted", "lift_floors: of a key, a pattern, or all")                \
    X(M_SETS, "sets", "values stored by set")                                                      \
    X(M_WRITES, "writes", "puts and deletes begun")                                                \
    X(M_WRITES_STORED, "writes_stored", "puts whose value was stored (write-through)")             \
    X(M_WRITES_UNTAGGED, "writes_untagged",                                                        \
      "puts whose entry was dropped: loads give tags, and save said nothing of them")              \
    X(M_WRITES_FAILED, "writes_failed", "puts and deletes that were begun and failed")             \
    X(M_WRITES_UNKNOWN, "writes_unknown", "of these, with an outcome that is not known")           \
    X(M_WRITES_REFUSED, "writes_refused", "puts and deletes past max_writes and max_write_queue")  \
    X(M_REJOINED, "rejoined", "waiters sent to a newer load: a tag was invalidated meanwhile")     \
    X(M_SUBSCRIBED, "subscribed", "subscriptions begun")                                           \
    X(M_UNSUBSCRIBED, "unsubscribed", "subscriptions ended")                                       \
    X(M_NOTICES, "notices", "notifications sent to subscribers")                                   \
    X(M_NOTICES_LOST, "notices_lost", "times that subscribers were told to drop what they hold")   \
    X(M_FEED_EVENTS, "feed_events", "changes told of by a database")                               \
    X(M_FEED_BAD, "feed_bad", "notifications of a database that could not be understood")          \
    X(M_FEED_GAPS, "feed_gaps", "times that a feed may have missed changes")                       \
    X(M_CONNECTIONS, "connections_total", "connections accepted")                                  \
    X(M_CONNECTIONS_CLOSED, "connections_closed", "connections ended")                             \
    X(M_CONNECTIONS_REFUSED, "connections_refused", "connections past max_connections")            \
    X(M_CONNECTIONS_CUT, "connections_cut", "closed for unread output past max_output")            \
    X(M_CONNECTIONS_IDLE, "connections_idle", "closed for idle_timeout")                           \
    X(M_TLS_STARTED, "tls_started", "TLS handshakes begun")                                        \
    X(M_TLS_HANDSHAKES, "tls_handshakes", "of these, done")                                        \
    X(M_TLS_FAILED, "tls_failed", "of these, failed or given up; the rest is in progress")         \
    X(M_TLS_PUT_OFF, "tls_put_off", "times that a handshake waited for the next turn of the loop") \
    X(M_TLS_REFUSED, "tls_refused", "connections past max_handshakes, or without memory")          \
    X(M_CONNECTIONS_UNKNOWN, "connections_unknown",                                                \
      "closed for auth_timeout or max_auth_failures, or because the user was changed")             \
    X(M_CONNECTIONS_SLOW, "connections_slow", "closed for frame_rate")                             \
    X(M_CONNECTIONS_UNREAD, "connections_unread", "closed for output_timeout")                     \
    X(M_CONNECTIONS_SHED, "connections_shed", "closed or refused for client_memory")               \
    X(M_HELD_BACK, "held_back", "times that a connection was not read for client_memory")          \
    X(M_HELD_REFUSED, "held_refused",                                                              \
      "requests, and results for waiters, refused for client_memory")                              \
    X(M_PAUSED, "paused", "times that a connection had to read before more was answered")          \
    X(M_CONNECTIONS_RESERVED, "connections_reserved", "accepted out of reserved_connections")      \
    X(M_AUTHS, "auths", "auths that succeeded")                                                    \
    X(M_AUTHS_CACHED, "auths_cached", "of these, recognized without hashing the password")         \
    X(M_AUTHS_FAILED, "auths_failed", "auths of an unknown user or with a wrong password")         \
    X(M_AUTHS_HELD, "auths_held", "auths held back after failures, or behind another of the name") \
    X(M_AUTHS_REFUSED, "auths_refused", "auths past max_auth_queue, or a share of it")             \
    X(M_AUTHS_DISPLACED, "auths_displaced",                                                        \
      "of these, whose place went to somebody who has fewer")                                      \
    X(M_AUTHS_LEFT, "auths_left", "auths whose client left before their turn")                     \
    X(M_DENIED, "denied", "requests without the right to them")                                    \
    X(M_PROTOCOL_ERRORS, "protocol_errors", "connections closed for malformed bytes")              \
    X(M_BYTES_IN, "bytes_in", "bytes read from clients")                                           \
    X(M_BYTES_OUT, "bytes_out", "bytes written to clients")                                        \
    X(M_LOADS, "loads", "loads begun")                                                             \
    X(M_LOADS_FOUND, "loads_found", "loads that ended with a value")                               \
    X(M_LOADS_ABSENT, "loads_absent", "loads that ended with nothing")                             \
    X(M_LOADS_FAILED, "loads_failed", "loads that failed")                                         \
    X(M_LOADS_TIMEOUT, "loads_timeout", "of these, past load_timeout")                             \
    X(M_LOADS_REFRESH, "loads_refresh", "loads begun in the background")                           \
    X(M_REFRESH_WASTED, "refresh_wasted",                                                          \
      "results of refreshes not stored: their entry was gone, and nobody waited")                  \
    X(M_PREFETCH_SKIPPED, "prefetch_skipped",                                                      \
      "refreshes ahead left out for prefetch_max_concurrent and prefetch_max_queue")               \
    X(M_LOADS_RETRIED, "loads_retried", "further attempts within a load")                          \
    X(M_RETRIES_REFUSED, "retries_refused", "attempts that retry_budget did not allow")            \
    X(M_BATCHES, "batches", "calls of load_many")                                                  \
    X(M_BATCHES_SPLIT, "batches_split", "batches parted because of one odd or poisonous key")      \
    X(M_LOADS_VOIDED, "loads_voided",                                                              \
      "results not stored: invalidated, set or reloaded meanwhile")                                \
    X(M_LOADS_TOO_LARGE, "loads_too_large",                                                        \
      "results not stored: too large for a shard of the memory")                                   \
    X(M_LOADS_BELOW, "loads_below", "answers of a source below an invalidated version")            \
    X(M_LOADS_REFUSED, "loads_refused", "loads past max_loads and max_queue")                      \
    X(M_BREAKER_OPENED, "breaker_opened", "times a breaker opened")                                \
    X(M_BREAKER_REFUSED, "breaker_refused", "loads refused by an open breaker")                    \
    X(M_RELOADS, "reloads", "configurations taken over")                                           \
    X(M_RELOADS_REFUSED, "reloads_refused", "configurations refused")

#define METRIC_HISTOGRAMS(X)                                                                       \
    X(H_LOAD_US, "load_us", "time of a load, from its start to its end")                           \
    X(H_QUEUE_US, "queue_us", "time of a load in its loader's queue")                              \
    X(H_BATCH_KEYS, "batch_keys", "keys of a load_many")                                           \
    X(H_WAIT_US, "wait_us", "time a request was parked")

enum metric_counter {
#define METRIC_ENUM(id, name, text) id,
    METRIC_COUNTERS(METRIC_ENUM)
#undef METRIC_ENUM
        M_COUNT
};

enum metric_histogram {
#define METRIC_ENUM(id, name, text) id,
    METRIC_HISTOGRAMS(METRIC_ENUM)
#undef METRIC_ENUM
        H_COUNT
};

/* Hits are counted by their loader, and add up to the counters of the kinds. */
enum hit_kind { /* in the order of M_HITS and what follows it */
                HIT_FRESH,
                HIT_STALE,
                HIT_NEGATIVE,
                HIT_STALE_ERROR,
                HIT_KINDS
};

#define METRIC_OWNERS 4097 /* slots of loaders (snapshot.h), and 0 for none */

#define METRIC_BUCKETS 312 /* 8 to a power of two: up to 2^41; the last takes all above */

struct metrics {
    _Alignas(64) _Atomic uint64_t counters[M_COUNT];
    _Atomic uint64_t buckets[H_COUNT][METRIC_BUCKETS];
    _Atomic uint64_t hits[METRIC_OWNERS][HIT_KINDS];
};

/* The calling thread's block from its first use to its end. Never NULL: where there is no memory
 * for one more, the thread shares the first block, and both may miscount. */
struct metrics *metrics_mine(void);

static inline void metrics_add(struct metrics *m, enum metric_counter id, uint64_t n)
{
    uint64_t v = atomic_load_explicit(&m->counters[id], memory_order_relaxed);
    atomic_store_explicit(&m->counters[id], v + n, memory_order_relaxed);
}

static inline void metrics_inc(struct metrics *m, enum metric_counter id)
{
    metrics_add(m, id, 1);
}

/* owner: below METRIC_OWNERS. */
static inline void metrics_hit(struct metrics *m, unsigned owner, enum hit_kind kind)
{
    _Atomic uint64_t *word = &m->hits[owner][kind];
    uint64_t v = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, v + 1, memory_order_relaxed);
}

void metrics_observe(struct metrics *m, enum metric_histogram id, uint64_t value);

uint64_t metrics_sum(enum metric_counter id);
uint64_t metrics_hits(unsigned owner, enum hit_kind kind);
const char *metrics_counter_name(enum metric_counter id);
const char *metrics_histogram_name(enum metric_histogram id);

struct metrics_quantiles {
    uint64_t count, p50, p90, p99, p999, max; /* upper edges of buckets; 0 where count is 0 */
};
void metrics_quantiles(enum metric_histogram id, struct metrics_quantiles *out);

#endif
