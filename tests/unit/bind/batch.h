/*
 * batch: a run of load_many for user:1, user:2 and user:3, and how it ended.
 */
#ifndef RTCACHE_TESTS_BIND_BATCH_H
#define RTCACHE_TESTS_BIND_BATCH_H

#include "bind/fake.h"
#include "store/store.h"

#define KEYS 3

static const struct slice captures[KEYS][1] = {{{"1", 1}}, {{"2", 1}}, {{"3", 1}}};

/* A run of user:1, user:2, user:3, and how it ended: each key's outcome, error and packed value. */
struct batch {
    struct bench *bench;
    struct run_key keys[KEYS];
    struct run_request q;
    struct run *run;
    int calls;
    enum run_outcome outcome;
    struct err err;
    bool retryable, poisoned, divisible;
    int poison;
    unsigned count;
    struct ending of[KEYS];
};

static inline void take(struct run *r, struct run_result *result, void *arg)
{
    struct batch *b = arg;
    b->calls++;
    b->outcome = result->outcome;
    b->err = result->err;
    b->retryable = result->retryable;
    b->poisoned = result->poisoned;
    b->divisible = result->divisible;
    b->poison = result->poison;
    b->count = result->many_count;
    for (unsigned i = 0; i < result->many_count && i < KEYS; i++)
        ending_take(r, &result->many[i], &b->of[i]);
}

static inline void batch_init(struct batch *b, struct bench *bench, const char *script)
{
    static int number;
    char file[32];
    snprintf(file, sizeof file, "many%d.lua", ++number);
    *b = (struct batch){.bench = bench};
    static const char *const names[KEYS] = {"user:1", "user:2", "user:3"};
    for (int i = 0; i < KEYS; i++)
        b->keys[i] = (struct run_key){
            .key = slice_str(names[i]), .captures = captures[i], .capture_count = 1};
    b->q = (struct run_request){
        .what = RUN_LOAD_MANY,
        .script = bench_script(bench, file, script),
        .keys = b->keys,
        .key_count = KEYS,
        .pattern = "user:*",
        .attempt = 2,
        .deadline_ms = clock_ms() + 60000,
        .done = take,
        .arg = b,
    };
}

static inline void batch_start(struct batch *b)
{
    struct err e;
    if (run_start(&b->run, b->bench->rt, &b->q, &e) != 0)
        fail_msg("%s", e.text);
}

static inline void batch_fini(struct batch *b)
{
    for (int i = 0; i < KEYS; i++)
        ending_fini(&b->of[i]);
}

/* Runs a load_many of that body; it must not wait. */
static inline void batch_eval(struct batch *b, struct bench *bench, const char *body)
{
    char script[600];
    snprintf(script, sizeof script, "return { load_many = function(keys, ctx)\n%s\nend }", body);
    batch_init(b, bench, script);
    batch_start(b);
    assert_int_equal(b->calls, 1);
    if (b->outcome == RUN_FAILED)
        assert_int_equal(b->count, 0);
    else
        assert_int_equal(b->count, KEYS);
}

static inline void expect_done(const struct batch *b)
{
    if (b->outcome != RUN_DONE)
        fail_msg("%s", b->err.text);
}

static inline void expect_refused(struct bench *bench, const char *body, int code, const char *part)
{
    struct batch b;
    batch_eval(&b, bench, body);
    assert_int_equal(b.outcome, RUN_FAILED);
    expect_text(&b.err, part);
    if (b.err.code != code)
        fail_msg("%s: %s is not %s", b.err.text, err_name(b.err.code), err_name(code));
    batch_fini(&b);
}

/* That key i is to be asked for apart, and what is said of it. */
static inline void expect_apart(const struct batch *b, int i, const char *part)
{
    assert_int_equal(b->of[i].outcome, RUN_FAILED);
    assert_true(b->of[i].apart);
    expect_text(&b->of[i].err, part);
}

static inline void expect_packed(const struct ending *of, const char *want, size_t size)
{
    if (of->outcome != RUN_FOUND)
        fail_msg("%s", of->err.text);
    assert_int_equal(of->value.size, size);
    assert_memory_equal(of->value.data, want, size);
}

#endif
