#include "bind/fake.h"

#include "base/log.h"

#include <fcntl.h>

/* Begins a load of that body, whose query is left in the fake. */
static struct call *ask(struct bench *b, const char *body, struct ending *end)
{
    static int number;
    char text[400], file[32];
    snprintf(text, sizeof text, "return { load = function(key, ctx)\n%s\nend }", body);
    snprintf(file, sizeof file, "ask%d.lua", ++number);
    struct run *run = bench_begin(b, bench_script(b, file, text), end);
    if (!run)
        fail_msg("%s: %s", body, end->err.text);
    return fake_oldest(&b->main);
}

static void expect_params(struct bench *b, const char *arguments, const char *bytes, size_t size)
{
    char body[200];
    struct ending end;
    snprintf(body, sizeof body, "return ctx.db:row('SELECT'%s)", arguments);
    struct call *q = ask(b, body, &end);
    assert_int_equal(q->params.size, size);
    assert_memory_equal(q->params.data, bytes, size);
    fake_answer_nothing(q);
    assert_int_equal(end.outcome, RUN_ABSENT);
    ending_fini(&end);
}

#define PARAMS(b, arguments, bytes) expect_params(b, arguments, bytes, sizeof bytes - 1)

static void hands_parameters_over_exactly(void **state)
{
    struct bench *b = *state;
    PARAMS(b, "", "");
    PARAMS(b, ", 1, 'a'",
           "\x92\x01\xa1"
           "a");
    PARAMS(b, ", nil", "\x91\xc0");
    PARAMS(b, ", 1, nil, nil", "\x93\x01\xc0\xc0"); /* trailing nils count */
    PARAMS(b, ", rtcache.null, true", "\x92\xc0\xc3");
    PARAMS(b, ", 9007199254740993LL", "\x91\xcf\x00\x20\x00\x00\x00\x00\x00\x01");
    PARAMS(b, ", 0/0 ~= 0/0 and 1.5", "\x91\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    PARAMS(b, ", { 1, 2 }, { a = 1 }",
           "\x92\x92\x01\x02\x81\xa1"
           "a\x01");
    PARAMS(b, ", '\\255', rtcache.bin 'a'",
           "\x92\xc4\x01\xff\xc4\x01"
           "a");
}

/* A row stays one, with its columns in order. */
static void a_row_is_a_map_already(void **state)
{
    static const char row[] = "\x82\xa1"
                              "b\x01\xa1"
                              "a\x02";
    struct ending end;
    struct call *q = ask(*state, "return rtcache.map(ctx.db:row 'SELECT')", &end);
    fake_answer(q, slice_of(row, sizeof row - 1));
    if (end.outcome != RUN_FOUND)
        fail_msg("%s", end.err.text);
    assert_true(slice_eq(buf_slice(&end.value), slice_of(row, sizeof row - 1)));
    ending_fini(&end);
}

static void has_a_method_for_each_shape(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *method;
        enum call_shape shape;
    } cases[] = {
        {"row", CALL_ROW}, {"rows", CALL_ROWS}, {"value", CALL_VALUE}, {"exec", CALL_COUNT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[100];
        struct ending end;
        snprintf(body, sizeof body, "return ctx.db:%s('SELECT')", cases[i].method);
        struct call *q = ask(b, body, &end);
        assert_int_equal(q->shape, cases[i].shape);
        fake_answer(q, slice_of("\x07", 1));
        expect_int(&end, 7);
        ending_fini(&end);
    }
}

static void answers_rows_and_keeps_their_kind(void **state)
{
    struct bench *b = *state;
    struct ending end;
    static const char rows[] = "\x92\x81\xa1"
                               "s\x80\x82\xa1"
                               "s\x90\xa1n\xc0";
    fake_answer(ask(b, "return ctx.db:rows('SELECT')", &end), slice_of(rows, sizeof rows - 1));
    assert_int_equal(end.value.size, sizeof rows - 1);
    ending_fini(&end);
    fake_answer(
        ask(b, "local r = ctx.db:row('S') return tostring(r.n == rtcache.null) .. tostring(r.n)",
            &end),
        slice_of("\x81\xa1n\xc0", 4));
    expect_str(&end, "truenull");
    ending_fini(&end);
    fake_answer(ask(b, "local v = ctx.db:value('S') return tostring(v)", &end),
                slice_of("\xc0", 1));
    expect_str(&end, "null");
    ending_fini(&end);
    fake_answer_nothing(ask(b, "local v = ctx.db:value('S') return tostring(v)", &end));
    expect_str(&end, "nil");
    ending_fini(&end);
}

static void answers_packed_rows_as_they_came(void **state)
{
    struct bench *b = *state;
    struct ending end;
    static const char row[] = "\x82\xa2id\x2a\xa1v\x05";
    static const char rows[] = "\x92\x82\xa2id\x2a\xa1v\x05\x82\xa2id\x2b\xa1v\x06";
    struct call *q = ask(b,
                         "local r = ctx.db:packed_row('S')\n"
                         "return r, { version = r.v, tags = { 'id:' .. r.id } }",
                         &end);
    assert_int_equal(q->shape, CALL_ROW);
    fake_answer(q, slice_of(row, sizeof row - 1));
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_int_equal(end.value.size, sizeof row - 1);
    assert_memory_equal(end.value.data, row, sizeof row - 1);
    assert_int_equal(end.version, 5);
    assert_memory_equal(end.tags.data, "\x91\xa5id:42", 7);
    ending_fini(&end);
    q = ask(b, "local r = ctx.db:packed_rows('S') return r[2].id + #r + rtcache.unpack(r)[1].id",
            &end);
    assert_int_equal(q->shape, CALL_ROWS);
    fake_answer(q, slice_of(rows, sizeof rows - 1));
    expect_int(&end, 43 + 2 + 42);
    ending_fini(&end);
    fake_answer_nothing(ask(b, "return ctx.db:packed_row('S')", &end));
    assert_int_equal(end.outcome, RUN_ABSENT);
    ending_fini(&end);
}

static void explains_what_is_called_wrongly(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"\nreturn ctx.db.row('SELECT')",
         ".lua:3: row is a method of a backend: call it with a colon"},
        {"local row = ctx.db.row\nlocal x = row()", "row is a method of a backend"},
        {"return ctx.db:row()", ".lua:2: db:row: the SQL text is a nil, not a string"},
        {"return ctx.db:rows({})", ".lua:2: db:rows: the SQL text is a table"},
        {"return ctx.db:row('S', 1, print)",
         ".lua:2: db:row: parameter 2: a function cannot be packed"},
        {"return ctx.db:row('S', { a = { print } })",
         "parameter 1.a[1]: a function cannot be packed"},
        {"return ctx.db:row('SELECT 1\\0 FROM x')", "db:row: the SQL text has a NUL byte"},
        {"return rtcache.backend 'main\\0'", "no backend is called \"main"},
        {"return ctx.db:raw('S')", ".lua:2: the backend \"main\" has no method \"raw\"; its "
                                   "driver, fake, has row, rows, value, "
                                   "exec, packed_row, packed_rows; did you mean \"row\"?"},
        {"return ctx.db.query", ".lua:2: the backend \"main\" has no method \"query\""},
        {"return ctx.db:types('S')", "the backend \"main\" has no method \"types\""},
        {"return ctx.db:batch_rows('S')", "the backend \"main\" has no method \"batch_rows\""},
        {"ctx.db.x = 1", "attempt to index field 'db'"},
        {"return rtcache.backend 'nowhere'",
         ".lua:1: no backend is called \"nowhere\"; known: main, other"},
        {"local x = rtcache.backend()",
         ".lua:2: rtcache.backend takes a backend's name, not a no value"},
        {"rtcache.log({})", "rtcache.log takes a text to print, not a table"},
        {"rtcache.log('info', '%d', 'x')", "rtcache.log: bad argument"},
        {"rtcache.log('warning', 'disk %s', 'full')",
         "rtcache.log: \"warning\" is no level (debug, info, warn, error) and no format"},
        {"rtcache.all { function() end, nil, function() end }",
         "rtcache.all: the array has no element 2"},
        {"local t = {} t[1] = print t[3] = print rtcache.all(t)",
         "rtcache.all: the array has no element 2"},
        {"rtcache.all { user = print }", "rtcache.all: it has keys beside 1..n"},
        {"local x = ctx.db:rows('S', { 1, nil, 3 })",
         ".lua:2: db:rows: parameter 1: the array has no element 2"},
        {"local x = rtcache.json.encode { 1, nil, 3 }",
         "rtcache.json.encode: value: the array has no element 2"},
        {"local x = rtcache.bin(1)", ".lua:2: rtcache.bin takes a string, not a number"},
        {"local x = rtcache.map(1)", ".lua:2: rtcache.map takes a table, not a number"},
        {"local x = rtcache.map 'a'", ".lua:2: rtcache.map takes a table, not a string"},
        {"local x = rtcache.map(rtcache.null)",
         ".lua:2: rtcache.map takes a table, not a userdata"},
        {"local x = rtcache.array 'a'", ".lua:2: rtcache.array takes a table, not a string"},
        {"local x = rtcache.json.decode(1)",
         ".lua:2: rtcache.json.decode takes a string, not a number"},
        {"local x = rtcache.json.decode('{')", ".lua:2: rtcache.json.decode: "},
        {"local x = rtcache.json.encode(print)", ".lua:2: rtcache.json.encode: value: a function"},
        {"local x = rtcache.json.encode('\\255')", ".lua:2: rtcache.json.encode: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(b, cases[i].body, ERR_SCRIPT, cases[i].part);
    assert_int_equal(b->main.submitted, 0);
}

static void reaches_other_backends(void **state)
{
    struct bench *b = *state;
    struct ending end;
    int script = bench_script(b, "a.lua",
                              "local other = rtcache.backend 'other'\n"
                              "return { load = function(key, ctx)\n"
                              "  return tostring(other) .. other:value('SELECT 1')\n"
                              "end }");
    bench_begin(b, script, &end);
    assert_int_equal(b->other.submitted, 1);
    fake_answer_int(fake_oldest(&b->other), 5);
    expect_str(&end, "backend other5");
    ending_fini(&end);
}

static void marks_arrays_and_maps(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *body, *bytes;
        size_t size;
    } cases[] = {
        {"return {}", "\x90", 1},
        {"return rtcache.array()", "\x90", 1},
        {"return rtcache.map()", "\x80", 1},
        {"return rtcache.map {}", "\x80", 1},
        {"return rtcache.array(rtcache.map {})", "\x90", 1},
        {"return rtcache.map { 7 }", "\x81\x01\x07", 3},
        {"return rtcache.map { [true] = 1 }", "\x81\xc3\x01", 3},
        {"return setmetatable(rtcache.map {}, nil)", "\x90", 1},
        {"return setmetatable(rtcache.map {}, {})", "\x90", 1},
        {"return rtcache.bin 'text'", "\xc4\x04text", 6},
        {"return rtcache.json.decode '[{}, [], null, 1.0, 9007199254740993]'",
         "\x95\x80\x90\xc0\x01\xcf\x00\x20\x00\x00\x00\x00\x00\x01", 14},
        {"return rtcache.json.encode { 1, rtcache.null, { a = rtcache.map {} } }",
         "\xb1[1,null,{\"a\":{}}]", 18},
        {"return rtcache.json.encode { 1 } .. rtcache.json.encode 'two'", "\xa8[1]\"two\"", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending end;
        bench_eval(b, cases[i].body, &end);
        if (end.outcome != RUN_FOUND)
            fail_msg("%s: %s", cases[i].body, end.err.text);
        if (end.value.size != cases[i].size ||
            memcmp(end.value.data, cases[i].bytes, cases[i].size))
            fail_msg("%s: %zu bytes: %.*s", cases[i].body, end.value.size, (int)end.value.size,
                     end.value.data);
        ending_fini(&end);
    }
    expect_failure(b, "return rtcache.array { x = 1 }", ERR_BAD_VALUE,
                   "value.x: this key does not belong into an array of 1..n");
    expect_failure(b, "return rtcache.map { [{}] = 1 }", ERR_BAD_VALUE, "value[table]: this key");
    expect_failure(b, "return { rtcache.unchanged }", ERR_BAD_VALUE, "value[1]: rtcache.unchanged");
    expect_eval(
        b, "return tostring(getmetatable(rtcache.map {})) .. tostring(getmetatable(rtcache.null))",
        "nilnil");
}

static void tells_the_time(void **state)
{
    struct bench *b = *state;
    expect_eval(b,
                "local now = rtcache.now() return tostring(now > 1.6e9 and now < 1e11 and "
                "math.abs(now - os.time()) < 5)",
                "true");
}

static void writes_to_the_log(void **state)
{
    struct bench *b = *state;
    char path[128], text[4096];
    snprintf(path, sizeof path, "%s/log", b->dir);
    int fd = open(path, O_CREAT | O_RDWR | O_APPEND, 0600);
    assert_true(fd >= 0);
    log_setup(fd, LOG_DEBUG);
    int script = bench_script(b, "say.lua",
                              "rtcache.log('while read')\n"
                              "return { load = function()\n"
                              "  rtcache.log('warn', 'n is %d', 7)\n"
                              "  rtcache.log('100%%')\n"
                              "  rtcache.log('debug')\n"
                              "  print('a', nil, 1)\n"
                              "end }");
    struct ending end;
    bench_run(b, script, &end);
    assert_int_equal(end.outcome, RUN_ABSENT);
    log_setup(2, LOG_INFO);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    close(fd);
    assert_non_null(strstr(text, "info  script.log script=\"say.lua:1\" text=\"while read\""));
    assert_non_null(strstr(text, "warn  script.log script=\"say.lua:3\" text=\"n is 7\""));
    assert_non_null(strstr(text, "info  script.log script=\"say.lua:4\" text=\"100%\""));
    assert_non_null(strstr(text, "info  script.log script=\"say.lua:5\" text=\"debug\""));
    assert_non_null(strstr(text, "script=\"say.lua:6\" text=\"a\\x09nil\\x091\""));
}

/* A runtime of the folder scripts/ of the repository. */
static struct runtime *shipped(struct bench *b)
{
    struct runtime *rt;
    struct err e;
    char folder[512];
    assert_non_null(getcwd(folder, sizeof folder - 16));
    strcat(folder, "/scripts");
    struct backend *backends[] = {&b->main.head};
    struct runtime_options o = {.loop = b->loop,
                                .scripts_dir = folder,
                                .memory_max = 16 << 20,
                                .run_cpu_ms = 1000,
                                .value_max = 1 << 20,
                                .backends = backends,
                                .backend_confs = fake_confs,
                                .backend_count = 1};
    assert_int_equal(runtime_new(&rt, &o, &e), 0);
    return rt;
}

/* Of the pattern that the shipped configuration has. */
static const struct glob_star id_star[] = {{.name = {"id", 2}, .type = GLOB_INT}};

static void runs_the_shipped_examples(void **state)
{
    struct bench *b = *state;
    struct runtime *rt;
    struct ending end = {0};
    struct err e;
    struct run *run;
    int user, product;
    rt = shipped(b);
    assert_int_equal(runtime_add_script(rt, "user.lua", &user, &e), 0);
    assert_int_equal(runtime_add_script(rt, "product.lua", &product, &e), 0);

    struct run_request q = bench_request(b, user, &end);
    q.stars = id_star;
    assert_int_equal(run_start(&run, rt, &q, &e), 0);
    fake_answer(fake_oldest(&b->main),
                slice_of("\x83\xa2id\x2a\xa7team_id\x07\xa7version\x05", 23));
    assert_int_equal(end.outcome, RUN_FOUND);
    assert_int_equal(end.version, 5);
    assert_memory_equal(end.tags.data, "\x91\xa6team:7", 8);
    ending_fini(&end);

    q.script = product;
    static const char row[] =
        "\x86\xa2id\x2a\xa4name\xa3mug\xabprice_cents\xcd\x04\xe2\xa5stock\x00"
        "\xa4tags\x91\xa1x\xa7version\x09";
    assert_int_equal(run_start(&run, rt, &q, &e), 0);
    fake_answer(fake_oldest(&b->main), slice_of(row, sizeof row - 1));
    if (end.outcome != RUN_FOUND)
        fail_msg("%s", end.err.text);
    assert_int_equal(end.ttl_ms, 30000);
    assert_non_null(memmem(end.value.data, end.value.size, "12.50", 5));
    ending_fini(&end);

    q.has_version = true;
    q.version = 9;
    assert_int_equal(run_start(&run, rt, &q, &e), 0);
    fake_answer(fake_oldest(&b->main), slice_of(row, sizeof row - 1));
    assert_int_equal(end.outcome, RUN_UNCHANGED);
    ending_fini(&end);
    runtime_unref(rt);
}

struct answers {
    enum run_outcome outcome;
    unsigned count;
    struct ending of[3];
};

static void take_answers(struct run *r, struct run_result *result, void *arg)
{
    struct answers *a = arg;
    a->outcome = result->outcome;
    a->count = result->many_count;
    for (unsigned i = 0; i < result->many_count && i < 3; i++)
        ending_take(r, &result->many[i], &a->of[i]);
}

static void runs_the_shipped_load_many(void **state)
{
    struct bench *b = *state;
    struct runtime *rt = shipped(b);
    struct answers a = {.outcome = RUN_FAILED};
    struct err e;
    struct run *run;
    static const struct slice captures[] = {{"42", 2}, {"43", 2}, {"9", 1}};
    struct run_key keys[] = {
        {.key = slice_str("user:42"), .captures = &captures[0], .capture_count = 1},
        {.key = slice_str("user:43"), .captures = &captures[1], .capture_count = 1},
        {.key = slice_str("user:9"), .captures = &captures[2], .capture_count = 1},
    };
    struct run_request q = {.what = RUN_LOAD_MANY,
                            .keys = keys,
                            .key_count = 3,
                            .stars = id_star,
                            .pattern = "user:{id:int}",
                            .attempt = 1,
                            .deadline_ms = clock_ms() + 60000,
                            .done = take_answers,
                            .arg = &a};
    assert_int_equal(runtime_add_script(rt, "user.lua", &q.script, &e), 0);
    assert_int_equal(run_start(&run, rt, &q, &e), 0);
    struct call *query = fake_oldest(&b->main);
    assert_int_equal(query->params.size, 5);
    assert_memory_equal(query->params.data, "\x91\x93\x2a\x2b\x09", 5);
    fake_answer(query, slice_of("\x91\x83\xa2id\x2a\xa7team_id\x07\xa7version\x05", 24));
    assert_int_equal(a.outcome, RUN_DONE);
    assert_int_equal(a.of[0].outcome, RUN_FOUND);
    assert_int_equal(a.of[0].version, 5);
    assert_int_equal(a.of[0].value.size, 23);
    assert_memory_equal(a.of[0].tags.data, "\x91\xa6team:7", 8);
    assert_int_equal(a.of[1].outcome, RUN_ABSENT);
    assert_int_equal(a.of[2].outcome, RUN_ABSENT);
    for (int i = 0; i < 3; i++)
        ending_fini(&a.of[i]);
    runtime_unref(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(hands_parameters_over_exactly),
        CASE(has_a_method_for_each_shape),
        CASE(a_row_is_a_map_already),
        CASE(answers_rows_and_keeps_their_kind),
        CASE(answers_packed_rows_as_they_came),
        CASE(explains_what_is_called_wrongly),
        CASE(reaches_other_backends),
        CASE(marks_arrays_and_maps),
        CASE(tells_the_time),
        CASE(writes_to_the_log),
        CASE(runs_the_shipped_examples),
        CASE(runs_the_shipped_load_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
