#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tier/tier_queue.h"

static struct tier_slots slots;
static struct tier_queue queue;

static int setup(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(tier_slots_init(&slots, 1024, &e), 0);
    assert_int_equal(tier_queue_init(&queue, 4096, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tier_queue_fini(&queue);
    tier_slots_fini(&slots);
    return 0;
}

static struct tier_value value_of(const char *key, int64_t version)
{
    return (struct tier_value){.key = slice_str(key),
                               .hash = (uint64_t)(unsigned char)key[0],
                               .packed = slice_of("\x07", 1),
                               .has_version = true,
                               .version = version,
                               .seen = tier_slots_now(&slots)};
}

static enum tier_queued put(const struct tier_value *v)
{
    size_t count;
    struct tier_item *i = tier_item_new(v);
    assert_non_null(i);
    return tier_queue_put(&queue, &slots, i, &count);
}

static bool has(const char *key)
{
    return tier_queue_has(&queue, slice_str(key), (uint64_t)(unsigned char)key[0]);
}

static size_t waiting(void)
{
    size_t count, bytes;
    tier_queue_read(&queue, &count, &bytes);
    return count;
}

static struct tier_item *first(struct list *items)
{
    return container_of(items->next, struct tier_item, link);
}

static void the_last_of_a_key_waits_and_in_their_order(void **state)
{
    (void)state;
    struct tier_value a = value_of("a", 1), b = value_of("b", 1), c = value_of("a", 2);
    assert_int_equal(TIER_QUEUED, put(&a));
    assert_int_equal(TIER_QUEUED, put(&b));
    assert_int_equal(TIER_QUEUED, put(&c));
    assert_int_equal(2, waiting());
    struct list out;
    list_init(&out);
    assert_int_equal(2, tier_queue_take(&queue, 10, &out));
    assert_true(slice_eq_str(first(&out)->v.key, "b"));
    assert_int_equal(2, container_of(out.prev, struct tier_item, link)->v.version);
    tier_queue_settle(&queue, &out, false);
}

static void what_is_in_the_air_counts_until_it_is_settled(void **state)
{
    (void)state;
    struct tier_value a = value_of("a", 1);
    assert_int_equal(TIER_QUEUED, put(&a));
    struct list out;
    list_init(&out);
    assert_int_equal(1, tier_queue_take(&queue, 10, &out));
    assert_int_equal(0, waiting());
    assert_true(has("a"));
    tier_queue_settle(&queue, &out, false);
    assert_false(has("a"));
}

static void what_failed_waits_again_unless_there_is_a_newer_one(void **state)
{
    (void)state;
    struct tier_value a = value_of("a", 1), b = value_of("b", 1), newer = value_of("a", 2);
    struct list out;
    list_init(&out);
    assert_int_equal(TIER_QUEUED, put(&a));
    assert_int_equal(TIER_QUEUED, put(&b));
    assert_int_equal(2, tier_queue_take(&queue, 10, &out));
    assert_int_equal(TIER_QUEUED, put(&newer));
    tier_queue_settle(&queue, &out, true);
    assert_int_equal(2, waiting());
    assert_int_equal(2, tier_queue_take(&queue, 10, &out));
    assert_true(slice_eq_str(first(&out)->v.key, "b")); /* ahead of what came later */
    assert_int_equal(2, container_of(out.prev, struct tier_item, link)->v.version);
    tier_queue_settle(&queue, &out, false);
}

static void a_value_from_before_a_change_is_refused(void **state)
{
    (void)state;
    struct tier_value a = value_of("a", 1);
    tier_slots_stamp(&slots, a.hash);
    assert_int_equal(TIER_OVERTAKEN, put(&a));
    assert_int_equal(0, waiting());
    struct tier_value after = value_of("a", 1);
    assert_int_equal(TIER_QUEUED, put(&after));
}

static void a_mark_takes_the_place_of_a_value_and_no_older_version_that_of_a_newer(void **state)
{
    (void)state;
    struct tier_value a = value_of("a", 7), older = value_of("a", 6);
    assert_int_equal(TIER_QUEUED, put(&a));
    assert_int_equal(TIER_OVERTAKEN, put(&older));
    struct tier_value mark = value_of("a", 5);
    mark.gone = true;
    assert_int_equal(TIER_QUEUED, put(&mark));
    struct list out;
    list_init(&out);
    assert_int_equal(1, tier_queue_take(&queue, 10, &out));
    assert_true(first(&out)->v.gone);
    tier_queue_settle(&queue, &out, false);
}

static void what_does_not_fit_is_refused_with_what_it_would_have_replaced(void **state)
{
    (void)state;
    static char large[4096];
    struct tier_value a = value_of("a", 1), b = value_of("a", 2);
    assert_int_equal(TIER_QUEUED, put(&a));
    b.packed = slice_of(large, sizeof large);
    assert_int_equal(TIER_FULL, put(&b));
    assert_int_equal(0, waiting());
    assert_false(has("a"));
    assert_int_equal(TIER_QUEUED, put(&a));
}

static void keys_that_no_row_can_have_are_known(void **state)
{
    (void)state;
    static char key[TIER_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    assert_true(tier_item_can_have(slice_of(key, TIER_KEY_MAX)));
    assert_false(tier_item_can_have(slice_of(key, TIER_KEY_MAX + 1)));
    assert_false(tier_item_can_have(slice_of("", 0)));
    assert_false(tier_item_can_have(slice_of("a\0b", 3)));
    assert_false(tier_item_can_have(slice_of("\xff", 1)));
    assert_true(tier_item_can_have(slice_str("\xc3\xa9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_of_a_key_waits_and_in_their_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_in_the_air_counts_until_it_is_settled, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_failed_waits_again_unless_there_is_a_newer_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_value_from_before_a_change_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_mark_takes_the_place_of_a_value_and_no_older_version_that_of_a_newer, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            what_does_not_fit_is_refused_with_what_it_would_have_replaced, setup, teardown),
        cmocka_unit_test(keys_that_no_row_can_have_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
