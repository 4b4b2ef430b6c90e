/* Room for one large entry, made in steps before its put. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "locks.h"
#include "store/shard_priv.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE (200 * 1024)

struct world {
    struct marks *marks;
    struct store *store;
    char value[LARGE];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(marks_new(&w->marks, 64, 3, NULL), 0);
    struct store_options o = {.memory_bytes = 8 << 20, .shards = 1, .seed = 9, .marks = w->marks};
    assert_int_equal(store_new(&w->store, &o, NULL), 0);
    memset(w->value, 'x', sizeof w->value);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    store_free(w->store);
    marks_free(w->marks);
    free(w);
    return 0;
}

static struct put put_of(struct world *w, const char *key, size_t size)
{
    struct slice k = slice_str(key);
    return (struct put){
        .key = k, .hash = store_hash(w->store, k), .value = slice_of(w->value, size)};
}

static void store(struct world *w, const struct put *p)
{
    assert_int_equal(store_put(w->store, p, 1, NULL), 0);
}

static struct store_stats stats(struct world *w)
{
    struct store_stats s;
    store_read_stats(w->store, &s);
    return s;
}

/* Small entries until some have to leave. */
static void fill(struct world *w)
{
    char key[32];
    for (unsigned i = 0; stats(w).evictions == 0; i++) {
        snprintf(key, sizeof key, "small:%u", i);
        struct put p = put_of(w, key, 40);
        store(w, &p);
    }
}

static size_t stored_size(struct world *w, const struct put *p)
{
    struct hit hit;
    enum lookup found = store_get(w->store, p->key, p->hash, 1, 0, NULL, &hit);
    size_t size = found == LOOKUP_FRESH ? entry_value(hit.entry).size : 0;
    entry_unref(hit.entry);
    return size;
}

/* Steps until the room is there; how many steps. */
static unsigned make(struct world *w, const struct put *p, struct room *room)
{
    unsigned steps = 1;
    while (store_make_room(w->store, p, room))
        steps++;
    return steps;
}

static void room_comes_in_small_steps_and_its_put_evicts_nothing(void **state)
{
    struct world *w = *state;
    fill(w);
    struct put p = put_of(w, "large", LARGE);
    struct room room = {0};
    unsigned steps = 0;
    for (bool more = true; more; steps++) {
        uint64_t before = stats(w).evictions;
        more = store_make_room(w->store, &p, &room);
        assert_in_range(stats(w).evictions - before, 0, SHARD_BATCH);
    }
    assert_true(steps > 10);
    assert_non_null(room.entry);
    uint64_t evictions = stats(w).evictions;
    p.room = &room;
    store(w, &p);
    assert_int_equal(stats(w).evictions, evictions);
    assert_null(room.entry);
    assert_int_equal(stored_size(w, &p), LARGE);
}

static void room_that_is_given_back_is_there_for_the_next(void **state)
{
    struct world *w = *state;
    fill(w);
    struct put p = put_of(w, "large", LARGE);
    struct room room = {0}, again = {0};
    make(w, &p, &room);
    uint64_t evictions = stats(w).evictions;
    entry_unref(room.entry);
    assert_int_equal(make(w, &p, &again), 1);
    assert_int_equal(stats(w).evictions, evictions);
    entry_unref(again.entry);
    assert_int_equal(stored_size(w, &p), 0);
}

static void a_put_of_another_shape_leaves_the_room_alone(void **state)
{
    struct world *w = *state;
    static const uint32_t slot = 0;
    fill(w);
    for (int i = 0; i < 6; i++) {
        struct put p = put_of(w, "large", LARGE);
        struct room room = {0};
        make(w, &p, &room);
        struct entry *before = room.entry;
        assert_non_null(before);
        p.room = &room;
        if (i == 0)
            p.value.size--;
        if (i == 1)
            p.has_version = true;
        if (i == 2)
            p.key = slice_str("large ");
        if (i == 3) {
            p.tags = &slot;
            p.tag_count = 1;
        }
        if (i == 4)
            p.negative = true;
        if (i == 5)
            p.tag_texts = slice_str("x"); /* of no use without tags */
        p.hash = store_hash(w->store, p.key);
        store(w, &p);
        assert_ptr_equal(room.entry, before);
        assert_int_equal(stored_size(w, &p), p.negative ? 0 : p.value.size);
        entry_unref(room.entry);
    }
}

static void what_will_be_refused_gets_no_room(void **state)
{
    struct world *w = *state;
    char *large = calloc(1, 8 << 20);
    struct room room = {0};
    fill(w);
    uint64_t evictions = stats(w).evictions;
    struct put p = put_of(w, "large", 1);
    p.value = slice_of(large, 8 << 20);
    assert_false(store_make_room(w->store, &p, &room));
    p = put_of(w, "", LARGE);
    assert_false(store_make_room(w->store, &p, &room));
    assert_null(room.entry);
    assert_int_equal(stats(w).evictions, evictions);
    free(large);
}

/* Rooms are held while everything else goes on; what is stored stays what it was. */
static void rooms_bear_whatever_happens_meanwhile(void **state)
{
    struct world *w = *state;
    struct rng rng = {.state = 12};
    struct room rooms[4] = {{0}};
    struct put puts[4];
    char keys[4][16], key[32];
    unsigned stored = 0;
    for (unsigned i = 0; i < 4; i++) {
        snprintf(keys[i], sizeof keys[i], "large:%u", i);
        puts[i] = put_of(w, keys[i], LARGE);
    }
    for (unsigned round = 0; round < 40000; round++) {
        unsigned i = (unsigned)(rng_next(&rng) % 4);
        snprintf(key, sizeof key, "small:%u", (unsigned)(rng_next(&rng) % 60000));
        struct put small = put_of(w, key, 1 + (size_t)(rng_next(&rng) % 300));
        store(w, &small);
        assert_int_equal(stored_size(w, &small), small.value.size);
        if (rng_next(&rng) % 8 != 0)
            continue;
        if (!rooms[i].entry) {
            (void)!store_make_room(w->store, &puts[i], &rooms[i]);
        } else if (rng_next(&rng) % 3 != 0) {
            puts[i].room = &rooms[i];
            store(w, &puts[i]);
            assert_int_equal(stored_size(w, &puts[i]), LARGE);
            rooms[i] = (struct room){0};
            stored++;
        } else {
            entry_unref(rooms[i].entry);
            rooms[i] = (struct room){0};
        }
    }
    assert_true(stored > 20);
    for (unsigned i = 0; i < 4; i++)
        entry_unref(rooms[i].entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(room_comes_in_small_steps_and_its_put_evicts_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(room_that_is_given_back_is_there_for_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_put_of_another_shape_leaves_the_room_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_will_be_refused_gets_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(rooms_bear_whatever_happens_meanwhile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
