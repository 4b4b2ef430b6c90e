#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, EACH = 20000 };

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++) {
        metrics_inc(metrics_mine(), M_REQUESTS);
        metrics_add(metrics_mine(), M_BYTES_IN, 3);
        metrics_observe(metrics_mine(), H_WAIT_US, 5);
    }
    return NULL;
}

static void sums_over_threads_also_after_they_ended(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) { /* reading while they count never goes backwards */
        uint64_t now = metrics_sum(M_REQUESTS);
        assert_true(now >= before);
        before = now;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct metrics_quantiles q;
    metrics_quantiles(H_WAIT_US, &q);
    assert_int_equal(metrics_sum(M_REQUESTS), THREADS * EACH);
    assert_int_equal(metrics_sum(M_BYTES_IN), 3 * THREADS * EACH);
    assert_int_equal(q.count, THREADS * EACH);
    assert_int_equal(q.p50, 5);
    assert_int_equal(q.max, 5);
}

/* More than the 64 blocks that there once were, of which further threads shared the last. */
enum { CROWD = 200 };

static void *count_one(void *arg)
{
    metrics_inc(metrics_mine(), M_SETS);
    *(struct metrics **)arg = metrics_mine();
    return NULL;
}

static void gives_the_block_of_an_ended_thread_to_the_next(void **state)
{
    (void)state;
    struct metrics *own = metrics_mine(), *first = NULL, *block = NULL;
    assert_ptr_equal(own, metrics_mine());
    for (int i = 0; i < CROWD; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, count_one, i == 0 ? &first : &block), 0);
        pthread_join(thread, NULL);
        assert_true(i == 0 || block == first);
    }
    assert_ptr_not_equal(own, first);
    assert_int_equal(metrics_sum(M_SETS), CROWD);
}

struct meeting {
    pthread_barrier_t all;
    struct metrics *blocks[CROWD];
    _Atomic int next;
};

static void *meet(void *arg)
{
    struct meeting *m = arg;
    m->blocks[atomic_fetch_add(&m->next, 1)] = metrics_mine();
    pthread_barrier_wait(&m->all);
    for (int i = 0; i < EACH; i++) {
        metrics_inc(metrics_mine(), M_CONNECTIONS);
        metrics_inc(metrics_mine(), M_CONNECTIONS_CLOSED);
    }
    metrics_hit(metrics_mine(), 7, HIT_STALE);
    metrics_observe(metrics_mine(), H_BATCH_KEYS, 3);
    return NULL;
}

static void loses_no_count_of_a_crowd_of_threads(void **state)
{
    (void)state;
    static struct meeting m;
    pthread_t threads[CROWD];
    pthread_barrier_init(&m.all, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, meet, &m), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&m.all);
    for (int i = 0; i < CROWD; i++)
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(m.blocks[i], m.blocks[j]);
    assert_int_equal(metrics_sum(M_CONNECTIONS), CROWD * EACH);
    assert_int_equal(metrics_sum(M_CONNECTIONS_CLOSED), CROWD * EACH);
    assert_int_equal(metrics_hits(7, HIT_STALE), CROWD);
    struct metrics_quantiles q;
    metrics_quantiles(H_BATCH_KEYS, &q);
    assert_int_equal(q.count, CROWD);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void expect_edge(uint64_t edge, const uint64_t *sorted, size_t count, double share)
{
    size_t rank = (size_t)(share * (double)count + 0.999999);
    uint64_t exact = sorted[rank ? rank - 1 : 0];
    assert_true(edge >= exact);
    assert_true((double)(edge - exact) <= 0.125 * (double)exact);
}

static void quantiles_lie_at_most_an_eighth_above_the_exact_ones(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint64_t *values = malloc(N * sizeof *values);
    struct rng rng = {.state = 7};
    for (int i = 0; i < N; i++) {
        values[i] = rng_next(&rng) >> (24 + rng_below(&rng, 40)); /* of every size up to 2^40 */
        metrics_observe(metrics_mine(), H_LOAD_US, values[i]);
    }
    qsort(values, N, sizeof *values, by_size);
    struct metrics_quantiles q;
    metrics_quantiles(H_LOAD_US, &q);
    assert_int_equal(q.count, N);
    expect_edge(q.p50, values, N, 0.5);
    expect_edge(q.p90, values, N, 0.9);
    expect_edge(q.p99, values, N, 0.99);
    expect_edge(q.p999, values, N, 0.999);
    expect_edge(q.max, values, N, 1.0);
    free(values);
}

static void takes_the_ends_of_the_range(void **state)
{
    (void)state;
    struct metrics_quantiles q;
    metrics_quantiles(H_QUEUE_US, &q);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.p50, 0);
    assert_int_equal(q.max, 0);
    metrics_observe(metrics_mine(), H_QUEUE_US, 0);
    metrics_quantiles(H_QUEUE_US, &q);
    assert_int_equal(q.count, 1);
    assert_int_equal(q.max, 0);
    metrics_observe(metrics_mine(), H_QUEUE_US, (1ULL << 41) - 1);
    metrics_quantiles(H_QUEUE_US, &q);
    assert_true(q.max == (1ULL << 41) - 1);
    metrics_observe(metrics_mine(), H_QUEUE_US, UINT64_MAX);
    metrics_quantiles(H_QUEUE_US, &q);
    assert_int_equal(q.count, 3);
    assert_true(q.max == (1ULL << 41) - 1);
}

static void has_a_name_for_each(void **state)
{
    (void)state;
    assert_string_equal(metrics_counter_name(M_REQUESTS), "requests");
    assert_string_equal(metrics_counter_name(M_COUNT - 1), "reloads_refused");
    assert_string_equal(metrics_histogram_name(H_COUNT - 1), "wait_us");
    for (int i = 0; i < M_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(metrics_counter_name(i), metrics_counter_name(j));
}

static void hits_add_up_over_their_loaders(void **state)
{
    (void)state;
    struct metrics *m = metrics_mine();
    uint64_t fresh = metrics_sum(M_HITS), negative = metrics_sum(M_HITS_NEGATIVE);
    uint64_t had = metrics_hits(METRIC_OWNERS - 1, HIT_FRESH);
    metrics_hit(m, 0, HIT_FRESH);
    metrics_hit(m, METRIC_OWNERS - 1, HIT_FRESH);
    metrics_hit(m, METRIC_OWNERS - 1, HIT_FRESH);
    metrics_hit(m, 7, HIT_NEGATIVE);
    assert_int_equal(metrics_hits(METRIC_OWNERS - 1, HIT_FRESH), had + 2);
    assert_int_equal(metrics_sum(M_HITS), fresh + 3);
    assert_int_equal(metrics_sum(M_HITS_NEGATIVE), negative + 1);
    assert_int_equal(metrics_sum(M_HITS_STALE), CROWD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_threads_also_after_they_ended),
        cmocka_unit_test(gives_the_block_of_an_ended_thread_to_the_next),
        cmocka_unit_test(loses_no_count_of_a_crowd_of_threads),
        cmocka_unit_test(quantiles_lie_at_most_an_eighth_above_the_exact_ones),
        cmocka_unit_test(takes_the_ends_of_the_range),
        cmocka_unit_test(has_a_name_for_each),
        cmocka_unit_test(hits_add_up_over_their_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
