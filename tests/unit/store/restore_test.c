/* What comes of a record: what is left of it, who wins, and what a candidate is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/marks.h"
#include "restore_world.h"

#include <stdio.h>
#include <stdlib.h>

static bool has_value(struct store *s, const char *key, int64_t now, const char *value)
{
    struct hit hit;
    look_for_load(s, key, now, &hit);
    bool equal = hit.entry && slice_eq_str(entry_value(hit.entry), value);
    entry_unref(hit.entry);
    return equal;
}

struct moment {
    int64_t after_ms; /* the restore */
    enum lookup found;
};

struct life {
    const char *name;
    int64_t age, left, stale, keep, passed;
    bool negative, made_stale, unproven;
    enum restored as;
    struct moment moments[6]; /* until one after 0 that is not the first; none: it is not stored */
};

static const struct life lives[] = {
    {.name = "proven",
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .moments = {{0, LOOKUP_FRESH},
                 {899, LOOKUP_FRESH},
                 {900, LOOKUP_STALE},
                 {1399, LOOKUP_STALE},
                 {1400, LOOKUP_KEPT},
                 {2900, LOOKUP_MISS}}},
    {.name = "proven, a while later",
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .passed = 400,
     .moments = {{0, LOOKUP_FRESH},
                 {499, LOOKUP_FRESH},
                 {500, LOOKUP_STALE},
                 {999, LOOKUP_STALE},
                 {1000, LOOKUP_KEPT},
                 {2500, LOOKUP_MISS}}},
    {.name = "proven, stale meanwhile",
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .passed = 1000,
     .moments = {{0, LOOKUP_STALE},
                 {399, LOOKUP_STALE},
                 {400, LOOKUP_KEPT},
                 {1899, LOOKUP_KEPT},
                 {1900, LOOKUP_MISS}}},
    {.name = "proven, dead meanwhile",
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .passed = 2900},
    {.name = "proven, its last moment",
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .passed = 2899,
     .moments = {{0, LOOKUP_KEPT}, {1, LOOKUP_MISS}}},
    {.name = "for ever",
     .age = 100,
     .left = FOREVER,
     .passed = 5000,
     .moments = {{0, LOOKUP_FRESH}, {100 * DAY, LOOKUP_FRESH}}},
    {.name = "stale for ever",
     .age = 100,
     .left = 10,
     .stale = FOREVER,
     .passed = 5000,
     .moments = {{0, LOOKUP_STALE}, {100 * DAY, LOOKUP_STALE}}},
    {.name = "an absence",
     .negative = true,
     .age = 100,
     .left = 900,
     .passed = 100,
     .moments = {{0, LOOKUP_NEGATIVE}, {799, LOOKUP_NEGATIVE}, {800, LOOKUP_MISS}}},
    {.name = "an absence that is over", .negative = true, .age = 100, .left = 900, .passed = 900},
    {.name = "made stale",
     .made_stale = true,
     .age = 100,
     .left = -100,
     .stale = 500,
     .passed = 150,
     .moments = {{0, LOOKUP_STALE}, {249, LOOKUP_STALE}, {250, LOOKUP_MISS}}},
    {.name = "older than the time of the store",
     .age = 1000 * DAY,
     .left = 10 * DAY,
     .stale = 500,
     .keep = 2000,
     .moments = {{0, LOOKUP_FRESH}, {9 * DAY, LOOKUP_FRESH}, {10 * DAY + 2001, LOOKUP_MISS}}},
    {.name = "stale, and older than the time of the store",
     .age = 1000 * DAY,
     .left = -900 * DAY,
     .stale = 901 * DAY,
     .moments = {{0, LOOKUP_STALE}, {DAY + 1, LOOKUP_MISS}}},
    {.name = "as stale",
     .as = RESTORED_STALE,
     .age = 100,
     .left = 900,
     .stale = 500,
     .keep = 2000,
     .moments = {{0, LOOKUP_STALE},
                 {499, LOOKUP_STALE},
                 {500, LOOKUP_KEPT},
                 {1999, LOOKUP_KEPT},
                 {2000, LOOKUP_MISS}}},
    {.name = "as stale, which it was",
     .as = RESTORED_STALE,
     .age = 1100,
     .left = -100,
     .stale = 500,
     .passed = 50,
     .moments = {{0, LOOKUP_STALE}, {349, LOOKUP_STALE}, {350, LOOKUP_MISS}}},
    {.name = "as stale, made so before",
     .as = RESTORED_STALE,
     .made_stale = true,
     .age = 100,
     .left = -100,
     .stale = 500,
     .moments = {{0, LOOKUP_STALE}, {400, LOOKUP_MISS}}},
    {.name = "as stale, where nothing may be stale", .as = RESTORED_STALE, .age = 1, .left = 900},
    {.name = "an absence as stale", .as = RESTORED_STALE, .negative = true, .age = 1, .left = 900},
    {.name = "an absence as a candidate",
     .as = RESTORED_CANDIDATE,
     .negative = true,
     .age = 1,
     .left = 900},
    {.name = "a candidate that is dead",
     .as = RESTORED_CANDIDATE,
     .age = 1,
     .left = 9,
     .stale = 5,
     .passed = 14},
};

static struct record record_in(const struct life *l)
{
    struct record r = record_of();
    r.age_ms = l->age;
    r.fresh_left_ms = l->left;
    r.stale_ttl_ms = l->stale;
    r.keep_ms = l->keep;
    r.negative = l->negative;
    r.made_stale = l->made_stale;
    r.unproven = l->unproven;
    if (l->negative) {
        r.value = slice_of("", 0);
        r.has_version = false;
    }
    return r;
}

static void what_is_left_of_it_is_what_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        const struct life *l = &lives[i];
        struct record r = record_in(l);
        struct restore how = {.as = l->as, .passed_ms = l->passed};
        for (size_t m = 0; m < 6 && (m == 0 || l->moments[m].after_ms > 0); m++) {
            /* A store for each moment: a look takes away what is dead. */
            struct store *s = new_store(1 << 20, 2, START);
            bool stored = restore(s, &r, &how, START);
            enum lookup found = look_at(s, "k", START + l->moments[m].after_ms);
            if (stored != (l->moments[0].found != LOOKUP_MISS) || found != l->moments[m].found)
                fail_msg("%s: stored %d, found %d after %lld ms", l->name, stored, found,
                         (long long)l->moments[m].after_ms);
            store_free(s);
        }
    }
}

static void age_ttl_version_and_load_are_told_as_before(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 2, START);
    struct record r = record_of();
    struct hit hit;
    struct restore how = {
        .as = RESTORED_PROVEN, .passed_ms = 50, .refresh = {.owner = 3, .early = true}};
    r.load_us = 1234;
    r.owner = 9;
    assert_true(restore(s, &r, &how, START));
    assert_int_equal(get(s, "k", START + 10, 0, NULL, &hit), LOOKUP_FRESH);
    assert_true(slice_eq_str(entry_value(hit.entry), "value"));
    assert_int_equal(hit.age_ms, 160);
    assert_int_equal(hit.ttl_ms, 840);
    assert_int_equal(hit.load_us, 1234);
    assert_int_equal(hit.owner, 3);
    assert_true(hit.early);
    assert_true(hit.has_version);
    assert_int_equal(hit.version, 7);
    entry_unref(hit.entry);
    store_free(s);
}

static void it_expires_by_the_wheel(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct store_stats stats;
    assert_true(restore(s, &r, &proven, START));
    store_tick(s, START + 2890, SIZE_MAX, NULL);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 1);
    store_tick(s, START + 2920, SIZE_MAX, NULL);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expirations, 1);
    store_free(s);
}

/* How many are handed over ahead of their end after so long, and how often they were read. */
static size_t aheads_at(struct store *s, int64_t now, unsigned *reads)
{
    struct ahead items[4];
    struct aheads due = {.items = items, .max = 4};
    store_tick(s, now, SIZE_MAX, &due);
    for (size_t i = 0; i < due.count; i++) {
        *reads = items[i].reads;
        entry_unref(items[i].entry);
    }
    return due.count;
}

static void its_ahead_time_and_its_reads_go_on(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct restore how = {.as = RESTORED_PROVEN, .refresh = {.ahead_ms = 1}};
    unsigned reads = 0;
    r.ahead = 32768; /* half of 1000 */
    r.reads = 5;
    assert_true(restore(s, &r, &how, START));
    assert_int_equal(aheads_at(s, START + 390, &reads), 0);
    assert_int_equal(aheads_at(s, START + 420, &reads), 1);
    assert_int_equal(reads, 5);
    assert_int_equal(look_at(s, "k", START + 420), LOOKUP_FRESH);
    store_free(s);
}

static void whose_loader_loads_nothing_ahead_is_not_handed_over(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    unsigned reads = 0;
    r.ahead = 32768;
    r.reads = 5;
    assert_true(restore(s, &r, &proven, START));
    assert_int_equal(aheads_at(s, START + 890, &reads), 0);
    store_free(s);
}

struct meeting {
    const char *name;
    int64_t had, comes; /* versions; -1: none */
    bool had_candidate, comes_candidate, had_dead;
    bool wins; /* what comes */
};

static const struct meeting meetings[] = {
    {"a newer one stays", 8, 7, false, false, false, false},
    {"an equal one stays", 7, 7, false, false, false, false},
    {"an older one goes", 6, 7, false, false, false, true},
    {"one without a version stays", -1, 7, false, false, false, false},
    {"nothing is known of what comes", 6, -1, false, false, false, false},
    {"a dead one goes", 8, 7, false, false, true, true},
    {"a candidate goes", 7, 7, true, false, false, true},
    {"a candidate without a version goes", -1, -1, true, false, false, true},
    {"a newer candidate stays", 8, 7, true, false, false, false},
    {"an equal candidate stays for another", 7, 7, true, true, false, false},
    {"an older candidate goes for another", 6, 7, true, true, false, true},
    {"a candidate takes nobody's place", 7, 7, false, true, false, false},
    {"a newer candidate takes an older one's place", 6, 7, false, true, false, true},
};

static void a_newer_load_wins_unless_its_version_is_lower(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        const struct meeting *m = &meetings[i];
        struct store *s = new_store(1 << 20, 1, START);
        struct record old = record_of(), comes = record_of();
        old.value = slice_str("old");
        old.has_version = m->had >= 0;
        old.version = m->had;
        comes.value = slice_str("new");
        comes.has_version = m->comes >= 0;
        comes.version = m->comes;
        assert_true(restore(s, &old, m->had_candidate ? &candidate : &proven, START));
        int64_t now = m->had_dead ? START + 2900 : START;
        bool stored = restore(s, &comes, m->comes_candidate ? &candidate : &proven, now);
        if (stored != m->wins || !has_value(s, "k", now, m->wins ? "new" : "old"))
            fail_msg("%s: stored %d", m->name, stored);
        store_free(s);
    }
}

static void its_tags_reach_it(void **state)
{
    (void)state;
    static const struct {
        enum entry_tagged tagged;
        const char *texts;
        size_t size;
        bool one, two; /* which tags it has */
    } cases[] = {
        {TAGGED_TEXTS, "\xa3one", 4, true, false},
        {TAGGED_TEXTS, "\x92\xa3one\xa3two", 9, true, true},
        {TAGGED_UNKNOWN, "", 0, true, true},
        {TAGGED_NOT, "", 0, false, false},
    };
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        struct store_options o = {.memory_bytes = 1 << 20, .shards = 1, .seed = 5};
        struct marks *marks;
        struct store *s;
        size_t c = i / 2;
        const char *tag = i % 2 ? "two" : "one";
        bool hit = i % 2 ? cases[c].two : cases[c].one;
        assert_int_equal(marks_new(&marks, 1024, 77, NULL), 0);
        o.marks = marks;
        assert_int_equal(store_new(&s, &o, NULL), 0);
        struct record r = record_of();
        r.tagged = cases[c].tagged;
        r.tag_texts = slice_of(cases[c].texts, cases[c].size);
        marks_tag(marks, slice_str(tag), false); /* before it came */
        assert_true(restore(s, &r, &proven, 0));
        assert_int_equal(look_at(s, "k", 0), LOOKUP_FRESH);
        marks_tag(marks, slice_str(tag), false);
        assert_int_equal(look_at(s, "k", 0), hit ? LOOKUP_MISS : LOOKUP_FRESH);
        store_free(s);
        marks_free(marks);
    }
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    static char big[1 << 18];
    struct record r = record_of();
    struct err e;
    bool stored = true;
    r.value = slice_of(big, sizeof big);
    assert_int_equal(store_restore(s, &r, &proven, START, &stored, &e), ERR_TOO_LARGE);
    assert_false(stored);
    assert_string_equal(e.text, "k: an entry of 262193 bytes, where the memory allows 131072");
    r = record_of();
    r.key = slice_of(big, 0);
    assert_int_equal(store_restore(s, &r, &proven, START, &stored, &e), ERR_BAD_KEY);
    r.key = slice_of(big, 65536);
    assert_int_equal(store_restore(s, &r, &proven, START, &stored, &e), ERR_BAD_KEY);
    assert_string_equal(e.text, "a key of 65536 bytes, where 1 to 65535 are taken");
    store_free(s);
}

/* What was read stays, where half of it finds room. */
static void less_memory_keeps_what_is_wanted_most(void **state)
{
    (void)state;
    enum { KEYS = 40000 };
    struct store *s = new_store(16 << 20, 1, START), *t = new_store(2 << 20, 4, START);
    char key[32], value[64] = "";
    struct buf out;
    struct hit hit;
    buf_init(&out, 0);
    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key:%u", i);
            struct put p = put_of(s, key, value);
            p.value = slice_of(value, sizeof value);
            p.ttl_ms = DAY;
            if (round == 0)
                assert_int_equal(store_put(s, &p, START, NULL), 0);
            else if (i % 4 == 0)
                assert_int_equal(store_get(s, p.key, p.hash, START, 0, NULL, &hit), LOOKUP_FRESH);
            if (round > 0 && i % 4 == 0)
                entry_unref(hit.entry);
        }
    assert_int_equal(dump_all(s, START, 1 << 16, &out), KEYS);
    restore_all(t, buf_slice(&out), &proven, START);
    size_t there = 0, wanted = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key:%u", i);
        bool is = look_at(t, key, START) == LOOKUP_FRESH;
        there += is;
        wanted += is && i % 4 == 0;
    }
    print_message("%zu of %d stay, of %d that were read %zu\n", there, KEYS, KEYS / 4, wanted);
    assert_true(there > KEYS / 4 && there < KEYS / 2);
    assert_true(wanted > KEYS / 4 / 100 * 95);
    buf_fini(&out);
    store_free(s);
    store_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_of_it_is_what_comes_back),
        cmocka_unit_test(age_ttl_version_and_load_are_told_as_before),
        cmocka_unit_test(it_expires_by_the_wheel),
        cmocka_unit_test(its_ahead_time_and_its_reads_go_on),
        cmocka_unit_test(whose_loader_loads_nothing_ahead_is_not_handed_over),
        cmocka_unit_test(a_newer_load_wins_unless_its_version_is_lower),
        cmocka_unit_test(its_tags_reach_it),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(less_memory_keeps_what_is_wanted_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
