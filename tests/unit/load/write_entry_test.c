/* What becomes of a key's entry when a write has ended; what is answered, counted and logged. */
#include "load/load_world.h"

#include "load/writes.h"
#include "logged.h"

static const char script[] = "local how = { value = function(v) return v, { version = 7 } end }\n"
                             "function how.plain(v) return v end\n"
                             "function how.secret(v) return v, { version = 7, cache = false } end\n"
                             "function how.tagged(v) return v, { version = 7, tags = {'x'} } end\n"
                             "function how.untagged(v) return v, { version = 7, tags = {} } end\n"
                             "function how.brief(v)\n"
                             "  return v, { version = 7, ttl = 40, stale_ttl = 50 }\n"
                             "end\n"
                             "function how.large()\n"
                             "  return string.rep('x', 600000), { version = 7 }\n"
                             "end\n"
                             "function how.throw() error('no way') end\n"
                             "function how.unknown() error({ code = 'WRITE_UNKNOWN' }) end\n"
                             "function how.query(v, ctx)\n"
                             "  return ctx.db:value 'UPDATE x', { version = 7 }\n"
                             "end\n"
                             "function how.two(v, ctx)\n"
                             "  ctx.db:value 'UPDATE x'\n"
                             "  ctx.db:value 'UPDATE y'\n"
                             "end\n"
                             "return {\n"
                             "  load = function() return 1 end,\n"
                             "  save = function(key, v, ctx) return how[v](v, ctx) end,\n"
                             "  remove = function(key, ctx)\n"
                             "    return true, { version = 9 }\n"
                             "  end,\n"
                             "}\n";

struct asked {
    struct write write;
    bool answered;
};

static struct load_world *w;
static struct writes writes;
static struct asked asked;

static void write_answered(struct message *m, void *owner)
{
    (void)owner;
    (void)m;
    asked.answered = true;
}

/* The mode is that of the first loader's option `write`. */
static void begin_mode(const char *mode)
{
    struct err e;
    w = world_new();
    w->loaders[0].write = mode;
    world_open(w);
    binding_know_script(&w->admissions[0].binding, w->bench.rt,
                        bench_script(&w->bench, "how.lua", script));
    w->loaders[0].script = "how.lua";
    assert_int_equal(writes_init(&writes, &w->thread, &e), 0);
    writes.current = &w->edition;
    logged_begin();
}

static void end_mode(void)
{
    assert_int_equal(writes.waiting, 0);
    assert_int_equal(w->admissions[0].writes.in_air, 0);
    assert_true(list_empty(&writes.running));
    assert_int_equal(w->edition.refs, 1);
    writes_fini(&writes);
    world_free(w);
}

/* An entry of version 5 is stored, and one asks for a write of that kind. */
static void ask(enum write_what what, const char *how)
{
    static char value[32];
    int64_t five = 5;
    struct put p = {
        .key = slice_str("a:1"),
        .value = slice_str("\x05"),
        .has_version = true,
        .version = five,
        .ttl_ms = 60000,
        .stale_ttl_ms = 60000,
    };
    p.hash = store_hash(w->store, p.key);
    assert_int_equal(store_put(w->store, &p, clock_ms(), NULL), 0);
    value[0] = (char)(0xa0 | strlen(how));
    memcpy(value + 1, how, strlen(how));
    asked = (struct asked){.write = {.what = what,
                                     .key = p.key,
                                     .hash = p.hash,
                                     .value = slice_of(value, strlen(how) + 1),
                                     .answer_to = &w->box,
                                     .answered = write_answered}};
    writes_take(&writes, &asked.write);
    mailbox_drain(&w->box);
}

/* The version of what is stored; 0: nothing. */
static int64_t stored(struct hit *hit)
{
    enum lookup found = store_get(w->store, slice_str("a:1"), asked.write.hash, clock_ms(),
                                  WANT_PEEK | WANT_STALE, NULL, hit);
    entry_unref(hit->entry);
    return found == LOOKUP_MISS ? 0 : hit->version;
}

/* Whether what is older than that version is refused. */
static bool has_floor(int64_t version)
{
    struct err e;
    struct put p = {.key = slice_str("a:1"),
                    .hash = asked.write.hash,
                    .value = slice_str("\x01"),
                    .has_version = true,
                    .version = version - 1,
                    .ttl_ms = 1000};
    store_remove(w->store, p.key, p.hash, clock_ms());
    return change_set(&w->changes, &p, clock_ms(), &e) == ERR_VERSION_CONFLICT;
}

static uint64_t sum(enum metric_counter id)
{
    return metrics_sum(id);
}

/* What is stored after a write that the source took, by the option and by what the script says. */
static void what_was_written_is_stored_or_dropped(void **state)
{
    static const struct {
        const char *mode, *how;
        int64_t then, floor; /* the version of the entry; that below which nothing is stored */
    } cases[] = {
        {"through", "value", 7, 7},  {"through", "tagged", 7, 7},   {"through", "plain", 0, 0},
        {"through", "secret", 0, 7}, {"invalidate", "value", 0, 7}, {"invalidate", "plain", 0, 0},
        {"none", "value", 5, 0},     {"none", "plain", 5, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hit hit;
        begin_mode(cases[i].mode);
        uint64_t began = sum(M_WRITES), kept = sum(M_WRITES_STORED), failed = sum(M_WRITES_FAILED);
        ask(WRITE_PUT, cases[i].how);
        assert_true(asked.answered);
        assert_int_equal(asked.write.err.code, 0);
        assert_int_equal(asked.write.left, LEFT_SO);
        bool plain = strcmp(cases[i].how, "plain") == 0;
        assert_int_equal(asked.write.has_version, !plain);
        if (!plain)
            assert_int_equal(asked.write.version, 7);
        if (stored(&hit) != cases[i].then)
            fail_msg("case %zu: %lld", i, (long long)hit.version);
        assert_int_equal(asked.write.stored, cases[i].then == 7);
        assert_int_equal(sum(M_WRITES) - began, 1);
        assert_int_equal(sum(M_WRITES_STORED) - kept, cases[i].then == 7);
        assert_int_equal(sum(M_WRITES_FAILED) - failed, 0);
        if (has_floor(7) != (cases[i].floor == 7))
            fail_msg("case %zu: its floor", i);
        logged_none();
        end_mode();
    }
}

static void what_is_stored_has_the_writes_own_times(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    w->loaders[0].policy.stale_if_error_ms = 900;
    ask(WRITE_PUT, "value");
    assert_int_equal(stored(&hit), 7);
    assert_in_range(hit.ttl_ms, 59000, 60000); /* the loader's */
    assert_int_equal(hit.load_us, 0);
    assert_int_equal(hit.owner, snapshot_owner(w->edition.snapshot, 0));
    ask(WRITE_PUT, "brief");
    assert_int_equal(stored(&hit), 7);
    assert_in_range(hit.ttl_ms, 30000, 40000);
    struct live_feed feed = {.cut = true};
    w->admissions[0].binding.feed = &feed;
    w->loaders[0].policy.stale_ttl_ms = 60000;
    ask(WRITE_PUT, "value");
    assert_true(asked.write.stored);
    assert_int_equal(
        store_get(w->store, slice_str("a:1"), asked.write.hash, clock_ms(), WANT_PEEK, NULL, &hit),
        LOOKUP_STALE);
    end_mode();
}

static void a_deletion_drops_and_its_row_is_gone(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    ask(WRITE_DELETE, "");
    assert_true(asked.answered);
    assert_int_equal(asked.write.err.code, 0);
    assert_int_equal(asked.write.version, 9);
    assert_false(asked.write.stored);
    assert_int_equal(stored(&hit), 0);
    assert_true(has_floor(9));
    end_mode();
}

/* A script whose loads give tags has to say which a row has after a write. */
static void a_write_that_says_nothing_of_tags_is_not_kept_where_loads_do(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    uint64_t untagged = sum(M_WRITES_UNTAGGED);
    binding_facts(&w->admissions[0].binding)->gives_tags = true;
    for (int i = 0; i < 2; i++) {
        ask(WRITE_PUT, "value");
        assert_int_equal(asked.write.left, LEFT_UNTAGGED);
        assert_false(asked.write.stored);
        assert_int_equal(stored(&hit), 0);
    }
    assert_int_equal(sum(M_WRITES_UNTAGGED) - untagged, 2);
    logged_is("warn  write.untagged pattern=\"a:*\" key=\"a:1\" error=\"loads give tags, and save "
              "returned none: the entry is dropped; return tags with the row, or tags = {}\"");
    logged_none(); /* once */
    ask(WRITE_PUT, "untagged");
    assert_true(asked.write.stored);
    ask(WRITE_PUT, "tagged");
    assert_true(asked.write.stored);
    assert_int_equal(stored(&hit), 7);
    marks_tag(w->marks, slice_str("y"), false);
    assert_int_equal(stored(&hit), 7);
    marks_tag(w->marks, slice_str("x"), false);
    assert_int_equal(stored(&hit), 0);
    end_mode();
}

/* Where they do not, every tag is taken for one of its own. */
static void a_write_without_tags_is_overtaken_by_any(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    ask(WRITE_PUT, "value");
    assert_int_equal(stored(&hit), 7);
    marks_tag(w->marks, slice_str("y"), false);
    assert_int_equal(stored(&hit), 0);
    ask(WRITE_PUT, "untagged");
    marks_tag(w->marks, slice_str("y"), false);
    assert_int_equal(stored(&hit), 7);
    end_mode();
}

static void what_no_shard_can_hold_is_told(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    ask(WRITE_PUT, "large");
    assert_true(asked.answered);
    assert_int_equal(asked.write.err.code, 0);
    assert_false(asked.write.stored);
    assert_int_equal(asked.write.left, LEFT_TOO_LARGE);
    assert_int_equal(stored(&hit), 0);
    end_mode();
}

static void what_an_older_script_wrote_is_not_stored(void **state)
{
    (void)state;
    struct hit hit;
    begin_mode("through");
    w->thread.answers.generation = 2;
    ask(WRITE_PUT, "value");
    assert_true(asked.answered);
    assert_false(asked.write.stored);
    assert_int_equal(stored(&hit), 0);
    assert_true(has_floor(7));
    end_mode();
}

/* ---- failures ---- */

static void failed_as(int code, const char *text, int64_t version_then)
{
    struct hit hit;
    assert_true(asked.answered);
    assert_string_equal(asked.write.err.text, text);
    assert_int_equal(asked.write.err.code, code);
    assert_false(asked.write.stored);
    assert_int_equal(stored(&hit), version_then);
}

static void a_script_that_throws_has_written_nothing(void **state)
{
    (void)state;
    begin_mode("through");
    uint64_t failed = sum(M_WRITES_FAILED), unknown = sum(M_WRITES_UNKNOWN);
    ask(WRITE_PUT, "throw");
    failed_as(ERR_LOAD_FAILED, "a:1: how.lua:12: no way", 5);
    assert_int_equal(sum(M_WRITES_FAILED) - failed, 1);
    logged_is("warn  write.failed method=put pattern=\"a:*\" key=\"a:1\" effect=none "
              "code=LOAD_FAILED error=\"how.lua:12: no way\"");
    assert_int_equal(sum(M_WRITES_UNKNOWN) - unknown, 0);
    end_mode();
}

/* Whether what is loaded now is not kept: a write may still take place. */
static bool is_doubtful(void)
{
    struct write_token token;
    flights_write_begins(w->flights, asked.write.hash, clock_ms(), &token);
    return token.doubtful;
}

/* What the source answers to the oldest query; fates are those of backend.h. */
static void refuse(int code, enum call_fate fate)
{
    fake_fail_with(fake_oldest(&w->bench.main), code, fate);
    mailbox_drain(&w->box);
}

static void what_a_failure_has_done_decides_about_the_entry(void **state)
{
    static const struct {
        const char *how;
        enum call_fate fate;
        int code;
        const char *text, *logged;
        int64_t then;
        bool doubtful;
    } cases[] = {
        {"query", CALL_UNDONE, ERR_BACKEND_DOWN, "a:1: how.lua:15: no",
         "effect=none code=BACKEND_DOWN error=\"how.lua:15: no\"", 5, false},
        {"query", CALL_SENT, ERR_WRITE_UNKNOWN, "a:1: BACKEND_DOWN: how.lua:15: no",
         "effect=unknown code=BACKEND_DOWN error=\"how.lua:15: no\"", 0, true},
        {"two", CALL_UNDONE, ERR_BACKEND_DOWN, "a:1: how.lua:19: no",
         "effect=some code=BACKEND_DOWN error=\"how.lua:19: no\"", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[256];
        begin_mode("through");
        uint64_t failed = sum(M_WRITES_FAILED), unknown = sum(M_WRITES_UNKNOWN);
        ask(WRITE_PUT, cases[i].how);
        assert_false(asked.answered);
        if (strcmp(cases[i].how, "two") == 0)
            fake_answer_int(fake_oldest(&w->bench.main), 1);
        refuse(ERR_BACKEND_DOWN, cases[i].fate);
        failed_as(cases[i].code, cases[i].text, cases[i].then);
        snprintf(line, sizeof line, "warn  write.failed method=put pattern=\"a:*\" key=\"a:1\" %s",
                 cases[i].logged);
        logged_is(line);
        assert_int_equal(sum(M_WRITES_FAILED) - failed, 1);
        assert_int_equal(sum(M_WRITES_UNKNOWN) - unknown, cases[i].doubtful);
        assert_int_equal(is_doubtful(), cases[i].doubtful);
        end_mode();
    }
}

/* A script may say itself that nobody knows; its text is not said twice. */
static void a_script_may_say_that_nobody_knows(void **state)
{
    (void)state;
    begin_mode("through");
    ask(WRITE_PUT, "unknown");
    assert_true(asked.answered);
    assert_int_equal(asked.write.err.code, ERR_WRITE_UNKNOWN);
    assert_null(strstr(asked.write.err.text, "WRITE_UNKNOWN: "));
    assert_true(is_doubtful());
    end_mode();
}

static void past_its_time_a_write_is_cut_off(void **state)
{
    (void)state;
    for (int sent = 0; sent < 2; sent++) {
        begin_mode("through");
        w->loaders[0].policy.write_timeout_ms = 1;
        ask(WRITE_PUT, "query");
        struct call *q = fake_oldest(&w->bench.main);
        q->fate = sent ? CALL_SENT : CALL_UNDONE;
        while (!asked.answered) {
            ev_run(w->bench.loop, EVRUN_ONCE);
            mailbox_drain(&w->box);
        }
        assert_int_equal(w->bench.main.cancelled, 1);
        if (sent)
            failed_as(ERR_WRITE_UNKNOWN,
                      "a:1: TIMEOUT: how.lua: the write took more than its write_timeout", 0);
        else
            failed_as(ERR_TIMEOUT, "a:1: how.lua: the write took more than its write_timeout", 5);
        end_mode();
    }
}

static void on_shutdown_a_write_in_the_air_is_unknown(void **state)
{
    (void)state;
    begin_mode("through");
    ask(WRITE_PUT, "query");
    writes_shutdown(&writes);
    mailbox_drain(&w->box);
    failed_as(ERR_WRITE_UNKNOWN, "a:1: SHUTTING_DOWN: how.lua: the server is going down", 0);
    end_mode();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_stored_or_dropped),
        cmocka_unit_test(what_is_stored_has_the_writes_own_times),
        cmocka_unit_test(a_deletion_drops_and_its_row_is_gone),
        cmocka_unit_test(a_write_that_says_nothing_of_tags_is_not_kept_where_loads_do),
        cmocka_unit_test(a_write_without_tags_is_overtaken_by_any),
        cmocka_unit_test(what_no_shard_can_hold_is_told),
        cmocka_unit_test(what_an_older_script_wrote_is_not_stored),
        cmocka_unit_test(a_script_that_throws_has_written_nothing),
        cmocka_unit_test(what_a_failure_has_done_decides_about_the_entry),
        cmocka_unit_test(a_script_may_say_that_nobody_knows),
        cmocka_unit_test(past_its_time_a_write_is_cut_off),
        cmocka_unit_test(on_shutdown_a_write_in_the_air_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
