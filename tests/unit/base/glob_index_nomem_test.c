/* An index of patterns and the chains below it where memory is denied, and a buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/chains.h"
#include "base/glob_index.h"
#include "faulty.h"

#include <stdio.h>

static size_t met(struct glob_index *ix, const char *key)
{
    struct glob_item *item;
    size_t n = 0;
    glob_index_walk(ix, slice_str(key));
    while (glob_index_step(ix, &item))
        n += item != NULL;
    return n;
}

static void an_index_that_gets_no_memory_is_none(void **state)
{
    (void)state;
    struct glob_index *ix = NULL;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, 0, ix = glob_index_new(1)); nth++)
        assert_null(ix);
    assert_non_null(ix);
    assert_int_equal(nth, 4); /* itself, and two tables */
    assert_int_equal(met(ix, "any"), 0);
    glob_index_free(ix);
    glob_index_free(NULL);
}

/* A pattern that is refused leaves nothing that a walk would meet, or that would not be freed. */
static void a_pattern_that_gets_no_memory_is_not_there(void **state)
{
    (void)state;
    static const char *const patterns[] = {"user:*", "*:1", "*er*", "*", "user:1"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct glob_index *ix = glob_index_new(1);
        struct glob_item item = {.node = NULL}, other = {.node = NULL};
        int rc = 0;
        int64_t nth = 1;
        for (; FAULTY_WITHOUT(nth, 0, rc = glob_index_add(ix, &item, slice_str(patterns[i])));
             nth++) {
            assert_int_equal(rc, ERR_NOMEM);
            assert_null(item.node);
            assert_int_equal(met(ix, "user:1"), 0);
            glob_index_remove(ix, &item); /* of one that is in no index */
        }
        assert_int_equal(rc, 0);
        assert_int_equal(nth, 3); /* where it hangs, and itself */
        assert_int_equal(met(ix, "user:1"), 1);
        /* The same pattern again needs none. */
        faulty_fail_allocation(1, FAULTY_ALL);
        assert_int_equal(glob_index_add(ix, &other, slice_str(patterns[i])), 0);
        assert_false(faulty_calm());
        assert_int_equal(met(ix, "user:1"), 2);
        glob_index_remove(ix, &item);
        glob_index_remove(ix, &other);
        assert_int_equal(met(ix, "user:1"), 0);
        glob_index_free(ix);
    }
}

/* One that shares its place with another is refused, and the other one stays. */
static void who_hangs_at_the_same_place_stays(void **state)
{
    (void)state;
    struct glob_index *ix = glob_index_new(1);
    struct glob_item first = {.node = NULL}, second = {.node = NULL};
    int rc = 0;
    assert_int_equal(glob_index_add(ix, &first, slice_str("user:*")), 0);
    assert_true(FAULTY_WITHOUT(1, 0, rc = glob_index_add(ix, &second, slice_str("user:*a"))));
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(met(ix, "user:1"), 1);
    glob_index_remove(ix, &first);
    glob_index_free(ix);
}

/* Chains that cannot grow get longer, and lose nothing; once there is memory they catch up. */
static void chains_that_cannot_grow_keep_all(void **state)
{
    enum { MANY = 5000 };
    static struct chain_link links[MANY];
    (void)state;
    struct chains c;
    assert_int_equal(chains_init(&c), 0);
    faulty_fail_allocation(1, FAULTY_ALL);
    for (size_t i = 0; i < MANY; i++) {
        links[i].hash = i * 0x9e3779b97f4a7c15;
        chains_add(&c, &links[i]);
    }
    assert_true(faulty_calm());
    const size_t before = c.buckets;
    assert_int_equal(c.count, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(chains_first(&c, links[i].hash), &links[i]);
    for (size_t i = 0; i < MANY; i++) {
        chains_remove(&c, &links[i]);
        chains_remove(&c, &links[i]); /* it is not there any more */
        assert_int_equal(c.count, MANY - 1);
        chains_add(&c, &links[i]);
    }
    assert_true(c.buckets > before);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(chains_first(&c, links[i].hash), &links[i]);
    chains_fini(&c);
    faulty_fail_allocation(1, 0);
    assert_int_equal(chains_init(&c), ERR_NOMEM);
    assert_true(faulty_calm());
}

static void a_buffer_that_gets_no_memory_stays_as_it_was(void **state)
{
    (void)state;
    struct buf b;
    int rc = 0;
    char large[5000] = {0};
    buf_init(&b, 0);
    assert_int_equal(buf_append(&b, "abc", 3), 0);
    const char *data = b.data;
    const size_t capacity = b.capacity;
    assert_true(FAULTY_WITHOUT(1, 0, rc = buf_append(&b, large, sizeof large)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_true(FAULTY_WITHOUT(1, 0, rc = buf_printf(&b, "%*d", 5000, 7)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_true(FAULTY_WITHOUT(1, 0, rc = buf_room(&b, 5000) == NULL));
    assert_true(rc);
    assert_true(FAULTY_WITHOUT(1, 0, buf_fit(&b))); /* it is as large as it was, then */
    assert_ptr_equal(b.data, data);
    assert_int_equal(b.capacity, capacity);
    assert_true(slice_eq_str(buf_slice(&b), "abc"));
    buf_fit(&b);
    assert_int_equal(b.capacity, 3);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_that_gets_no_memory_is_none),
        cmocka_unit_test(a_pattern_that_gets_no_memory_is_not_there),
        cmocka_unit_test(who_hangs_at_the_same_place_stays),
        cmocka_unit_test(chains_that_cannot_grow_keep_all),
        cmocka_unit_test(a_buffer_that_gets_no_memory_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
