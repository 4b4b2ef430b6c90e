#include "metrics/metrics.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks are added in front, and stay. */
struct block {
    struct block *next;
    _Atomic bool taken; /* a living thread has it */
    struct metrics metrics;
};

static struct block first;
static _Atomic(struct block *) blocks = &first;
_Static_assert(M_HITS_STALE_ERROR == M_HITS + HIT_STALE_ERROR, "the kinds stand in their order");

static _Thread_local struct metrics *mine;
static pthread_key_t at_thread_end;
static pthread_once_t at_thread_end_once = PTHREAD_ONCE_INIT;

static struct block *blocks_now(void)
{
    return atomic_load_explicit(&blocks, memory_order_acquire);
}

static void block_release(void *block)
{
    mine = NULL;
    atomic_store_explicit(&((struct block *)block)->taken, false, memory_order_release);
}

static void key_make(void)
{
    /* Without a key, blocks of ended threads are not used again: no harm but that. */
    if (pthread_key_create(&at_thread_end, block_release) != 0)
        at_thread_end = (pthread_key_t)-1;
}

/* Zeros whose pages are there when they are written; NULL: no memory. */
static struct block *block_new(void)
{
    struct block *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return NULL;
    atomic_init(&b->taken, true);
    b->next = atomic_load_explicit(&blocks, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&blocks, &b->next, b, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    return b;
}

static struct block *block_take(void)
{
    for (struct block *b = blocks_now(); b; b = b->next)
        if (!atomic_exchange_explicit(&b->taken, true, memory_order_acquire))
            return b;
    return block_new();
}

static struct metrics *metrics_take(void)
{
    struct block *b = block_take();
    if (!b)
        return &first.metrics;
    (void)pthread_once(&at_thread_end_once, key_make);
    (void)pthread_setspecific(at_thread_end, b);
    return &b->metrics;
}

struct metrics *metrics_mine(void)
{
    if (!mine)
        mine = metrics_take();
    return mine;
}

/* Values below 8 have a bucket each; above, bucket = 8 * (exponent - 2) + the 3 bits after the
 * leading one. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 8)
        return (unsigned)value;
    unsigned exponent = 63U - (unsigned)__builtin_clzll(value);
    unsigned bucket = 8 * (exponent - 2) + (unsigned)(value >> (exponent - 3) & 7);
    return bucket < METRIC_BUCKETS ? bucket : METRIC_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_edge(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned exponent = bucket / 8 + 2;
    return ((8ULL + bucket % 8 + 1) << (exponent - 3)) - 1;
}

void metrics_observe(struct metrics *m, enum metric_histogram id, uint64_t value)
{
    _Atomic uint64_t *word = &m->buckets[id][bucket_of(value)];
    uint64_t v = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, v + 1, memory_order_relaxed);
}

uint64_t metrics_hits(unsigned owner, enum hit_kind kind)
{
    uint64_t sum = 0;
    for (const struct block *b = blocks_now(); b; b = b->next)
        sum += atomic_load_explicit(&b->metrics.hits[owner][kind], memory_order_relaxed);
    return sum;
}

uint64_t metrics_sum(enum metric_counter id)
{
    uint64_t sum = 0;
    for (const struct block *b = blocks_now(); b; b = b->next)
        sum += atomic_load_explicit(&b->metrics.counters[id], memory_order_relaxed);
    if (id >= M_HITS && id < M_HITS + HIT_KINDS)
        for (unsigned owner = 0; owner < METRIC_OWNERS; owner++)
            sum += metrics_hits(owner, (enum hit_kind)(id - M_HITS));
    return sum;
}

const char *metrics_counter_name(enum metric_counter id)
{
    static const char *const names[] = {
#define METRIC_NAME(enumerator, name, text) name,
        METRIC_COUNTERS(METRIC_NAME)
#undef METRIC_NAME
    };
    return names[id];
}

const char *metrics_histogram_name(enum metric_histogram id)
{
    static const char *const names[] = {
#define METRIC_NAME(enumerator, name, text) name,
        METRIC_HISTOGRAMS(METRIC_NAME)
#undef METRIC_NAME
    };
    return names[id];
}

/* The edge of the bucket that holds the value of that rank (1 is the smallest). */
static uint64_t edge_at_rank(const uint64_t *sums, uint64_t rank)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        seen += sums[i];
        if (seen >= rank && seen > 0)
            return bucket_edge(i);
    }
    return 0;
}

/* How many of count values lie at or below its n/1000 quantile: rounded up. */
static uint64_t rank_of(uint64_t count, unsigned n)
{
    return count / 1000 * n + (count % 1000 * n + 999) / 1000;
}

void metrics_quantiles(enum metric_histogram id, struct metrics_quantiles *out)
{
    uint64_t sums[METRIC_BUCKETS] = {0};
    memset(out, 0, sizeof *out);
    for (const struct block *b = blocks_now(); b; b = b->next)
        for (unsigned i = 0; i < METRIC_BUCKETS; i++)
            sums[i] += atomic_load_explicit(&b->metrics.buckets[id][i], memory_order_relaxed);
    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        out->count += sums[i];
    out->p50 = edge_at_rank(sums, rank_of(out->count, 500));
    out->p90 = edge_at_rank(sums, rank_of(out->count, 900));
    out->p99 = edge_at_rank(sums, rank_of(out->count, 990));
    out->p999 = edge_at_rank(sums, rank_of(out->count, 999));
    out->max = edge_at_rank(sums, out->count);
}
