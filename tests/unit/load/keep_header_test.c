#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/keep_header.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <stdlib.h>

static struct keep_loader loaders[] = {
    {.pattern = {"user:*", 6}, .print = UINT64_MAX, .slot = 1},
    {.pattern = {"team:{id:int}", 13}, .print = 7, .slot = UINT16_MAX},
};
static struct keep_feed feeds[] = {
    {.backend = {"main", 4}, .source = 9, .position = {"12:14:13", 8}},
    {.backend = {"other", 5}, .source = UINT64_MAX - 1, .position = {"", 0}},
};

static struct keep_header some_header(void)
{
    return (struct keep_header){
        .version = slice_str("1.2.3"),
        .clean = true,
        .moment = {.wall_ms = 1700000000123, .boot_ms = 55},
        .boot_id = slice_str("0f"),
        .life = 12,
        .seed = UINT64_MAX,
        .lossy_ms = 600000,
        .loaders = loaders,
        .loader_count = 2,
        .feeds = feeds,
        .feed_count = 2,
        .has_journal = true,
        .journal = {.chain = UINT64_MAX - 3, .number = 4, .seq = 99},
    };
}

static void pack(struct buf *b, const struct keep_header *h)
{
    buf_init(b, 0);
    assert_int_equal(0, keep_header_pack(b, h));
}

static void assert_slice(const char *text, struct slice s)
{
    assert_true(slice_eq_str(s, text));
}

static void what_is_packed_is_read(void **state)
{
    (void)state;
    struct keep_header from = some_header(), h;
    struct buf b;
    struct err e;
    pack(&b, &from);
    assert_int_equal(0, keep_header_read(buf_slice(&b), &h, &e));
    assert_slice("1.2.3", h.version);
    assert_true(h.clean);
    assert_int_equal(1700000000123, h.moment.wall_ms);
    assert_int_equal(55, h.moment.boot_ms);
    assert_slice("0f", h.boot_id);
    assert_int_equal(12, h.life);
    assert_true(h.seed == UINT64_MAX);
    assert_int_equal(600000, h.lossy_ms);
    assert_int_equal(2, h.loader_count);
    assert_slice("user:*", h.loaders[0].pattern);
    assert_true(h.loaders[0].print == UINT64_MAX);
    assert_int_equal(1, h.loaders[0].slot);
    assert_slice("team:{id:int}", h.loaders[1].pattern);
    assert_int_equal(7, h.loaders[1].print);
    assert_int_equal(UINT16_MAX, h.loaders[1].slot);
    assert_int_equal(2, h.feed_count);
    assert_slice("main", h.feeds[0].backend);
    assert_int_equal(9, h.feeds[0].source);
    assert_slice("12:14:13", h.feeds[0].position);
    assert_slice("other", h.feeds[1].backend);
    assert_true(h.feeds[1].source == UINT64_MAX - 1);
    assert_int_equal(0, h.feeds[1].position.size);
    assert_true(h.has_journal);
    assert_true(h.journal.chain == UINT64_MAX - 3);
    assert_int_equal(4, h.journal.number);
    assert_int_equal(99, h.journal.seq);
    keep_header_fini(&h);
    assert_null(h.loaders);
    buf_fini(&b);
}

static void without_journal_loaders_and_feeds_there_are_none(void **state)
{
    (void)state;
    struct keep_header from = some_header(), h;
    from.loader_count = from.feed_count = 0;
    from.has_journal = from.clean = false;
    struct buf b;
    struct err e;
    pack(&b, &from);
    assert_int_equal(0, keep_header_read(buf_slice(&b), &h, &e));
    assert_false(h.has_journal);
    assert_false(h.clean);
    assert_int_equal(0, h.journal.chain | h.journal.number | h.journal.seq);
    assert_int_equal(0, h.loader_count);
    assert_int_equal(0, h.feed_count);
    keep_header_fini(&h);
    buf_fini(&b);
}

static void what_another_version_has_is_passed_over_and_what_it_lacks_is_nothing(void **state)
{
    (void)state;
    struct keep_header h;
    struct buf b;
    struct err e;
    buf_init(&b, 0);
    int rc = mpw_map(&b, 3);
    rc |= mpw_cstr(&b, "weather") | mpw_array(&b, 2) | mpw_nil(&b) | mpw_cstr(&b, "rain");
    rc |= mpw_cstr(&b, "loaders") | mpw_array(&b, 1) | mpw_array(&b, 4) | mpw_cstr(&b, "k:*");
    rc |= mpw_uint(&b, 3) | mpw_uint(&b, 2) | mpw_cstr(&b, "more");
    rc |= mpw_cstr(&b, "life") | mpw_uint(&b, 5);
    assert_int_equal(0, rc);
    assert_int_equal(0, keep_header_read(buf_slice(&b), &h, &e));
    assert_int_equal(5, h.life);
    assert_int_equal(1, h.loader_count);
    assert_slice("k:*", h.loaders[0].pattern);
    assert_int_equal(3, h.loaders[0].print);
    assert_int_equal(2, h.loaders[0].slot);
    assert_false(h.clean);
    assert_int_equal(0, h.version.size);
    keep_header_fini(&h);
    buf_fini(&b);
}

static void each_cut_is_refused(void **state)
{
    (void)state;
    struct keep_header from = some_header(), h;
    struct buf b;
    struct err e;
    pack(&b, &from);
    for (size_t size = 0; size < b.size; size++) {
        char *cut = malloc(size + 1); /* so that a sanitizer sees a byte too many */
        memcpy(cut, b.data, size);
        assert_int_equal(ERR_BAD_REQUEST, keep_header_read(slice_of(cut, size), &h, &e));
        assert_string_equal("the header of the snapshot: it ends too early", e.text);
        assert_null(h.loaders);
        assert_null(h.feeds);
        free(cut);
    }
    assert_int_equal(0, buf_append(&b, "\xc0", 1));
    assert_int_equal(ERR_BAD_REQUEST, keep_header_read(buf_slice(&b), &h, &e));
    assert_string_equal("the header of the snapshot: there is something behind it", e.text);
    buf_fini(&b);
}

/* No byte may be read past the end, nothing leaks, whatever stands there. */
static void each_changed_byte_is_read_or_refused(void **state)
{
    (void)state;
    static const unsigned char others[] = {0x00, 0x01, 0x7f, 0x80, 0x90, 0xc0, 0xc1,
                                           0xc6, 0xcf, 0xd3, 0xdb, 0xdd, 0xdf, 0xff};
    struct keep_header from = some_header(), h;
    struct buf b;
    struct err e;
    pack(&b, &from);
    char *copy = malloc(b.size);
    size_t refused = 0;
    for (size_t i = 0; i < b.size; i++)
        for (size_t k = 0; k < sizeof others; k++) {
            memcpy(copy, b.data, b.size);
            copy[i] = (char)others[k];
            int rc = keep_header_read(slice_of(copy, b.size), &h, &e);
            assert_true(rc == 0 || rc == ERR_BAD_REQUEST || rc == ERR_NOMEM);
            refused += rc != 0;
            keep_header_fini(&h);
        }
    assert_true(refused > b.size);
    free(copy);
    buf_fini(&b);
}

static void a_field_of_another_type_is_refused_by_what_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *name, *why;
    } cases[] = {
        {"clean", "a flag is none"},
        {"wall_ms", "a number is none"},
        {"life", "a number is none, or below 0"},
        {"seed", "a number is none, or below 0"},
        {"rtcache", "a text is none"},
        {"boot_id", "a text is none"},
        {"loaders", "a list is none, or too long"},
        {"feeds", "a list is none, or too long"},
        {"journal", "a list is none, or too long"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keep_header h;
        struct buf b;
        struct err e;
        char text[128];
        buf_init(&b, 0);
        assert_int_equal(0, mpw_map(&b, 1) | mpw_cstr(&b, cases[i].name) | mpw_float(&b, 1.5));
        assert_int_equal(ERR_BAD_REQUEST, keep_header_read(buf_slice(&b), &h, &e));
        snprintf(text, sizeof text, "the header of the snapshot: %s", cases[i].why);
        assert_string_equal(text, e.text);
        buf_fini(&b);
    }
}

static void lists_are_bounded_and_stand_once(void **state)
{
    (void)state;
    struct keep_header h;
    struct buf b;
    struct err e;
    static const char *const names[] = {"loaders", "feeds"};
    for (int i = 0; i < 2; i++) {
        buf_init(&b, 0);
        assert_int_equal(0, mpw_map(&b, 1) | mpw_cstr(&b, names[i]) |
                                mpw_array(&b, (i == 0 ? CONF_LOADERS_MAX : CONF_BACKENDS_MAX) + 1));
        for (int k = 0; k < CONF_LOADERS_MAX + 1; k++)
            assert_int_equal(0, mpw_nil(&b));
        assert_int_equal(ERR_BAD_REQUEST, keep_header_read(buf_slice(&b), &h, &e));
        assert_string_equal("the header of the snapshot: a list is none, or too long", e.text);
        buf_clear(&b);
        assert_int_equal(0, mpw_map(&b, 2));
        for (int twice = 0; twice < 2; twice++) {
            int rc = mpw_cstr(&b, names[i]) | mpw_array(&b, 1) | mpw_array(&b, 3);
            rc |= mpw_cstr(&b, "x") | mpw_uint(&b, 1);
            assert_int_equal(0, rc | (i == 0 ? mpw_uint(&b, 1) : mpw_cstr(&b, "")));
        }
        assert_int_equal(ERR_BAD_REQUEST, keep_header_read(buf_slice(&b), &h, &e));
        assert_non_null(strstr(e.text, "stand twice"));
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_read),
        cmocka_unit_test(without_journal_loaders_and_feeds_there_are_none),
        cmocka_unit_test(what_another_version_has_is_passed_over_and_what_it_lacks_is_nothing),
        cmocka_unit_test(each_cut_is_refused),
        cmocka_unit_test(each_changed_byte_is_read_or_refused),
        cmocka_unit_test(a_field_of_another_type_is_refused_by_what_it_is),
        cmocka_unit_test(lists_are_bounded_and_stand_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
