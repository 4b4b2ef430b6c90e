/* Whose run goes on, where scripts want more of their thread than there is. */
#include "bind/fake.h"

#define TURN_US 5000

/* How long a script runs after its query, in ms of CPU. */
static int takes(struct bench *b, const char *file, int ms)
{
    char text[256];
    snprintf(text, sizeof text,
             "return { load = function(key, ctx)\n"
             "  ctx.db:value 'SELECT 1'\n"
             "  local began = os.clock()\n"
             "  while (os.clock() - began) * 1000 < %d do end\n"
             "  return '%s'\n"
             "end }",
             ms, file);
    return bench_script(b, file, text);
}

/* A run of the script, and what it waits for. */
struct waiting {
    struct ending end;
    struct run *run;
    struct call *query;
};

static void begin(struct bench *b, struct waiting *w, int script)
{
    struct err e;
    struct run_request q = bench_request(b, script, &w->end);
    w->end = (struct ending){0};
    q.in_turn = true;
    assert_int_equal(run_start(&w->run, b->rt, &q, &e), 0);
    assert_non_null(w->run);
    assert_false(list_empty(&b->main.queries));
    w->query = container_of(b->main.queries.prev, struct call, link);
}

/* As where nobody else wants the thread. */
static void run_once(struct bench *b, int script)
{
    struct waiting w;
    int64_t ahead_us;
    begin(b, &w, script);
    runtime_turn(b->rt, TURN_US);
    fake_answer_int(w.query, 1);
    while (runtime_waits(b->rt, &ahead_us))
        runtime_go_on(b->rt);
    assert_int_equal(w.end.calls, 1);
    ending_fini(&w.end);
}

/* Until that is known: on a busy machine one of its runs may have taken long. */
static int quick_one(struct bench *b)
{
    int quick = takes(b, "quick.lua", 0), runs = 0;
    do
        run_once(b, quick);
    while (runtime_ahead_us(b->rt, quick) > 0 && ++runs < 1000);
    assert_int_equal(runtime_ahead_us(b->rt, quick), 0);
    return quick;
}

/* The turn is over: whoever is woken waits. */
static void wake(struct bench *b, struct waiting *w)
{
    runtime_turn(b->rt, 0);
    fake_answer_int(w->query, 1);
    assert_int_equal(w->end.calls, 0);
}

/* Of n, the one that went on next. */
static int next_of(struct bench *b, struct waiting *all, int n)
{
    int64_t ahead_us;
    assert_true(runtime_waits(b->rt, &ahead_us));
    runtime_turn(b->rt, 0);
    int before = 0, after = 0, which = -1;
    for (int i = 0; i < n; i++)
        before += all[i].end.calls;
    bool had[8];
    for (int i = 0; i < n; i++)
        had[i] = all[i].end.calls > 0;
    runtime_go_on(b->rt);
    for (int i = 0; i < n; i++) {
        after += all[i].end.calls;
        if (all[i].end.calls > 0 && !had[i])
            which = i;
    }
    assert_int_equal(after, before + 1);
    return which;
}

static void end_all(struct waiting *all, int n)
{
    for (int i = 0; i < n; i++)
        ending_fini(&all[i].end);
}

static void goes_on_at_once_while_the_turn_lasts(void **state)
{
    struct bench *b = *state;
    struct waiting w[3];
    int64_t ahead_us;
    int quick = quick_one(b), slow = takes(b, "slow.lua", 8);
    run_once(b, slow);
    begin(b, &w[0], quick);
    begin(b, &w[1], slow);
    begin(b, &w[2], quick);
    runtime_turn(b->rt, TURN_US);
    fake_answer_int(w[0].query, 1);
    assert_int_equal(w[0].end.calls, 1);
    fake_answer_int(w[1].query, 1); /* it is known to be slow */
    assert_int_equal(w[1].end.calls, 0);
    assert_true(runtime_waits(b->rt, &ahead_us));
    assert_true(ahead_us > 0);
    assert_int_equal(runtime_ahead_us(b->rt, quick), 0);
    runtime_go_on(b->rt);
    assert_int_equal(w[1].end.calls, 1);
    fake_answer_int(w[2].query, 1); /* that took what was left of the turn */
    assert_int_equal(w[2].end.calls, 0);
    assert_true(runtime_waits(b->rt, &ahead_us));
    assert_int_equal(ahead_us, 0);
    runtime_go_on(b->rt);
    assert_int_equal(w[2].end.calls, 1);
    assert_false(runtime_waits(b->rt, &ahead_us));
    end_all(w, 3);
}

static void lets_the_quick_go_first(void **state)
{
    struct bench *b = *state;
    struct waiting w[4];
    int quick = quick_one(b), slow = takes(b, "slow.lua", 8);
    run_once(b, slow);
    begin(b, &w[0], slow);
    begin(b, &w[1], slow);
    begin(b, &w[2], quick);
    begin(b, &w[3], quick);
    for (int i = 0; i < 4; i++)
        wake(b, &w[i]);
    const int order[] = {2, 3, 0, 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(next_of(b, w, 4), order[i]);
    end_all(w, 4);
}

static void takes_one_that_never_ended_for_the_slowest(void **state)
{
    struct bench *b = *state;
    struct waiting w[3];
    int unknown = takes(b, "unknown.lua", 0), slow = takes(b, "slow.lua", 8), quick = quick_one(b);
    run_once(b, slow);
    begin(b, &w[0], unknown);
    begin(b, &w[1], slow);
    begin(b, &w[2], quick);
    for (int i = 0; i < 3; i++)
        wake(b, &w[i]);
    const int order[] = {2, 1, 0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(next_of(b, w, 3), order[i]);
    assert_int_equal(runtime_ahead_us(b->rt, unknown), 0); /* now it is known */
    end_all(w, 3);
}

static void lets_those_that_are_alike_take_turns(void **state)
{
    struct bench *b = *state;
    struct waiting w[6];
    int one = takes(b, "one.lua", 6), other = takes(b, "other.lua", 6);
    run_once(b, one);
    run_once(b, other);
    for (int i = 0; i < 6; i++)
        begin(b, &w[i], i < 3 ? one : other);
    for (int i = 0; i < 6; i++)
        wake(b, &w[i]);
    int of_one = 0;
    for (int i = 0; i < 6; i++) {
        of_one += next_of(b, w, 6) < 3;
        assert_true(of_one >= i / 2 && of_one <= i / 2 + 1);
    }
    end_all(w, 6);
}

/* Rather than all that it did not take meanwhile. */
static void gives_no_credit_to_one_that_was_idle(void **state)
{
    struct bench *b = *state;
    struct waiting w[6];
    int idle = takes(b, "idle.lua", 6), busy = takes(b, "busy.lua", 6);
    run_once(b, idle);
    for (int i = 0; i < 10; i++)
        run_once(b, busy);
    for (int i = 0; i < 6; i++)
        begin(b, &w[i], i < 3 ? idle : busy);
    for (int i = 0; i < 6; i++)
        wake(b, &w[i]);
    int of_idle = 0;
    for (int i = 0; i < 4; i++)
        of_idle += next_of(b, w, 6) < 3;
    assert_int_equal(of_idle, 2);
    for (int i = 0; i < 2; i++)
        (void)next_of(b, w, 6);
    end_all(w, 6);
}

static void leaves_out_one_that_was_cancelled_meanwhile(void **state)
{
    struct bench *b = *state;
    struct waiting w[2];
    int64_t ahead_us;
    int quick = quick_one(b);
    begin(b, &w[0], quick);
    begin(b, &w[1], quick);
    wake(b, &w[0]);
    wake(b, &w[1]);
    (void)run_cancel(w[0].run);
    assert_int_equal(next_of(b, w, 2), 1);
    assert_false(runtime_waits(b->rt, &ahead_us));
    runtime_go_on(b->rt); /* nothing */
    end_all(w, 2);
}

/* A write waits for its turn; a load whose turn was chosen does not. */
static void begins_at_once_whose_turn_it_is(void **state)
{
    struct bench *b = *state;
    struct ending ends[2] = {{0}};
    struct err e;
    struct run *run;
    int slow = bench_script(b, "slow.lua",
                            "return { load = function()\n"
                            "  local began = os.clock()\n"
                            "  while os.clock() - began < 0.008 do end\n"
                            "  return 1\n"
                            "end }");
    runtime_turn(b->rt, TURN_US);
    for (int i = 0; i < 2; i++) {
        struct run_request q = bench_request(b, slow, &ends[i]);
        q.in_turn = i == 1;
        assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
        assert_int_equal(ends[i].calls, i);
    }
    runtime_go_on(b->rt);
    assert_int_equal(ends[0].calls, 1);
    ending_fini(&ends[0]);
    ending_fini(&ends[1]);
}

static void keeps_accounts_over_a_reload_where_the_text_is_the_same(void **state)
{
    struct bench *b = *state;
    struct runtime *rt;
    struct err e;
    int quick = quick_one(b), slow = takes(b, "slow.lua", 20),
        changed = takes(b, "changed.lua", 20);
    run_once(b, slow);
    run_once(b, changed);
    int64_t of_slow = runtime_ahead_us(b->rt, slow);
    assert_true(of_slow > 0);
    assert_int_equal(bench_runtime(b, &rt, (struct bench_bounds){0}, &e), 0);
    bench_file(b, "changed.lua", "return { load = function() return 2 end }");
    assert_int_equal(runtime_add_script(rt, "quick.lua", &quick, &e), 0);
    assert_int_equal(runtime_add_script(rt, "slow.lua", &slow, &e), 0);
    assert_int_equal(runtime_add_script(rt, "changed.lua", &changed, &e), 0);
    int64_t of_unknown = runtime_ahead_us(rt, changed);
    assert_int_equal(runtime_ahead_us(rt, quick), of_unknown);
    runtime_carry_accounts(rt, b->rt);
    assert_int_equal(runtime_ahead_us(rt, slow), of_slow);
    assert_int_equal(runtime_ahead_us(rt, quick), 0);
    assert_true(runtime_ahead_us(rt, changed) > of_slow); /* it is another script */
    runtime_unref(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(goes_on_at_once_while_the_turn_lasts),
        CASE(lets_the_quick_go_first),
        CASE(takes_one_that_never_ended_for_the_slowest),
        CASE(lets_those_that_are_alike_take_turns),
        CASE(gives_no_credit_to_one_that_was_idle),
        CASE(leaves_out_one_that_was_cancelled_meanwhile),
        CASE(begins_at_once_whose_turn_it_is),
        CASE(keeps_accounts_over_a_reload_where_the_text_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
