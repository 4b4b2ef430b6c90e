/* Records as bytes: there and back, cut, older, newer, and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/entry.h"
#include "store/record.h"
#include "wire/mpw.h"

#include <stdlib.h>
#include <string.h>

static int64_t any_length(struct rng *r)
{
    return (int64_t)(rng_next(r) >> (1 + rng_below(r, 62)));
}

static int64_t any_span(struct rng *r)
{
    return rng_below(r, 4) ? any_length(r) : STORE_FOREVER_MS;
}

static struct record any_record(struct rng *r)
{
    static const char *const texts[] = {"\xa3tag", "\x92\xa1z\xc4\x01\xff", "\xd9\x01t"};
    static char bytes[70000];
    struct record rec = {
        .key = slice_of(bytes, 1 + rng_below(r, rng_below(r, 9) ? 40 : ENTRY_KEY_MAX)),
        .negative = rng_below(r, 4) == 0,
        .has_version = rng_below(r, 2),
        .made_stale = rng_below(r, 2),
        .unproven = rng_below(r, 2),
        .age_ms = any_length(r),
        .fresh_left_ms = rng_below(r, 2) ? any_span(r) : -any_length(r),
        .stale_ttl_ms = any_span(r),
        .keep_ms = any_span(r),
        .tagged = (enum entry_tagged)rng_below(r, 3),
        .load_us = (uint32_t)rng_next(r),
        .ahead = (uint16_t)rng_next(r),
        .owner = (uint16_t)rng_next(r),
        .frequency = (uint8_t)rng_below(r, RECORD_FREQUENCY_MAX + 1),
        .score = (uint8_t)rng_below(r, RECORD_SCORE_MAX + 1),
        .in_main = rng_below(r, 2),
        .reads = (uint8_t)rng_next(r),
    };
    if (!rec.negative)
        rec.value = slice_of(bytes, rng_below(r, rng_below(r, 9) ? 300 : sizeof bytes));
    if (rec.has_version)
        rec.version = (int64_t)rng_next(r);
    if (rec.tagged == TAGGED_TEXTS)
        rec.tag_texts = slice_str(texts[rng_below(r, 3)]);
    return rec;
}

static void check_equal(const struct record *a, const struct record *b)
{
    assert_true(slice_eq(a->key, b->key));
    assert_true(slice_eq(a->value, b->value));
    assert_true(slice_eq(a->tag_texts, b->tag_texts));
    assert_int_equal(a->negative, b->negative);
    assert_int_equal(a->has_version, b->has_version);
    assert_int_equal(a->made_stale, b->made_stale);
    assert_int_equal(a->unproven, b->unproven);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->age_ms, b->age_ms);
    assert_int_equal(a->fresh_left_ms, b->fresh_left_ms);
    assert_int_equal(a->stale_ttl_ms, b->stale_ttl_ms);
    assert_int_equal(a->keep_ms, b->keep_ms);
    assert_int_equal(a->tagged, b->tagged);
    assert_int_equal(a->load_us, b->load_us);
    assert_int_equal(a->ahead, b->ahead);
    assert_int_equal(a->owner, b->owner);
    assert_int_equal(a->frequency, b->frequency);
    assert_int_equal(a->score, b->score);
    assert_int_equal(a->in_main, b->in_main);
    assert_int_equal(a->reads, b->reads);
}

static void records_come_back_one_after_the_other(void **state)
{
    (void)state;
    enum { RECORDS = 2000 };
    struct rng rng = {.state = 1}, again = {.state = 1};
    struct buf out;
    struct record r;
    struct err e;
    buf_init(&out, 0);
    for (int i = 0; i < RECORDS; i++) {
        struct record rec = any_record(&rng);
        assert_int_equal(record_pack(&out, &rec), 0);
    }
    struct slice rest = buf_slice(&out);
    for (int i = 0; i < RECORDS; i++) {
        struct record rec = any_record(&again);
        assert_int_equal(record_read(&rest, &r, &e), 0);
        check_equal(&rec, &r);
    }
    assert_int_equal(rest.size, 0);
    buf_fini(&out);
}

static void a_record_that_is_cut_is_refused_at_each_byte(void **state)
{
    (void)state;
    struct rng rng = {.state = 2};
    struct buf out;
    struct record r;
    struct err e;
    buf_init(&out, 0);
    for (int i = 0; i < 100; i++) {
        struct record rec = any_record(&rng);
        rec.key = slice_str("a key");
        if (!rec.negative)
            rec.value = slice_str("a value");
        buf_clear(&out);
        assert_int_equal(record_pack(&out, &rec), 0);
        for (size_t size = 0; size < out.size; size++) {
            struct slice rest = slice_of(out.data, size);
            assert_int_equal(record_read(&rest, &r, &e), ERR_BAD_VALUE);
            assert_non_null(strstr(e.text, "is cut off"));
            assert_ptr_equal(rest.data, out.data);
            assert_int_equal(rest.size, size);
        }
    }
    buf_fini(&out);
}

/* The first fields of one, and what a test puts behind them. */
static void pack_fields(struct buf *out, uint32_t count, unsigned first)
{
    static const char fields[] =
        "\xc4\x01k\xc4\x01v\x07\x01\x02\x03\x04\x00\xc3\x05\x06\x07\x2f\x09";
    static const size_t ends[] = {0, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    buf_clear(out);
    assert_int_equal(mpw_array(out, count), 0);
    assert_int_equal(buf_append(out, fields, ends[first]), 0);
}

static void an_older_record_has_defaults(void **state)
{
    (void)state;
    struct buf out;
    struct record r;
    struct err e;
    buf_init(&out, 0);
    for (uint32_t fields = 9; fields <= 14; fields++) {
        pack_fields(&out, fields, fields);
        struct slice rest = buf_slice(&out);
        assert_int_equal(record_read(&rest, &r, &e), 0);
        assert_int_equal(rest.size, 0);
        assert_true(slice_eq_str(r.key, "k") && slice_eq_str(r.value, "v"));
        assert_int_equal(r.version, 7);
        assert_int_equal(r.age_ms, 1);
        assert_int_equal(r.fresh_left_ms, 2);
        assert_int_equal(r.stale_ttl_ms, 3);
        assert_int_equal(r.keep_ms, 4);
        assert_int_equal(r.tagged, TAGGED_UNKNOWN);
        assert_int_equal(r.load_us, fields > 9 ? 5 : 0);
        assert_int_equal(r.ahead, fields > 10 ? 6 : 0);
        assert_int_equal(r.owner, fields > 11 ? 7 : 0);
        assert_int_equal(r.frequency, fields > 12 ? 3 : 0);
        assert_int_equal(r.in_main, fields > 12);
        assert_int_equal(r.score, fields > 12 ? 5 : 0);
        assert_int_equal(r.reads, fields > 13 ? 9 : 0);
    }
    buf_fini(&out);
}

static void what_a_newer_one_has_beside_is_skipped(void **state)
{
    (void)state;
    struct buf out;
    struct record r;
    struct err e;
    buf_init(&out, 0);
    pack_fields(&out, 17, 14);
    assert_int_equal(buf_append(&out, "\x92\x01\xa1x\xc0\xd3\0\0\0\0\0\0\0\x01next", 18), 0);
    struct slice rest = buf_slice(&out);
    assert_int_equal(record_read(&rest, &r, &e), 0);
    assert_int_equal(r.reads, 9);
    assert_true(slice_eq_str(rest, "next"));
    rest = slice_of(out.data, out.size - 5);
    assert_int_equal(record_read(&rest, &r, &e), ERR_BAD_VALUE);
    assert_string_equal(e.text, "a record's field 17 is cut off, or no MessagePack");
    buf_fini(&out);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static char many[3 + 65];
    static const struct {
        unsigned first; /* fields that are right, before */
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {0, "\xc0", 1, "a record's key is no bytes"},
        {0, "\xc4\x00", 2, "a record's key is empty, or longer than 65,535 bytes"},
        {0, "\xc1", 1, "a record's key is no MessagePack"},
        {1, "\x01", 1, "a record's value is neither bytes nor nil"},
        {2, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9,
         "a record's version is neither an integer of 64 bits nor nil"},
        {3, "\xff", 1, "a record's age is out of its bounds"},
        {3, "\xc0", 1, "a record's age is no integer"},
        {4, "\xa1x", 2, "a record's left is no integer"},
        {5, "\xff", 1, "a record's stale is out of its bounds"},
        {6, "\xff", 1, "a record's keep is out of its bounds"},
        {6, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9, "a record's keep is out of its bounds"},
        {7, "\xff", 1, "a record's flags is out of its bounds"},
        {8, "\x01", 1, "a record's tags are no text, nor an array of at most 64"},
        {8, "\xc4\x01\x90", 3, "a record's tags are no text, nor an array of at most 64"},
        {8, "\xc4\x02\x91\x01", 4, "a record's tags are no text, nor an array of at most 64"},
        {8, "\xc4\x03\xa1x\x01", 5, "a record's tags are no text, nor an array of at most 64"},
        {8, "\xc4\x01\x91", 3, "a record's tags are no text, nor an array of at most 64"},
        {8, many, sizeof many, "a record's tags are no text, nor an array of at most 64"},
        {9, "\xcf\0\0\0\x01\0\0\0\0", 9, "a record's load is out of its bounds"},
        {10, "\xce\0\x01\0\0", 5, "a record's ahead is out of its bounds"},
        {11, "\xce\0\x01\0\0", 5, "a record's owner is out of its bounds"},
        {12, "\xcd\x01\0", 3, "a record's state is out of its bounds"},
        {13, "\xcd\x01\0", 3, "a record's reads is out of its bounds"},
        {13, "\xca\0\0\0\0", 5, "a record's reads is no integer"},
    };
    struct buf out;
    struct record r;
    struct err e;
    buf_init(&out, 0);
    memset(many, '\xa0', sizeof many);
    memcpy(many, "\xc4\x42\xdc\0\x41", 5); /* 65 empty ones, less what does not fit */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pack_fields(&out, 14, cases[i].first);
        assert_int_equal(buf_append(&out, cases[i].bytes, cases[i].size), 0);
        struct slice rest = buf_slice(&out);
        assert_int_equal(record_read(&rest, &r, &e), ERR_BAD_VALUE);
        assert_string_equal(e.text, cases[i].says);
    }
    static const struct {
        const char *bytes, *says;
    } begins[] = {
        {"\x98", "a record has 8 fields, where 9 are needed"},
        {"\x81", "a record is no array"},
        {"\xc1", "a record is no array"},
        {"", "a record is cut off"},
    };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct slice rest = slice_str(begins[i].bytes);
        assert_int_equal(record_read(&rest, &r, &e), ERR_BAD_VALUE);
        assert_string_equal(e.text, begins[i].says);
    }
    buf_fini(&out);
}

static void tags_are_slots(void **state)
{
    (void)state;
    struct marks *m;
    uint32_t slots[MARKS_TAGS_MAX];
    struct record r = {.tagged = TAGGED_TEXTS, .tag_texts = slice_str("\x92\xa1z\xc4\x01\xff")};
    assert_int_equal(marks_new(&m, 1024, 3, NULL), 0);
    assert_int_equal(record_slots(&r, m, slots), 2);
    assert_int_equal(slots[0], marks_slot(m, slice_str("z")));
    assert_int_equal(slots[1], marks_slot(m, slice_str("\xff")));
    assert_int_equal(record_slots(&r, NULL, slots), 0);
    r.tagged = TAGGED_UNKNOWN;
    assert_int_equal(record_slots(&r, m, slots), 1);
    assert_int_equal(slots[0], marks_any_tag(m));
    r.tagged = TAGGED_NOT;
    assert_int_equal(record_slots(&r, m, slots), 0);
    marks_free(m);
}

static void what_finds_no_room_leaves_nothing(void **state)
{
    (void)state;
    struct record r = {.key = slice_str("key"), .value = slice_str("a value of some bytes")};
    struct buf out;
    for (size_t max = 1; max < 41; max++) {
        buf_init(&out, max);
        assert_int_equal(buf_append(&out, "x", 1), 0);
        assert_int_equal(record_pack(&out, &r), ERR_TOO_LARGE);
        assert_int_equal(out.size, 1);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_one_after_the_other),
        cmocka_unit_test(a_record_that_is_cut_is_refused_at_each_byte),
        cmocka_unit_test(an_older_record_has_defaults),
        cmocka_unit_test(what_a_newer_one_has_beside_is_skipped),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(tags_are_slots),
        cmocka_unit_test(what_finds_no_room_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
