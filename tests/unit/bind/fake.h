/*
 * fake: a backend in the test's own process, which answers when the test says so, and a bench of
 * a runtime with scripts written by the test.
 */
#ifndef RTCACHE_TESTS_BIND_FAKE_H
#define RTCACHE_TESTS_BIND_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/sql.h"
#include "base/clock.h"
#include "bind/runtime.h"
#include "wire/mp.h"
#include "wire/mpw.h"

struct fake {
    struct backend head;
    struct list queries; /* in the order they came */
    int submitted, cancelled, freed;
    struct slice known; /* what it answers to CALL_TYPES at once; empty: nothing */
};

static inline void fake_submit(struct backend *b, struct call *q)
{
    struct fake *f = container_of(b, struct fake, head);
    f->submitted++;
    q->code = 0;
    q->fate = CALL_SENT;
    q->found = false;
    err_clear(&q->err);
    buf_init(&q->result, 0);
    list_push_back(&f->queries, &q->link);
}

static inline bool fake_know(struct backend *b, struct call *q)
{
    struct fake *f = container_of(b, struct fake, head);
    if (f->known.size == 0)
        return false;
    call_reset(q, 0);
    q->found = true;
    q->code = buf_append(&q->result, f->known.data, f->known.size);
    return true;
}

static inline void fake_cancel(struct backend *b, struct call *q)
{
    struct fake *f = container_of(b, struct fake, head);
    f->cancelled++;
    list_remove(&q->link);
}

static inline void fake_free(struct backend *b)
{
    struct fake *f = container_of(b, struct fake, head);
    f->freed++;
}

static inline void fake_read_stats(const struct backend *b, struct backend_stats *out)
{
    (void)b;
    *out = (struct backend_stats){0};
}

static const struct backend_ops fake_ops = {
    .submit = fake_submit,
    .cancel = fake_cancel,
    .answer = fake_know,
    .free = fake_free,
    .read_stats = fake_read_stats,
};

/* Its backends are made by fake_init alone. */
static const struct backend_driver fake_driver = {.conf = {.name = "fake", .speaks_sql = true},
                                                  .verbs = sql_verbs};

static const struct conf_backend fake_confs[] = {{.name = "main", .driver = &fake_driver.conf},
                                                 {.name = "other", .driver = &fake_driver.conf}};

static inline void fake_init(struct fake *f, const char *name)
{
    *f = (struct fake){.head = {.ops = &fake_ops, .name = name, .refs = 1}};
    list_init(&f->queries);
}

static inline struct call *fake_oldest(struct fake *f)
{
    assert_false(list_empty(&f->queries));
    return container_of(f->queries.next, struct call, link);
}

static inline void fake_answer(struct call *q, struct slice packed)
{
    list_remove(&q->link);
    q->found = true;
    assert_int_equal(mpw_raw(&q->result, packed), 0);
    q->done(q);
}

static inline void fake_answer_int(struct call *q, int64_t v)
{
    struct buf b;
    buf_init(&b, 0);
    assert_int_equal(mpw_int(&b, v), 0);
    fake_answer(q, buf_slice(&b));
    buf_fini(&b);
}

static inline void fake_answer_nothing(struct call *q)
{
    list_remove(&q->link);
    q->done(q);
}

static inline void fake_fail(struct call *q, int code, const char *text)
{
    list_remove(&q->link);
    q->code = err_set(&q->err, code, "%s", text);
    q->done(q);
}

static inline void fake_fail_with(struct call *q, int code, enum call_fate fate)
{
    q->fate = fate;
    fake_fail(q, code, "no");
}

struct bench {
    char dir[64], lua_dir[64];
    struct ev_loop *loop;
    struct fake main, other;
    struct runtime *rt;
};

/* How a run ended, kept for the test to look at. */
struct ending {
    int calls;
    enum run_outcome outcome;
    struct buf value, tags;
    struct err err;
    bool retryable, has_version, no_store, apart, divisible;
    enum run_effect effect;
    int64_t ttl_ms, stale_ttl_ms, version;
};

static inline void ending_take(struct run *r, struct run_result *result, void *arg)
{
    (void)r;
    struct ending *e = arg;
    e->calls++;
    e->outcome = result->outcome;
    e->err = result->err;
    e->effect = result->effect;
    e->value = result->value;
    buf_init(&result->value, 0);
    e->tags = result->tags;
    buf_init(&result->tags, 0);
    e->retryable = result->retryable;
    e->apart = result->apart;
    e->divisible = result->divisible;
    e->has_version = result->has_version;
    e->no_store = result->no_store;
    e->ttl_ms = result->ttl_ms;
    e->stale_ttl_ms = result->stale_ttl_ms;
    e->version = result->version;
}

static inline void ending_fini(struct ending *e)
{
    buf_fini(&e->value);
    buf_fini(&e->tags);
    *e = (struct ending){0};
}

static inline void bench_write(const char *dir, const char *file, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void bench_file(struct bench *b, const char *file, const char *text)
{
    bench_write(b->dir, file, text);
}

struct bench_bounds {
    size_t memory_max, value_max;
    int64_t run_cpu_ms, run_calls;
    const struct runtime *again;
};

static inline int bench_runtime(struct bench *b, struct runtime **rt, struct bench_bounds bounds,
                                struct err *e)
{
    struct backend *backends[] = {&b->main.head, &b->other.head};
    struct runtime_options o = {
        .loop = b->loop,
        .scripts_dir = b->dir,
        .lua_dir = b->lua_dir,
        .memory_max = bounds.memory_max ? bounds.memory_max : 64 << 20,
        .run_cpu_ms = bounds.run_cpu_ms ? bounds.run_cpu_ms : 2000,
        .run_calls = bounds.run_calls,
        .value_max = bounds.value_max ? bounds.value_max : 1 << 20,
        .backends = backends,
        .backend_confs = fake_confs,
        .backend_count = 2,
        .again = bounds.again,
    };
    return runtime_new(rt, &o, e);
}

static inline void bench_start(struct bench *b, struct bench_bounds bounds)
{
    struct err e;
    *b = (struct bench){0};
    strcpy(b->dir, "/tmp/rtcache-bind-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->lua_dir, sizeof b->lua_dir, "%.40s-lua", b->dir);
    mkdir(b->lua_dir, 0700);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    fake_init(&b->main, "main");
    fake_init(&b->other, "other");
    assert_int_equal(bench_runtime(b, &b->rt, bounds, &e), 0);
}

static inline void bench_stop(struct bench *b)
{
    char command[256];
    if (b->rt)
        runtime_unref(b->rt);
    backend_unref(&b->main.head);
    backend_unref(&b->other.head);
    assert_int_equal(b->main.freed, 1);
    assert_int_equal(b->other.freed, 1);
    ev_loop_destroy(b->loop);
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", b->dir, b->lua_dir);
    assert_int_equal(system(command), 0);
}

/* A script of that text, whose file name is numbered: t1.lua, t2.lua, ... */
static inline int bench_script(struct bench *b, const char *file, const char *text)
{
    struct err e;
    int script;
    bench_file(b, file, text);
    if (runtime_add_script(b->rt, file, &script, &e) != 0)
        fail_msg("%s", e.text);
    return script;
}

static inline struct run_request bench_request(struct bench *b, int script, struct ending *end)
{
    (void)b;
    static const struct slice captures[] = {{"42", 2}};
    return (struct run_request){
        .what = RUN_LOAD,
        .script = script,
        .key = slice_of("user:42", 7),
        .captures = captures,
        .capture_count = 1,
        .backend = 0,
        .pattern = "user:*",
        .attempt = 1,
        .deadline_ms = clock_ms() + 1000,
        .done = ending_take,
        .arg = end,
    };
}

static inline struct run *bench_begin(struct bench *b, int script, struct ending *end)
{
    struct err e;
    struct run *run;
    *end = (struct ending){0};
    struct run_request q = bench_request(b, script, end);
    if (run_start(&run, b->rt, &q, &e) != 0)
        fail_msg("%s", e.text);
    return run;
}

/* A load that does not wait. */
static inline void bench_run(struct bench *b, int script, struct ending *end)
{
    assert_null(bench_begin(b, script, end));
    assert_int_equal(end->calls, 1);
}

/* Runs `return` plus the expression, in a load of a script of its own. */
static inline void bench_eval(struct bench *b, const char *body, struct ending *end)
{
    static int number;
    char file[32];
    size_t size = strlen(body) + 80;
    char *text = malloc(size);
    snprintf(text, size, "return { load = function(key, ctx)\n%s\nend }", body);
    snprintf(file, sizeof file, "t%d.lua", ++number);
    int script = bench_script(b, file, text);
    free(text);
    bench_run(b, script, end);
}

static inline void expect_text(const struct err *e, const char *part)
{
    if (!strstr(e->text, part))
        fail_msg("\"%s\" has no \"%s\"", e->text, part);
}

static inline struct mp_token bench_token(const struct ending *end)
{
    struct mp_token t;
    if (end->outcome == RUN_FAILED)
        fail_msg("the run failed: %s", end->err.text);
    struct mp_reader r = mp_reader_of(buf_slice(&end->value));
    assert_int_equal(mp_next(&r, &t), MP_OK);
    return t;
}

static inline void expect_str(const struct ending *end, const char *text)
{
    struct mp_token t = bench_token(end);
    assert_int_equal(t.type, MP_STR);
    if (!slice_eq_str(t.bytes, text))
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(t.bytes), text);
}

static inline void expect_int(const struct ending *end, int64_t v)
{
    struct mp_token t = bench_token(end);
    assert_int_equal(t.type, MP_INT);
    assert_int_equal(t.i, v);
}

/* Body must return that text. */
static inline void expect_eval(struct bench *b, const char *body, const char *text)
{
    struct ending end;
    bench_eval(b, body, &end);
    expect_str(&end, text);
    ending_fini(&end);
}

/* Body must fail with that code, and a text that contains part. */
static inline void expect_failure(struct bench *b, const char *body, int code, const char *part)
{
    struct ending end;
    bench_eval(b, body, &end);
    assert_int_equal(end.outcome, RUN_FAILED);
    expect_text(&end.err, part);
    if (end.err.code != code)
        fail_msg("%s: %s is not %s", end.err.text, err_name(end.err.code), err_name(code));
    ending_fini(&end);
}

static inline int with_bench(void **state)
{
    struct bench *b = malloc(sizeof *b);
    bench_start(b, (struct bench_bounds){0});
    *state = b;
    return 0;
}

static inline int without_bench(void **state)
{
    bench_stop(*state);
    free(*state);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, with_bench, without_bench)

#endif
