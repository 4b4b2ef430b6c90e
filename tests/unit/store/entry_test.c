#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/entry.h"

#define DAY_MS INT64_C(86400000)

static void set_deadlines(struct entry *e, int64_t now, int64_t ttl, int64_t stale, int64_t keep)
{
    const struct put p = {.ttl_ms = ttl, .stale_ttl_ms = stale, .keep_ms = keep};
    entry_set_deadlines(e, &p, now);
}

static struct entry *entry_at(int64_t now, bool negative, int64_t ttl, int64_t stale, int64_t keep)
{
    struct put p = {.key = slice_str("k"), .value = slice_str("v"), .negative = negative};
    struct entry *e = entry_new(&p);
    assert_non_null(e);
    set_deadlines(e, now, ttl, stale, keep);
    return e;
}

static void short_spans_are_exact_and_long_ones_are_a_little_shorter(void **state)
{
    (void)state;
    static const int64_t exact[] = {0, 1, 999, 4095, 5000, 60000, 1 << 30};
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        assert_int_equal(span_ms(span_pack(exact[i])), exact[i]);
    for (int64_t ms = 1; ms < 40000 * DAY_MS; ms += ms / 777 + 1) {
        int64_t kept = span_ms(span_pack(ms));
        assert_true(kept <= ms && ms - kept <= ms / 2048);
    }
    assert_int_equal(span_ms(span_pack(-1)), 0);
    assert_int_equal(span_ms(UINT16_MAX - 1), (INT64_C(1) << 42) - (INT64_C(1) << 31));
    assert_int_equal(span_pack((INT64_C(1) << 42) - 1), SPAN_FOREVER);
    assert_int_equal(span_pack(STORE_FOREVER_MS), SPAN_FOREVER);
    assert_int_equal(span_ms(SPAN_FOREVER), INT64_MAX);
}

static void longer_spans_are_larger_numbers(void **state)
{
    (void)state;
    for (uint32_t span = 1; span <= UINT16_MAX; span++) {
        assert_true(span_ms((uint16_t)span) > span_ms((uint16_t)(span - 1)));
        assert_int_equal(span_pack(span_ms((uint16_t)span)), span);
    }
}

static void check_holds(const struct put *p)
{
    struct entry *e = entry_new(p);
    assert_non_null(e);
    assert_true(slice_eq(entry_key(e), p->key));
    assert_true(slice_eq(entry_value(e), p->value));
    assert_int_equal(entry_version(e), p->has_version ? p->version : 0);
    assert_int_equal(entry_load_us(e), 77);
    struct entry_tags tags;
    entry_read_tags(e, &tags);
    assert_int_equal(tags.count, p->tag_count);
    assert_memory_equal(tags.slots, p->tags, p->tag_count * sizeof(uint32_t));
    assert_true(entry_bytes(e) >= entry_size(p) && entry_bytes(e) < entry_size(p) + 4);
    entry_unref(e);
}

static void holds_key_version_value_and_tags_of_any_size(void **state)
{
    (void)state;
    static char text[(1 << 24) + 1];
    static const uint32_t slots[] = {3, 1, 4};
    static const size_t keys[] = {0, 3, 255, 256, 65535}, values[] = {0, 5, (1 << 24) - 1, 1 << 24};
    memset(text, 'x', sizeof text);
    for (int n = 0; n < 5 * 4 * 4; n++) {
        check_holds(&(struct put){
            .key = slice_of(text, keys[n / 16]),
            .value = slice_of(text, values[n / 4 % 4]),
            .has_version = n & 1,
            .version = INT64_MIN + 5,
            .load_us = 77,
            .tags = slots,
            .tag_count = n & 2 ? 3 : 0,
            .since = UINT64_MAX - 9,
        });
    }
}

static void a_negative_entry_has_no_value(void **state)
{
    (void)state;
    struct entry *e = entry_at(0, true, 100, 1000, 1000);
    assert_int_equal(entry_value(e).size, 0);
    assert_int_equal(entry_status(e, 99), LOOKUP_NEGATIVE);
    assert_int_equal(entry_status(e, 100), LOOKUP_MISS);
    assert_int_equal(entry_dies_ms(e), 100);
    entry_unref(e);
}

static void lives_through_fresh_stale_and_kept(void **state)
{
    (void)state;
    struct entry *e = entry_at(1000, false, 100, 50, 200);
    assert_int_equal(entry_status(e, 0), LOOKUP_FRESH);
    assert_int_equal(entry_status(e, 99), LOOKUP_FRESH);
    assert_int_equal(entry_status(e, 100), LOOKUP_STALE);
    assert_int_equal(entry_status(e, 149), LOOKUP_STALE);
    assert_int_equal(entry_status(e, 150), LOOKUP_KEPT);
    assert_int_equal(entry_status(e, 299), LOOKUP_KEPT);
    assert_int_equal(entry_status(e, 300), LOOKUP_MISS);
    assert_int_equal(entry_dies_ms(e), 1300);
    set_deadlines(e, 2000, 100, 50, 20);
    assert_int_equal(entry_status(e, 149), LOOKUP_STALE);
    assert_int_equal(entry_status(e, 150), LOOKUP_MISS);
    assert_int_equal(entry_dies_ms(e), 2150);
    entry_unref(e);
}

static void no_ttl_is_for_ever_and_a_negative_one_is_over(void **state)
{
    (void)state;
    struct entry *e = entry_at(5, false, 0, 0, 0);
    assert_int_equal(entry_status(e, INT64_MAX), LOOKUP_FRESH);
    assert_int_equal(entry_dies_ms(e), STORE_FOREVER_MS);
    set_deadlines(e, 5, -1, 10, 0);
    assert_int_equal(entry_status(e, 0), LOOKUP_STALE);
    set_deadlines(e, 5, 10, STORE_FOREVER_MS, 0);
    assert_int_equal(entry_status(e, 5000 * DAY_MS), LOOKUP_STALE);
    assert_int_equal(entry_dies_ms(e), STORE_FOREVER_MS);
    entry_unref(e);
}

static void a_clock_behind_sees_age_zero(void **state)
{
    (void)state;
    struct entry *e = entry_at(10000, false, 100, 0, 0);
    assert_int_equal(entry_age_ms(e, 9990), 0);
    assert_int_equal(entry_age_ms(e, 10007), 7);
    int64_t years = INT64_C(30) * 365 * DAY_MS;
    set_deadlines(e, years, 100, 0, 0);
    assert_int_equal(entry_stored_ms(e), years);
    entry_unref(e);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct entry *e = entry_new_value(slice_str("shared"));
    assert_non_null(e);
    assert_ptr_equal(entry_ref(e), e);
    entry_unref(e);
    assert_true(slice_eq_str(entry_value(e), "shared"));
    entry_unref(e);
    entry_unref(NULL);
    e = entry_new_value(slice_of(NULL, 0));
    assert_int_equal(entry_value(e).size, 0);
    entry_unref(e);
}

static void tells_its_tags(void **state)
{
    (void)state;
    static const char packed[] = "\x92\xa1"
                                 "a\xa2"
                                 "bc";
    const uint32_t slots[] = {7, 9};
    struct put p = {.key = slice_str("k"), .value = slice_str("value")};
    struct slice texts;
    struct entry *e = entry_new(&p);
    assert_int_equal(entry_tag_texts(e, &texts), TAGGED_NOT);
    entry_unref(e);
    p.tags = slots;
    p.tag_count = 2;
    e = entry_new(&p); /* nobody said which */
    assert_int_equal(entry_tag_texts(e, &texts), TAGGED_UNKNOWN);
    assert_true(
        entry_is_renewal(e, &(struct put){.value = entry_value(e), .tags = slots, .tag_count = 2}));
    entry_unref(e);
    p.tag_texts = slice_of(packed, sizeof packed - 1);
    e = entry_new(&p);
    struct entry_tags tags;
    entry_read_tags(e, &tags);
    assert_int_equal(tags.count, 2);
    assert_memory_equal(tags.slots, slots, sizeof slots);
    assert_true(slice_eq(tags.texts, p.tag_texts));
    assert_int_equal(entry_tag_texts(e, &texts), TAGGED_TEXTS);
    assert_true(slice_eq(texts, p.tag_texts));
    assert_true(entry_bytes(e) >= entry_size(&p) && entry_bytes(e) < entry_size(&p) + 4);
    struct put other = p;
    other.value = entry_value(e);
    assert_true(entry_is_renewal(e, &other));
    other.tag_texts.size--; /* another text in the same slot */
    assert_false(entry_is_renewal(e, &other));
    entry_unref(e);
    e = entry_new_tagged(&p);
    assert_int_equal(entry_tag_texts(e, &texts), TAGGED_TEXTS);
    assert_true(slice_eq(entry_value(e), p.value));
    entry_unref(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_spans_are_exact_and_long_ones_are_a_little_shorter),
        cmocka_unit_test(longer_spans_are_larger_numbers),
        cmocka_unit_test(holds_key_version_value_and_tags_of_any_size),
        cmocka_unit_test(a_negative_entry_has_no_value),
        cmocka_unit_test(lives_through_fresh_stale_and_kept),
        cmocka_unit_test(no_ttl_is_for_ever_and_a_negative_one_is_over),
        cmocka_unit_test(a_clock_behind_sees_age_zero),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(tells_its_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
