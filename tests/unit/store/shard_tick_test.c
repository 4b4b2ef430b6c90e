/* Entries that a tick hands over ahead of their end, and renewals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/entry.h"
#include "store/marks.h"
#include "store_world.h"

#include <stdio.h>

#define ROOM 64

struct handed {
    struct ahead items[ROOM];
    struct aheads list;
};

/* What a tick hands over; the entries stay held until let_go. */
static void tick(struct store *s, int64_t now, size_t max, struct handed *h)
{
    h->list = (struct aheads){.items = h->items, .max = max};
    store_tick(s, now, SIZE_MAX, &h->list);
    for (size_t i = 0; i < h->list.count; i++) {
        struct slice key = entry_key_of(h->items[i].entry);
        assert_int_equal(h->items[i].hash, store_hash(s, key));
    }
}

static void let_go(struct handed *h)
{
    for (size_t i = 0; i < h->list.count; i++)
        entry_unref(h->items[i].entry);
}

static size_t handed_over(struct store *s, int64_t now)
{
    struct handed h;
    tick(s, now, ROOM, &h);
    let_go(&h);
    return h.list.count;
}

static void read_times(struct store *s, const char *key, int64_t now, int times)
{
    struct hit hit;
    struct buf out;
    buf_init(&out, 0);
    for (int i = 0; i < times; i++) {
        get(s, key, now, 0, &out, &hit);
        entry_unref(hit.entry);
    }
    buf_fini(&out);
}

static void store_ahead(struct store *s, const char *key, int64_t now, int64_t ahead_ms, int reads)
{
    struct put p = put_of(s, key, "value");
    p.ttl_ms = 1000;
    p.refresh.ahead_ms = ahead_ms;
    assert_int_equal(store_put(s, &p, now, NULL), 0);
    read_times(s, key, now, reads);
}

static void what_was_read_is_handed_over_once_at_its_time(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 4, 0);
    struct handed h;
    struct store_stats stats;
    store_ahead(s, "a", 0, 900, 7);
    assert_int_equal(handed_over(s, 890), 0);
    tick(s, 900, ROOM, &h);
    assert_int_equal(h.list.count, 1);
    assert_int_equal(h.items[0].reads, 7);
    assert_true(h.items[0].share > .8999F && h.items[0].share <= .9F);
    assert_true(slice_eq_str(entry_key_of(h.items[0].entry), "a"));
    let_go(&h);
    assert_int_equal(handed_over(s, 990), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(handed_over(s, 1000), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 0);
    assert_int_equal(stats.expirations, 1);
    store_free(s);
}

static void a_cold_one_goes_on_to_its_end(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    store_ahead(s, "never read", 0, 500, 0);
    store_ahead(s, "peeked at", 0, 500, 0);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(get(s, "peeked at", 0, WANT_PEEK, NULL, &hit), LOOKUP_FRESH);
        entry_unref(hit.entry);
    }
    assert_int_equal(handed_over(s, 600), 0);
    assert_int_equal(store_tick(s, 1000, 100, NULL), 2);
    store_free(s);
}

static void what_has_no_ahead_time_is_never_handed_over(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct put p = put_of(s, "absent", "");
    p.refresh.ahead_ms = 50;
    p.negative = true;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    p = put_of(s, "for ever", "v");
    p.refresh.ahead_ms = 50;
    p.ttl_ms = 0;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    p = put_of(s, "stale at once", "v");
    p.refresh.ahead_ms = 50;
    p.ttl_ms = -1;
    p.stale_ttl_ms = 1000;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    p = put_of(s, "at its end", "v");
    p.refresh.ahead_ms = p.ttl_ms;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    const char *keys[] = {"absent", "for ever", "stale at once", "at its end"};
    for (int i = 0; i < 4; i++)
        read_times(s, keys[i], 0, 3);
    for (int64_t now = 0; now <= 2000; now += 10)
        assert_int_equal(handed_over(s, now), 0);
    store_free(s);
}

static void a_stale_ttl_without_end_does_not_hide_the_ahead_time(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct put p = put_of(s, "a", "v");
    p.ttl_ms = 1000;
    p.refresh.ahead_ms = 500;
    p.stale_ttl_ms = STORE_FOREVER_MS;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    read_times(s, "a", 0, 1);
    assert_int_equal(handed_over(s, 500), 1);
    assert_int_equal(handed_over(s, 100000), 0);
    store_free(s);
}

static void the_most_read_come_first(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 4, 0);
    static const struct {
        const char *key;
        int reads;
    } rows[] = {{"e", 1}, {"b", 40}, {"d", 2}, {"a", 600}, {"c", 3}};
    struct handed h;
    for (size_t i = 0; i < 5; i++)
        store_ahead(s, rows[i].key, 0, 500, rows[i].reads);
    tick(s, 500, ROOM, &h);
    assert_int_equal(h.list.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(entry_key_of(h.items[i].entry).data[0], 'a' + (int)i);
    assert_int_equal(h.items[0].reads, 255);
    let_go(&h);
    store_free(s);
}

static void past_the_room_the_rest_waits_for_the_next_tick(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 2, 0);
    struct handed h;
    char key[] = "k0";
    size_t ticks = 0, all = 0;
    for (int i = 0; i < 10; i++, key[1]++)
        store_ahead(s, key, 0, 500, 1);
    do {
        tick(s, 500, 3, &h);
        assert_true(h.list.count <= 3);
        all += h.list.count;
        let_go(&h);
    } while (h.list.count > 0 && ++ticks < 100);
    assert_int_equal(all, 10);
    store_free(s);
}

static void a_tick_that_comes_too_late_hands_nothing_over(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct store_stats stats;
    store_ahead(s, "dead by now", 0, 500, 3);
    struct put p = put_of(s, "stale by now", "v");
    p.stale_ttl_ms = 100000;
    p.refresh.ahead_ms = 50;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    read_times(s, "stale by now", 0, 3);
    assert_int_equal(handed_over(s, 2000), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.entries, 1);
    store_free(s);
}

static void a_put_and_a_touch_begin_the_reads_anew(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    store_ahead(s, "a", 0, 900, 5);
    store_ahead(s, "a", 100, 900, 0);
    assert_int_equal(handed_over(s, 1050), 0);
    read_times(s, "a", 1050, 5);
    struct put p = put_of(s, "a", "");
    p.ttl_ms = 1000;
    p.refresh.ahead_ms = 600;
    assert_true(store_touch(s, &p, 1060));
    assert_int_equal(handed_over(s, 1700), 0);
    read_times(s, "a", 1700, 1);
    assert_true(store_touch(s, &p, 1700));
    read_times(s, "a", 1700, 1);
    assert_int_equal(handed_over(s, 2290), 0);
    assert_int_equal(handed_over(s, 2300), 1);
    store_free(s);
}

static void what_a_tag_has_overtaken_is_not_handed_over(void **state)
{
    (void)state;
    struct marks *marks;
    struct store *s;
    assert_int_equal(marks_new(&marks, 64, 7, NULL), 0);
    struct store_options o = {.memory_bytes = 1 << 20, .shards = 1, .marks = marks};
    assert_int_equal(store_new(&s, &o, NULL), 0);
    uint32_t slot = marks_slot(marks, slice_str("team:1"));
    struct put p = put_of(s, "a", "v");
    p.refresh.ahead_ms = 50;
    p.tags = &slot;
    p.tag_count = 1;
    p.since = marks_now(marks);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    read_times(s, "a", 0, 3);
    marks_tag(marks, slice_str("team:1"), false);
    assert_int_equal(handed_over(s, 60), 0);
    p.since = marks_now(marks);
    assert_int_equal(store_put(s, &p, 60, NULL), 0);
    read_times(s, "a", 60, 3);
    assert_int_equal(handed_over(s, 120), 1);
    store_free(s);
    marks_free(marks);
}

static int apply(struct store *s, const char *pattern, bool soft)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(pattern), room);
    return store_apply_glob(s, &g, soft);
}

static void what_a_pattern_has_overtaken_is_not_handed_over(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    store_ahead(s, "a", 0, 500, 3);
    store_ahead(s, "b", 0, 500, 3);
    assert_int_equal(apply(s, "a", false), 0);
    assert_int_equal(handed_over(s, 500), 0); /* of b it is not known yet either */
    store_ahead(s, "c", 500, 500, 3);
    assert_int_equal(handed_over(s, 1000), 1);
    store_free(s);
}

static void the_hit_knows_what_the_put_said_of_its_loader(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    struct put p = put_of(s, "a", "v");
    p.refresh.owner = 4097;
    p.refresh.early = true;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_FRESH);
    assert_int_equal(hit.owner, 4097);
    assert_true(hit.early);
    entry_unref(hit.entry);
    p.refresh.owner = 0;
    p.refresh.early = false;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_FRESH);
    assert_int_equal(hit.owner, 0);
    assert_false(hit.early);
    entry_unref(hit.entry);
    store_free(s);
}

/* ---- renewals ---- */

static struct entry *stored(struct store *s, const char *key, int64_t now, struct hit *hit)
{
    assert_int_equal(get(s, key, now, WANT_PEEK, NULL, hit), LOOKUP_FRESH);
    return hit->entry;
}

static void the_value_that_is_stored_is_renewed_in_place(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, 0);
    struct hit hit;
    struct store_stats stats;
    struct put p = put_of(s, "a", "alpha");
    p.has_version = true;
    p.version = 8;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    read_times(s, "a", 0, 9);
    struct entry *e = stored(s, "a", 50, &hit);
    p.value = entry_value(e);
    p.renews = true;
    p.load_us = 77;
    p.refresh.owner = 5;
    p.refresh.ahead_ms = 80;
    assert_int_equal(store_put(s, &p, 50, NULL), 0);
    assert_ptr_equal(stored(s, "a", 149, &hit), e);
    assert_int_equal(hit.load_us, 77);
    assert_int_equal(hit.owner, 5);
    assert_int_equal(hit.ttl_ms, 1);
    entry_unref(e);
    assert_int_equal(handed_over(s, 140), 0); /* no read since */
    store_read_stats(s, &stats);
    assert_int_equal(stats.puts, 2);
    assert_int_equal(stats.renewals, 1);
    assert_int_equal(stats.entries, 1);
    /* Another version, other tags: another entry. */
    p.version = 9;
    assert_int_equal(store_put(s, &p, 50, NULL), 0);
    struct entry *newer = stored(s, "a", 50, &hit);
    assert_ptr_not_equal(newer, e);
    assert_int_equal(hit.version, 9);
    /* Not the value of what is stored, if an equal one. */
    assert_int_equal(store_put(s, &p, 50, NULL), 0);
    store_read_stats(s, &stats);
    assert_int_equal(stats.renewals, 1);
    entry_unref(e);
    entry_unref(newer);
    store_free(s);
}

static void a_renewal_counts_from_its_own_load_for_its_tags(void **state)
{
    (void)state;
    struct marks *marks;
    struct store *s;
    struct hit hit;
    assert_int_equal(marks_new(&marks, 64, 7, NULL), 0);
    struct store_options o = {.memory_bytes = 1 << 20, .shards = 1, .marks = marks};
    assert_int_equal(store_new(&s, &o, NULL), 0);
    uint32_t slot = marks_slot(marks, slice_str("team:1"));
    struct put p = put_of(s, "a", "v");
    p.stale_ttl_ms = 100;
    p.tags = &slot;
    p.tag_count = 1;
    p.since = marks_now(marks);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    struct entry *e = stored(s, "a", 0, &hit);
    marks_tag(marks, slice_str("team:1"), true);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_STALE);
    p.value = entry_value(e);
    p.renews = true;
    p.since = marks_now(marks);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    assert_ptr_equal(stored(s, "a", 0, &hit), e);
    entry_unref(e);
    /* With another tag it is another entry. */
    uint32_t other = marks_slot(marks, slice_str("team:2"));
    p.tags = &other;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    struct entry *tagged = stored(s, "a", 0, &hit);
    assert_ptr_not_equal(tagged, e);
    entry_unref(tagged);
    marks_tag(marks, slice_str("team:1"), false);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    marks_tag(marks, slice_str("team:2"), false);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_MISS);
    entry_unref(e);
    store_free(s);
    marks_free(marks);
}

/* In a full memory, what is stored again and again but not read leaves first. */
static void a_refresh_is_no_recency(void **state)
{
    (void)state;
    struct store *s = new_store(65536, 1, 0);
    struct hit hit;
    struct put p = put_of(s, "refreshed", "v");
    enum { FULL = 2000, TURNS = 2000 };
    bool there = true;
    for (int i = 0; i < FULL + TURNS && there; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05d", i);
        struct put other = put_of(s, key, "v");
        assert_int_equal(store_put(s, &other, 0, NULL), 0);
        if (i < FULL)
            continue;
        if (i > FULL) {
            there = get(s, "refreshed", 0, WANT_PEEK, NULL, &hit) != LOOKUP_MISS;
            entry_unref(hit.entry);
        }
        if (there)
            assert_int_equal(store_put(s, &p, 0, NULL), 0);
    }
    assert_int_equal(get(s, "refreshed", 0, WANT_PEEK, NULL, &hit), LOOKUP_MISS);
    store_free(s);
}

/* What leaves with no put after it leaves holes: ticks gather them, until they are few beside what
 * is there, and no value is lost. */
static void holes_are_gathered_while_nothing_is_put(void **state)
{
    (void)state;
    enum { COUNT = 4000, SIZE = 500, TICKS = 20000 };
    static char value[SIZE + 1];
    struct store *s = new_store(8 << 20, 1, 0);
    struct store_stats before, after;
    char key[32];
    memset(value, 'x', SIZE);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        struct put p = put_of(s, key, value);
        p.ttl_ms = 3600 * 1000;
        assert_int_equal(store_put(s, &p, 0, NULL), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        if (i % 4 != 0)
            assert_true(drop(s, key, 0));
    }
    store_read_stats(s, &before);
    assert_true(before.holes > before.bytes / 2);
    for (int i = 1; i <= TICKS; i++)
        store_tick(s, i, SIZE_MAX, NULL);
    store_read_stats(s, &after);
    assert_true(after.holes < after.bytes / 2);
    assert_true(after.bytes < before.bytes - before.holes / 2);
    for (int i = 0; i < COUNT; i += 4) {
        struct hit hit;
        struct buf out;
        buf_init(&out, 0);
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(get(s, key, TICKS, 0, &out, &hit), LOOKUP_FRESH);
        entry_unref(hit.entry);
        buf_fini(&out);
    }
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_handed_over_once_at_its_time),
        cmocka_unit_test(a_cold_one_goes_on_to_its_end),
        cmocka_unit_test(what_has_no_ahead_time_is_never_handed_over),
        cmocka_unit_test(a_stale_ttl_without_end_does_not_hide_the_ahead_time),
        cmocka_unit_test(the_most_read_come_first),
        cmocka_unit_test(past_the_room_the_rest_waits_for_the_next_tick),
        cmocka_unit_test(a_tick_that_comes_too_late_hands_nothing_over),
        cmocka_unit_test(a_put_and_a_touch_begin_the_reads_anew),
        cmocka_unit_test(what_a_tag_has_overtaken_is_not_handed_over),
        cmocka_unit_test(what_a_pattern_has_overtaken_is_not_handed_over),
        cmocka_unit_test(the_hit_knows_what_the_put_said_of_its_loader),
        cmocka_unit_test(the_value_that_is_stored_is_renewed_in_place),
        cmocka_unit_test(a_renewal_counts_from_its_own_load_for_its_tags),
        cmocka_unit_test(a_refresh_is_no_recency),
        cmocka_unit_test(holes_are_gathered_while_nothing_is_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
