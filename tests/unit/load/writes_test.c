/* Writes: their key's turn, their bounds, and what becomes of them. Their script waits for the fake
 * backend, which answers when the test says so. */
#include "load/load_world.h"

#include "load/writes.h"
#include "state/journal_folder.h"

struct put_of {
    struct write write;
    bool answered, heard;
};

static void put_answered(struct message *m, void *owner)
{
    (void)owner;
    struct put_of *p = container_of(container_of(m, struct write, message), struct put_of, write);
    assert_false(p->answered);
    p->answered = true;
}

static struct writes writes;

static struct load_world *world_with(int64_t max_writes, int64_t max_queue)
{
    struct err e;
    struct load_world *w = world_new();
    w->loaders[0].policy.max_writes = max_writes;
    w->loaders[0].policy.max_write_queue = max_queue;
    world_open(w);
    assert_int_equal(writes_init(&writes, &w->thread, &e), 0);
    writes.current = &w->edition;
    return w;
}

static void world_close(struct load_world *w)
{
    assert_true(list_empty(&writes.running));
    assert_int_equal(writes.waiting, 0);
    for (size_t i = 0; i < WRITES_BUCKETS; i++)
        assert_true(list_empty(&writes.buckets[i]));
    assert_int_equal(w->admissions[0].writes.in_air, 0);
    writes_fini(&writes);
    world_free(w);
}

static void put(struct load_world *w, struct put_of *p, const char *key)
{
    *p = (struct put_of){.write = {.what = WRITE_PUT,
                                   .key = slice_str(key),
                                   .value = slice_str("\x07"),
                                   .err = {.code = ERR_BACKEND}, /* of a write before it */
                                   .stored = true,
                                   .has_version = true,
                                   .answer_to = &w->box,
                                   .answered = put_answered}};
    p->write.hash = store_hash(w->store, p->write.key);
    writes_take(&writes, &p->write);
    mailbox_drain(&w->box);
}

static int in_air(const struct load_world *w)
{
    int n = 0;
    list_for_each (link, &w->bench.main.queries) {
        n++;
    }
    return n;
}

static void source_answers(struct load_world *w)
{
    fake_answer_int(fake_oldest(&w->bench.main), 1);
    mailbox_drain(&w->box);
}

static void writes_of_a_key_go_one_after_the_other_and_other_keys_beside_them(void **state)
{
    (void)state;
    struct load_world *w = world_with(10, 10);
    struct put_of first, second, third, other;
    put(w, &first, "a:0");
    put(w, &second, "a:0");
    put(w, &third, "a:0");
    put(w, &other, "a:1");
    assert_int_equal(in_air(w), 2);
    assert_int_equal(writes.waiting, 2);
    source_answers(w);
    assert_true(first.answered && !second.answered);
    assert_int_equal(first.write.err.code, 0);
    assert_true(first.write.stored);
    assert_int_equal(first.write.version, 1);
    source_answers(w); /* the other key's, which came before the second's turn */
    assert_true(other.answered && !second.answered);
    source_answers(w);
    assert_true(second.answered && !third.answered);
    source_answers(w);
    assert_true(third.answered);
    world_close(w);
}

static void keys_of_one_hash_are_written_beside_one_another(void **state)
{
    (void)state;
    struct load_world *w = world_with(10, 10);
    struct put_of p[2];
    put(w, &p[0], "a:0");
    p[1] = p[0];
    p[1].write.key = slice_str("a:1");
    writes_take(&writes, &p[1].write);
    assert_int_equal(in_air(w), 2);
    source_answers(w);
    source_answers(w);
    assert_true(p[0].answered && p[1].answered);
    world_close(w);
}

static void past_max_writes_they_wait_and_past_max_write_queue_they_are_refused(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 2);
    struct put_of p[5];
    static const char *const keys[] = {"a:0", "a:1", "a:0", "a:3", "a:0"};
    uint64_t refused = metrics_sum(M_WRITES_REFUSED);
    for (int i = 0; i < 5; i++)
        put(w, &p[i], keys[i]);
    assert_int_equal(in_air(w), 1);
    assert_true(p[3].answered && p[4].answered);
    assert_int_equal(p[3].write.err.code, ERR_OVERLOADED);
    assert_string_equal(p[3].write.err.text, "loader a:*: 1 writes in the air and 2 waiting");
    assert_false(p[3].write.stored || p[3].write.has_version);
    assert_int_equal(p[4].write.err.code, ERR_OVERLOADED);
    assert_int_equal(metrics_sum(M_WRITES_REFUSED), refused + 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(in_air(w), 1);
        source_answers(w);
    }
    assert_true(p[0].answered && p[1].answered && p[2].answered);
    world_close(w);
}

static void who_gives_up_before_its_turn_is_not_written(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 10);
    struct put_of p[4];
    put(w, &p[0], "a:0");
    put(w, &p[1], "a:0");                 /* behind the first */
    put(w, &p[2], "a:2");                 /* waits for a place */
    put(w, &p[3], "a:2");                 /* behind it */
    writes_give_up(&writes, &p[0].write); /* it is in the air, and goes on */
    writes_give_up(&writes, &p[1].write);
    writes_give_up(&writes, &p[2].write);
    mailbox_drain(&w->box);
    assert_false(p[0].answered);
    assert_int_equal(p[1].write.err.code, ERR_TIMEOUT);
    assert_int_equal(p[2].write.err.code, ERR_TIMEOUT);
    assert_string_equal(p[2].write.err.text,
                        "a:2: its turn did not come in time, and nothing was written");
    source_answers(w);
    assert_int_equal(p[0].write.err.code, 0);
    assert_int_equal(in_air(w), 1);
    source_answers(w);
    assert_true(p[3].answered);
    assert_int_equal(p[3].write.err.code, 0);
    writes_give_up(&writes, &p[3].write); /* it was answered meanwhile */
    world_close(w);
}

static void a_key_without_a_loader_and_a_function_that_is_missing_are_refused(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 10);
    struct put_of p;
    put(w, &p, "nobody");
    assert_int_equal(p.write.err.code, ERR_NO_LOADER);
    assert_string_equal(p.write.err.text, "nobody: no loader's pattern matches");
    p = (struct put_of){.write = {.what = WRITE_DELETE,
                                  .key = slice_str("a:0"),
                                  .answer_to = &w->box,
                                  .answered = put_answered}};
    p.write.hash = store_hash(w->store, p.write.key);
    writes_take(&writes, &p.write);
    mailbox_drain(&w->box);
    assert_int_equal(p.write.err.code, ERR_BAD_REQUEST);
    assert_string_equal(p.write.err.text, "a:0: delete: all.lua has no function \"remove\"");
    world_close(w);
}

static void over_a_reload_those_that_wait_go_to_the_loader_as_it_is_then(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 10);
    struct put_of p[3];
    static const char *const keys[] = {"a:0", "a:1", "a:1"};
    for (int i = 0; i < 3; i++)
        put(w, &p[i], keys[i]);
    w->admissions[0].writes.max = 2; /* as if it were another one */
    writes_move(&writes, &w->admissions[0]);
    mailbox_drain(&w->box);
    assert_int_equal(in_air(w), 2);
    w->thread.answers.generation = 2; /* from now on what is in the air is an older edition's */
    source_answers(w);
    source_answers(w);
    assert_int_equal(p[0].write.err.code, 0);
    assert_false(p[0].write.stored);
    source_answers(w);
    assert_true(p[2].answered);
    world_close(w);
}

static void on_shutdown_who_waits_hears_of_it_and_what_is_in_the_air_is_unknown(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 10);
    struct put_of p[3];
    static const char *const keys[] = {"a:0", "a:0", "a:1"};
    for (int i = 0; i < 3; i++)
        put(w, &p[i], keys[i]);
    w->thread.stopping = true;
    writes_move(&writes, &w->admissions[0]);
    writes_shutdown(&writes);
    mailbox_drain(&w->box);
    assert_int_equal(p[0].write.err.code, ERR_WRITE_UNKNOWN);
    assert_int_equal(p[1].write.err.code, ERR_SHUTDOWN);
    assert_int_equal(p[2].write.err.code, ERR_SHUTDOWN);
    put(w, &p[0], "a:0");
    assert_int_equal(p[0].write.err.code, ERR_SHUTDOWN);
    w->thread.stopping = false;
    writes.current = NULL; /* there is no edition yet, or none any more */
    put(w, &p[0], "a:0");
    assert_int_equal(p[0].write.err.code, ERR_SHUTDOWN);
    world_close(w);
}

static void a_write_that_fails_keeps_the_entry_or_drops_it_by_what_may_have_happened(void **state)
{
    (void)state;
    static const enum call_fate fates[] = {CALL_SENT, CALL_UNDONE};
    for (int k = 0; k < 2; k++) {
        struct load_world *w = world_with(1, 10);
        struct put_of p;
        struct hit hit;
        put(w, &p, "a:0");
        source_answers(w); /* stored */
        put(w, &p, "a:0");
        fake_fail_with(fake_oldest(&w->bench.main), ERR_BACKEND_DOWN, fates[k]);
        mailbox_drain(&w->box);
        assert_true(p.answered);
        assert_int_equal(p.write.err.code, k == 0 ? ERR_WRITE_UNKNOWN : ERR_BACKEND_DOWN);
        enum lookup found =
            store_get(w->store, p.write.key, p.write.hash, clock_ms(), WANT_PEEK, NULL, &hit);
        entry_unref(hit.entry);
        assert_int_equal(found, k == 0 ? LOOKUP_MISS : LOOKUP_FRESH);
        world_close(w);
    }
}

/* Its lost query may still take place, and what it tells of has taken place. */
static void a_version_that_is_told_is_a_floor_also_where_another_query_was_lost(void **state)
{
    (void)state;
    struct load_world *w = world_with(1, 10);
    int script = bench_script(&w->bench, "lossy.lua",
                              "return {\n"
                              "  load = function() return 1 end,\n"
                              "  save = function(key, value, ctx)\n"
                              "    pcall(function() ctx.db:value 'SELECT log()' end)\n"
                              "    return value, { version = 7 }\n"
                              "  end,\n"
                              "}\n");
    binding_know_script(&w->admissions[0].binding, w->bench.rt, script);
    struct put_of p;
    struct err e;
    put(w, &p, "a:0");
    fake_fail_with(fake_oldest(&w->bench.main), ERR_BACKEND_DOWN, CALL_SENT);
    mailbox_drain(&w->box);
    assert_true(p.answered);
    assert_int_equal(p.write.err.code, 0);
    assert_int_equal(p.write.version, 7);
    struct put older = {
        .key = p.write.key,
        .hash = p.write.hash,
        .value = p.write.value,
        .has_version = true,
        .version = 6,
        .ttl_ms = 1000,
    };
    assert_int_equal(change_set(&w->changes, &older, clock_ms(), &e), ERR_VERSION_CONFLICT);
    older.version = 7;
    assert_int_equal(change_set(&w->changes, &older, clock_ms(), &e), 0);
    world_close(w);
}

/* One write to the journal is for all that ended in a turn, and comes before their answers. */
static void an_answer_waits_for_the_journal(void **state)
{
    (void)state;
    assert_int_equal(state_folder_make(NULL), 0);
    struct load_world *w = world_with(10, 10);
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane lane;
    struct changes own;
    struct put_of p[4];
    changes_journal(&w->changes, j);
    changes_of_thread(&own, &w->changes, &lane);
    w->thread.changes = &own;
    put(w, &p[0], "a:0");
    put(w, &p[1], "a:1");
    put(w, &p[2], "a:2");
    source_answers(w);
    put(w, &p[3], "none:0"); /* its error is told in the same order */
    source_answers(w);
    for (int i = 0; i < 4; i++)
        assert_false(p[i].answered);
    assert_true(p[0].write.ended && p[1].write.ended && p[3].write.ended && !p[2].write.ended);
    /* Each said beforehand that it was under way. */
    assert_int_equal(journal_stats_of(j).writes, 3);
    writes_tell_all(&writes);
    assert_int_equal(journal_stats_of(j).writes, 4);
    assert_int_equal(journal_stats_of(j).records, 5);
    mailbox_drain(&w->box);
    assert_true(p[0].answered && p[1].answered && p[3].answered && !p[2].answered);
    writes_tell_all(&writes);
    put(w, &p[3], "none:0"); /* where nothing waits it is told at once */
    assert_true(p[3].answered);
    source_answers(w);
    writes_tell_all(&writes);
    mailbox_drain(&w->box);
    assert_true(p[2].answered);
    struct journal_reading r;
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r),
                        "DOUBT a:0 10000ms | DOUBT a:1 10000ms | DOUBT a:2 10000ms | "
                        "KEY a:0 v1 60000ms | KEY a:1 v1 60000ms | KEY a:2 v1 60000ms");
    w->thread.changes = &w->changes;
    journal_lane_fini(&lane);
    journal_close(j);
    state_dir_close(d);
    world_close(w);
    assert_int_equal(state_folder_remove(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_of_a_key_go_one_after_the_other_and_other_keys_beside_them),
        cmocka_unit_test(keys_of_one_hash_are_written_beside_one_another),
        cmocka_unit_test(past_max_writes_they_wait_and_past_max_write_queue_they_are_refused),
        cmocka_unit_test(who_gives_up_before_its_turn_is_not_written),
        cmocka_unit_test(a_key_without_a_loader_and_a_function_that_is_missing_are_refused),
        cmocka_unit_test(over_a_reload_those_that_wait_go_to_the_loader_as_it_is_then),
        cmocka_unit_test(on_shutdown_who_waits_hears_of_it_and_what_is_in_the_air_is_unknown),
        cmocka_unit_test(a_write_that_fails_keeps_the_entry_or_drops_it_by_what_may_have_happened),
        cmocka_unit_test(a_version_that_is_told_is_a_floor_also_where_another_query_was_lost),
        cmocka_unit_test(an_answer_waits_for_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
