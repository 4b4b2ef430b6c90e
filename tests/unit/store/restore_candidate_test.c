/* A candidate: what is no answer, and what a load is shown as stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "restore_world.h"

static void a_candidate_is_no_answer(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct hit hit;
    struct buf out;
    buf_init(&out, 0);
    assert_true(restore(s, &r, &candidate, START));
    assert_int_equal(get(s, "k", START, 0, &out, &hit), LOOKUP_MISS);
    assert_int_equal(get(s, "k", START, WANT_STALE | WANT_KEPT, &out, &hit), LOOKUP_MISS);
    assert_null(hit.entry);
    assert_false(hit.has_version);
    assert_int_equal(out.size, 0);
    assert_false(touch(s, "k", START, 1000, 1000));
    assert_false(store_expire(s, slice_str("k"), store_hash(s, slice_str("k")), START));
    assert_int_equal(get(s, "k", START, WANT_CANDIDATE, &out, &hit), LOOKUP_CANDIDATE);
    assert_null(hit.entry); /* that there is one, and no more */
    assert_int_equal(out.size, 0);
    buf_fini(&out);
    store_free(s);
}

static void a_candidate_is_what_a_load_is_shown_for_as_long_as_it_would_have_lived(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct restore how = {.as = RESTORED_CANDIDATE, .passed_ms = 100};
    struct hit hit;
    assert_true(restore(s, &r, &how, START));
    assert_int_equal(look_for_load(s, "k", START + 2799, &hit), LOOKUP_CANDIDATE);
    assert_int_equal(hit.version, 7);
    assert_true(hit.has_version);
    assert_true(slice_eq_str(entry_value(hit.entry), "value"));
    entry_unref(hit.entry);
    assert_int_equal(look_for_load(s, "k", START + 2800, &hit), LOOKUP_MISS);
    store_free(s);
}

static void an_invalidation_drops_a_candidate(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct hit hit;
    uint64_t hash = store_hash(s, slice_str("k"));
    assert_true(restore(s, &r, &candidate, START));
    assert_false(store_remove(s, slice_str("k"), hash, START)); /* for clients there was none */
    assert_int_equal(look_for_load(s, "k", START, &hit), LOOKUP_MISS);
    assert_true(restore(s, &r, &candidate, START));
    assert_false(store_remove_below(s, slice_str("k"), hash, START, 5)); /* older than it is */
    assert_int_equal(look_for_load(s, "k", START, &hit), LOOKUP_MISS);
    store_free(s);
}

static void a_put_makes_a_candidate_an_entry(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct put p = put_of(s, "k", "value");
    p.has_version = true;
    p.version = 7;
    p.keep_ms = 100;
    int64_t now = START;
    for (int renews = 0; renews < 3; renews++, now += 1000) {
        struct hit hit = {.entry = NULL};
        assert_true(restore(s, &r, &candidate, now));
        if (renews == 1) { /* rtcache.unchanged: the value is the entry's own */
            look_for_load(s, "k", now, &hit);
            p.value = entry_value(hit.entry);
            p.renews = true;
        } else if (renews == 2) {
            p.value = slice_str("another one, that is longer");
            p.renews = false;
        }
        assert_int_equal(store_put(s, &p, now, NULL), 0);
        entry_unref(hit.entry);
        assert_int_equal(look_at(s, "k", now + 99), LOOKUP_FRESH);
        assert_int_equal(look_at(s, "k", now + 199), LOOKUP_KEPT);
        assert_true(drop(s, "k", now + 199));
    }
    struct store_stats stats;
    store_read_stats(s, &stats);
    assert_int_equal(stats.renewals, 1);
    store_free(s);
}

static void a_candidate_stays_one_over_another_restart(void **state)
{
    (void)state;
    struct store *s = new_store(1 << 20, 1, START), *t = new_store(1 << 20, 1, START);
    struct record r = record_of();
    struct hit hit;
    struct buf out;
    buf_init(&out, 0);
    assert_true(restore(s, &r, &candidate, START));
    assert_int_equal(dump_all(s, START + 100, 1000, &out), 1);
    struct slice rest = buf_slice(&out);
    assert_true(next_record(&rest, &r));
    assert_true(r.unproven);
    assert_true(restore(t, &r, &proven, START));
    assert_int_equal(look_at(t, "k", START), LOOKUP_MISS);
    assert_int_equal(look_for_load(t, "k", START + 2799, &hit), LOOKUP_CANDIDATE);
    entry_unref(hit.entry);
    assert_int_equal(look_for_load(t, "k", START + 2800, &hit), LOOKUP_MISS);
    buf_fini(&out);
    store_free(s);
    store_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_candidate_is_no_answer),
        cmocka_unit_test(a_candidate_is_what_a_load_is_shown_for_as_long_as_it_would_have_lived),
        cmocka_unit_test(an_invalidation_drops_a_candidate),
        cmocka_unit_test(a_put_makes_a_candidate_an_entry),
        cmocka_unit_test(a_candidate_stays_one_over_another_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
