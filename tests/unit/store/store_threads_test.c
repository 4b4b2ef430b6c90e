/* Several threads at one store; every value says what it has to be, so that a torn or a wrong one
 * is seen. To be run under TSan and ASan as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/record.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS    4
#define KEYS       400
#define OPERATIONS 30000
#define HELD       8
#define LARGEST    9000
#define LIMIT      (1 << 20)

struct worker {
    pthread_t thread;
    struct store *store;
    struct rng rng;
    struct entry *held[HELD]; /* values of earlier reads, looked at again later */
    unsigned held_key[HELD];
    const char *wrong; /* what went wrong first */
    uint64_t hits, gone, dumped;
    struct dump_cursor cursor;
};

/* What precedes the bytes, all of which are `fill`. */
struct head {
    uint32_t key, size, fill;
};

static struct slice make_value(unsigned key, struct rng *r, char *into)
{
    struct head h = {.key = key, .fill = (uint32_t)rng_below(r, 256)};
    h.size = (uint32_t)(rng_below(r, 10) ? rng_below(r, 200) : rng_below(r, LARGEST));
    memcpy(into, &h, sizeof(h));
    memset(into + sizeof(h), (int)h.fill, h.size);
    return slice_of(into, sizeof(h) + h.size);
}

static bool value_right(unsigned key, struct slice value)
{
    struct head h;
    if (value.size < sizeof(h))
        return false;
    memcpy(&h, value.data, sizeof(h));
    if (h.key != key || h.size != value.size - sizeof(h))
        return false;
    for (size_t i = sizeof(h); i < value.size; i++)
        if ((unsigned char)value.data[i] != h.fill)
            return false;
    return true;
}

static void note(struct worker *w, bool right, const char *what)
{
    if (!right && !w->wrong)
        w->wrong = what;
}

static void hold(struct worker *w, unsigned key, struct entry *e)
{
    size_t i = rng_below(&w->rng, HELD);
    if (w->held[i])
        note(w, value_right(w->held_key[i], entry_value(w->held[i])), "a held value changed");
    entry_unref(w->held[i]);
    w->held[i] = e;
    w->held_key[i] = key;
}

static void read_one(struct worker *w, unsigned key, struct slice text, uint64_t hash, int64_t now)
{
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    bool share = rng_below(&w->rng, 8) == 0;
    note(w, share || buf_grow(&out, rng_below(&w->rng, 2) ? LARGEST : 1) == 0, "no memory");
    enum lookup status = store_get(w->store, text, hash, now, (unsigned)rng_below(&w->rng, 8),
                                   share ? NULL : &out, &hit);
    note(w, hit.age_ms >= 0, "an age below zero");
    if (status == LOOKUP_MISS)
        note(w, !hit.entry && !out.size, "a miss with a value");
    if (status == LOOKUP_FRESH) {
        w->hits++;
        struct slice value = hit.entry ? entry_value(hit.entry) : buf_slice(&out);
        note(w, value_right(key, value), "a torn or wrong value");
        note(w, hit.version == (int64_t)key * 3, "a wrong version");
    }
    if (hit.entry)
        hold(w, key, hit.entry);
    buf_fini(&out);
}

static void put_one(struct worker *w, unsigned key, struct slice text, uint64_t hash, int64_t now)
{
    char bytes[sizeof(struct head) + LARGEST];
    struct rng *r = &w->rng;
    struct put p = {
        .key = text,
        .hash = hash,
        .value = make_value(key, r, bytes),
        .negative = rng_below(r, 16) == 0,
        .has_version = true,
        .version = (int64_t)key * 3,
        .ttl_ms = (int64_t)rng_below(r, 2000),
        .stale_ttl_ms = (int64_t)rng_below(r, 200),
        .keep_ms = (int64_t)rng_below(r, 400),
    };
    note(w, store_put(w->store, &p, now, NULL) == 0, "a put was refused");
}

/* The next piece of a dump, of which something is put back. */
static void dump_some(struct worker *w, int64_t now)
{
    struct buf out;
    struct record r;
    struct restore how = {.as = (enum restored)rng_below(&w->rng, 3)};
    size_t count;
    bool stored;
    buf_init(&out, 0);
    if (w->cursor.done)
        w->cursor = (struct dump_cursor){0};
    note(w, store_dump(w->store, &w->cursor, now, 20000, &out, &count) == 0, "no memory");
    struct slice rest = buf_slice(&out);
    for (; rest.size > 0 && !w->wrong; w->dumped++) {
        note(w, record_read(&rest, &r, NULL) == 0, "no record");
        unsigned key = (unsigned)(r.version / 3);
        note(w, r.negative || value_right(key, r.value), "a torn or wrong value in a record");
        if (rng_below(&w->rng, 8) == 0)
            note(w, store_restore(w->store, &r, &how, now, &stored, NULL) == 0, "not restored");
    }
    buf_fini(&out);
}

static void act(struct worker *w, int64_t now)
{
    char text[32];
    struct rng *r = &w->rng;
    unsigned key = (unsigned)rng_below(r, KEYS);
    struct slice k = slice_of(text, (size_t)snprintf(text, sizeof(text), "key:%u", key));
    uint64_t hash = store_hash(w->store, k);
    struct store_stats stats;
    switch (rng_below(r, 32)) {
    case 0: w->gone += store_remove(w->store, k, hash, now); break;
    case 1: {
        const struct put deadlines = {
            .key = k,
            .hash = hash,
            .ttl_ms = (int64_t)rng_below(r, 2000),
            .stale_ttl_ms = 10,
            .keep_ms = 10,
            .refresh = {.ahead_ms = (int64_t)rng_below(r, 1000)},
        };
        store_touch(w->store, &deadlines, now);
        break;
    }
    case 2: w->gone += store_tick(w->store, now, rng_below(r, 100), NULL); break;
    case 3:
        store_read_stats(w->store, &stats);
        note(w, stats.bytes <= LIMIT, "past the limit");
        break;
    case 4:
        if (rng_below(r, 50) == 0)
            store_set_memory(w->store, LIMIT - rng_below(r, LIMIT / 4), now);
        break;
    case 5:
        if (rng_below(r, 8) == 0)
            dump_some(w, now);
        break;
    default:
        if (rng_below(r, 3) == 0)
            put_one(w, key, k, hash, now);
        else
            read_one(w, key, k, hash, now);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < OPERATIONS && !w->wrong; i++) {
        int64_t lag = (int64_t)rng_below(&w->rng, 8); /* every thread's clock is its own */
        act(w, i / 4 - lag);
    }
    for (int i = 0; i < HELD; i++)
        entry_unref(w->held[i]);
    return NULL;
}

static void threads_see_whole_values_of_their_keys(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    struct store_options o = {.memory_bytes = LIMIT, .shards = 2, .seed = 9};
    struct store_stats stats;
    struct store *s;
    assert_int_equal(store_new(&s, &o, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = s, .rng = {.state = 100 + i}};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    uint64_t hits = 0, gone = 0, dumped = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].wrong)
            fail_msg("thread %u: %s", i, workers[i].wrong);
        hits += workers[i].hits;
        gone += workers[i].gone;
        dumped += workers[i].dumped;
    }
    assert_true(hits > OPERATIONS / 4);
    assert_true(gone > 100);
    assert_true(dumped > 1000);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[32];
        struct slice k = slice_of(text, (size_t)snprintf(text, sizeof(text), "key:%u", i));
        store_remove(s, k, store_hash(s, k), OPERATIONS);
    }
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.negatives, 0);
    assert_true(stats.puts > 1000);
    store_free(s);
}

/* Those that ask ahead for keys, while another one makes the table grow and shrink: more of them
 * than there are cores, so that they are often stopped halfway. */
struct asker {
    struct store *store;
    atomic_bool stop;
    _Atomic uint64_t asked;
};

static void *ask_ahead(void *arg)
{
    struct asker *a = arg;
    struct rng rng = {.state = 5};
    uint64_t asked = 0;
    for (; !atomic_load(&a->stop); asked++) {
        uint64_t hash = rng_next(&rng);
        store_prefetch(a->store, hash);
        store_prefetch_entry(a->store, hash);
    }
    atomic_fetch_add(&a->asked, asked);
    return NULL;
}

static void asking_ahead_bears_a_table_that_grows_and_shrinks(void **state)
{
    (void)state;
    enum { WAVES = 4, MANY = 20000, ASKERS = 6 };
    struct store_options o = {.memory_bytes = 64 << 20, .shards = 2, .seed = 9};
    struct asker a = {.asked = 0};
    pthread_t threads[ASKERS];
    assert_int_equal(store_new(&a.store, &o, NULL), 0);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_ahead, &a), 0);
    for (unsigned i = 0; i < 2 * WAVES * MANY; i++) {
        bool grows = i / MANY % 2 == 0;
        char text[32];
        struct slice k = slice_of(text, (size_t)snprintf(text, sizeof(text), "key:%u", i % MANY));
        struct put p = {.key = k, .hash = store_hash(a.store, k), .value = k};
        if (grows)
            assert_int_equal(store_put(a.store, &p, 0, NULL), 0);
        else
            assert_true(store_remove(a.store, k, p.hash, 0));
    }
    atomic_store(&a.stop, true);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&a.asked) > 0);
    store_free(a.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asking_ahead_bears_a_table_that_grows_and_shrinks),
        cmocka_unit_test(threads_see_whole_values_of_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
