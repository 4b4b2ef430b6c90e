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

/* What an entry's header can tell, and one more of each. */
static void holds_so_much_of_each_and_no_more(void **state)
{
    (void)state;
    static const struct {
        size_t key, value, texts;
        unsigned tags;
        bool negative, fits;
    } cases[] = {
        {.key = UINT16_MAX, .fits = true},
        {.key = UINT16_MAX + 1},
        {.value = UINT32_MAX, .fits = true},
        {.value = (size_t)UINT32_MAX + 1},
        {.value = (size_t)UINT32_MAX + 1, .negative = true, .fits = true}, /* it has none */
        {.tags = 64, .fits = true},
        {.tags = 65},
        {.tags = 1, .texts = UINT16_MAX, .fits = true},
        {.tags = 1, .texts = UINT16_MAX + 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct put p = {
            .key.size = cases[i].key,
            .value.size = cases[i].value,
            .negative = cases[i].negative,
            .tag_count = cases[i].tags,
            .tag_texts.size = cases[i].texts,
        };
        if (entry_can_hold(&p) != cases[i].fits)
            fail_msg("case %zu", i);
        if (!cases[i].fits)
            assert_null(entry_new(&p));
    }
}

static void what_lies_outside_the_store_is_counted(void **state)
{
    (void)state;
    const size_t before = entry_outside_bytes();
    struct entry *a = entry_new_value(slice_str("value")), *b = entry_new_value(slice_str(""));
    assert_int_equal(entry_outside_size(a), 48); /* 40, and what it holds in whole units of 4 */
    assert_int_equal(entry_outside_size(b), 40);
    assert_int_equal(entry_outside_bytes(), before + 88);
    entry_unref(entry_ref(a));
    assert_int_equal(entry_outside_bytes(), before + 88);
    entry_unref(a);
    assert_int_equal(entry_outside_bytes(), before + 40);
    entry_unref(b);
    assert_int_equal(entry_outside_bytes(), before);
}

/* What may differ between an entry and a put of its own value, one at a time. */
static void only_what_differs_in_nothing_is_a_renewal(void **state)
{
    (void)state;
    static const uint32_t slots[] = {7, 9, 11}, others[] = {7, 9, 12};
    struct put p = {
        .key = slice_str("k"),
        .value = slice_str("value"),
        .has_version = true,
        .version = 5,
        .tags = slots,
        .tag_count = 3,
        .tag_texts = slice_str("abc"),
    };
    struct entry *e = entry_new(&p);
    p.value = entry_value(e);
    assert_true(entry_is_renewal(e, &p));
    struct put other[8];
    for (int i = 0; i < 8; i++)
        other[i] = p;
    other[0].value = slice_str("value"); /* an equal one at another place */
    other[1].value.size--;
    other[2].negative = true;
    other[3].has_version = false;
    other[4].version = 6;
    other[5].tags = others;
    other[6].tag_count = 2;
    other[7].tag_texts = slice_str("abd");
    for (int i = 0; i < 8; i++)
        if (entry_is_renewal(e, &other[i]))
            fail_msg("case %d", i);
    entry_unref(e);
    struct put plain = {.key = slice_str("k"), .value = slice_str("value")};
    e = entry_new(&plain);
    plain.value = entry_value(e);
    assert_true(entry_is_renewal(e, &plain));
    plain.version = 3; /* of no use without has_version */
    assert_true(entry_is_renewal(e, &plain));
    plain.has_version = true;
    assert_false(entry_is_renewal(e, &plain));
    entry_unref(e);
}

static void is_due_at_a_share_of_its_ttl_and_then_at_its_end(void **state)
{
    (void)state;
    static const struct {
        int64_t ttl, ahead, due;
        bool negative;
    } cases[] = {
        {.ttl = 1000, .ahead = 0, .due = 6500},
        {.ttl = 1000, .ahead = 1000, .due = 6500},
        {.ttl = 1000, .ahead = -5, .due = 6500},
        {.ttl = 1000, .ahead = 500, .due = 5500},
        {.ttl = 1000, .ahead = 250, .due = 5250},
        {.ttl = 65536, .ahead = 1, .due = 5001},
        {.ttl = 1 << 30, .ahead = 1, .due = 5000 + (1 << 14)}, /* a share that is not nothing */
        {.ttl = 1000, .ahead = 500, .negative = true, .due = 6000},
        {.ttl = 0, .ahead = 500, .due = STORE_FOREVER_MS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct entry *e = entry_at(0, cases[i].negative, 0, 0, 0);
        const struct put p = {
            .ttl_ms = cases[i].ttl, .stale_ttl_ms = 500, .refresh.ahead_ms = cases[i].ahead};
        entry_count_read(e);
        entry_set_deadlines(e, &p, 5000);
        assert_int_equal(e->reads, 0);
        if (entry_due_ms(e) != cases[i].due)
            fail_msg("case %zu: %lld", i, (long long)entry_due_ms(e));
        entry_unref(e);
    }
}

static void the_moment_of_storing_is_kept_within_34_years(void **state)
{
    (void)state;
    static const int64_t moments[][2] = {
        {-1, 0},
        {0, 0},
        {UINT32_MAX, UINT32_MAX},
        {INT64_C(1) << 32, INT64_C(1) << 32},
        {(INT64_C(1) << 40) - 1, (INT64_C(1) << 40) - 1},
        {INT64_C(1) << 40, (INT64_C(1) << 40) - 1},
    };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        struct entry *e = entry_at(moments[i][0], false, 100, 0, 0);
        assert_int_equal(entry_stored_ms(e), moments[i][1]);
        entry_unref(e);
    }
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
        cmocka_unit_test(holds_so_much_of_each_and_no_more),
        cmocka_unit_test(what_lies_outside_the_store_is_counted),
        cmocka_unit_test(only_what_differs_in_nothing_is_a_renewal),
        cmocka_unit_test(is_due_at_a_share_of_its_ttl_and_then_at_its_end),
        cmocka_unit_test(the_moment_of_storing_is_kept_within_34_years),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
