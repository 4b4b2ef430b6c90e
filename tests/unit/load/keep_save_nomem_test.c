/* A snapshot of which a piece gets no memory: it says so, and the one before it stays. */
#include "flight_world.h"

#include "faulty.h"
#include "load/keep.h"
#include "state/state_folder.h"

static struct err e;

static int make(void **state)
{
    return state_folder_make(state) != 0 ? -1 : setup(state);
}

static int unmake(void **state)
{
    return teardown(state) | state_folder_remove(state);
}

static void fill(struct world *w, int count)
{
    char key[20];
    int64_t version = 7;
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key:%d", i);
        struct put p = {.key = slice_str(key),
                        .hash = store_hash(w->store, slice_str(key)),
                        .value = slice_of(value_a, 2),
                        .ttl_ms = INT64_MAX,
                        .since = marks_now(w->marks)};
        assert_int_equal(store_put(w->store, &p, w->now_ms, &e), 0);
    }
    invalidate(w, "another", &version);
}

static int save(struct state_dir *d, struct world *w, const struct snapshot *s,
                struct keep_saved *saved)
{
    struct keep_source src = {
        .store = w->store,
        .flights = w->flights,
        .snapshot = s,
        .header = {.version = slice_str("1"),
                   .seed = 42,
                   .moment = {.boot_ms = w->now_ms},
                   .boot_id = slice_str("boot")},
    };
    err_clear(&e);
    return keep_save(d, &src, saved, &e);
}

static void a_snapshot_that_gets_no_memory_leaves_the_one_before(void **state)
{
    struct world *w = *state;
    struct conf conf = {.loader_threads = 1};
    struct snapshot *s;
    struct state_dir *d;
    struct keep_saved saved;
    struct keep *k;
    int rc = 0;
    int64_t nth = 1;
    atomic_init(&conf.refs, 1000);
    fill(w, 20);
    assert_int_equal(snapshot_new(&s, &conf, 1, NULL, &e), 0);
    assert_int_equal(state_dir_open(&d, state_path(""), &e), 0);
    assert_int_equal(save(d, w, s, &saved), 0);
    fill(w, 30);
    for (; FAULTY_WITHOUT(nth, FAULTY_ALL, rc = save(d, w, s, &saved)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_int_equal(e.code, ERR_NOMEM);
        assert_true(strstr(e.text, "memory") != NULL);
        assert_string_equal(state_names(), KEEP_FILE);
    }
    assert_true(nth > 4);
    assert_int_equal(rc, 0);
    assert_int_equal(e.code, 0);
    assert_string_equal(e.text, "");
    assert_int_equal(saved.entries, 30);
    assert_int_equal(saved.floors, 2); /* with what their shard knows of all */
    assert_int_equal(keep_open(&k, d, &e), 0);
    assert_int_equal(keep_header_of(k)->seed, 42);
    keep_close(k);
    state_dir_close(d);
    snapshot_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_that_gets_no_memory_leaves_the_one_before, make,
                                        unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
