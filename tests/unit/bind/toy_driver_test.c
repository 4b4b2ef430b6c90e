/*
 * A driver that speaks no SQL, in this file alone: it answers from a table. The test has a table of
 * drivers with it, and goes all the way: its options in a configuration, its verbs as methods in a
 * script, its answer as the value of a load.
 */
#include "bind/fake.h"

#include "backend/sqlite/sqlite.h"
#include "conf/conf_check.h"
#include "conf/option_rows.h"
#include "conf/refused.h"

/* ---- the driver ---- */

#define GREETING_MAX 16

enum { TOY_GET, TOY_JOIN, TOY_COUNT };

static const struct verb toy_verbs[] = {
    [TOY_GET] =
        {.name = "get", .takes = "key", .text = "the key", .shape = CALL_VALUE, .bytes = true},
    [TOY_JOIN] = {.name = "join",
                  .takes = "key, text",
                  .text = "the key",
                  .least = 1,
                  .most = 1,
                  .shape = CALL_VALUE},
    [TOY_COUNT] = {.name = "count",
                   .takes = "letter",
                   .text = "the letter",
                   .shape = CALL_COUNT,
                   .at_once = true},
    {.name = NULL},
};

struct toy_conf {
    const char *greeting;
    int64_t times;
};

#define OPTION_OWN struct toy_conf

static const struct option toy_options[] = {
    {OWN(OPT_STRING, greeting, "greeting", "hello "), .text = "What each answer begins with."},
    {OWN(OPT_INT, times, "times", "1"), .least = 1, .most = 3, .text = "How often it does."},
    {.name = NULL},
};

static void toy_check(const struct conf_check *c, const struct conf_backend *b)
{
    const struct toy_conf *own = b->own;
    if (strlen(own->greeting) > GREETING_MAX)
        conf_check_wrong(c, "greeting", "\"greeting\" has more than %d bytes", GREETING_MAX);
}

struct toy {
    struct backend head;
    struct ev_loop *loop;
    struct ev_timer answer; /* in the loop's next turn */
    struct list calls;
    int64_t times;
    char name[32], greeting[GREETING_MAX + 1];
};

static const struct {
    const char *key, *value;
    size_t size;
} toy_table[] = {{"ada", "Ada", 3}, {"nul\0", "Null", 4}};

/* NULL: there is none. */
static const char *toy_find(struct slice key)
{
    for (size_t i = 0; i < sizeof toy_table / sizeof *toy_table; i++)
        if (slice_eq(key, slice_of(toy_table[i].key, toy_table[i].size)))
            return toy_table[i].value;
    return NULL;
}

static struct slice toy_parameter(const struct call *q)
{
    struct mp_reader r = mp_reader_of(q->params);
    struct mp_token t;
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.type, MP_ARRAY);
    assert_int_equal(mp_next(&r, &t), MP_OK);
    assert_int_equal(t.type, MP_STR);
    return t.bytes;
}

static void toy_run(struct toy *b, struct call *q)
{
    char text[128] = "";
    const char *value = toy_find(q->text);
    if (q->text.size >= 4 && memcmp(q->text.data, "CALL", 4) == 0) {
        q->fate = CALL_UNDONE;
        q->code = err_set(&q->err, ERR_BACKEND, "the table has nobody to call");
        return;
    }
    q->found = value != NULL;
    if (!value)
        return;
    for (int64_t i = 0; i < b->times; i++)
        strcat(text, b->greeting);
    struct slice more = q->verb == TOY_JOIN ? toy_parameter(q) : slice_of("", 0);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", value, SLICE_ARG(more));
    q->code = mpw_str(&q->result, slice_str(text));
}

static void toy_on_answer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct toy *b = timer->data;
    struct list *link;
    (void)loop, (void)events;
    while ((link = list_pop_front(&b->calls)) != NULL) {
        struct call *q = container_of(link, struct call, link);
        toy_run(b, q);
        q->done(q);
    }
}

static void toy_submit(struct backend *head, struct call *q)
{
    struct toy *b = container_of(head, struct toy, head);
    call_reset(q, 0);
    list_push_back(&b->calls, &q->link);
    ev_timer_set(&b->answer, 0., 0.);
    ev_timer_start(b->loop, &b->answer);
}

static bool toy_answer(struct backend *head, struct call *q)
{
    (void)head;
    if (q->verb != TOY_COUNT)
        return false;
    call_reset(q, 0);
    q->code = mpw_int(&q->result, (int64_t)(sizeof toy_table / sizeof *toy_table));
    return true;
}

static void toy_cancel(struct backend *head, struct call *q)
{
    (void)head;
    list_remove(&q->link);
}

static void toy_free(struct backend *head)
{
    struct toy *b = container_of(head, struct toy, head);
    ev_timer_stop(b->loop, &b->answer);
    free(b);
}

static void toy_read_stats(const struct backend *head, struct backend_stats *out)
{
    (void)head;
    *out = (struct backend_stats){0};
}

static int toy_open(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                    unsigned share, struct err *e)
{
    static const struct backend_ops ops = {.submit = toy_submit,
                                           .cancel = toy_cancel,
                                           .answer = toy_answer,
                                           .free = toy_free,
                                           .read_stats = toy_read_stats};
    const struct toy_conf *own = conf->own;
    struct toy *b = calloc(1, sizeof *b);
    (void)share;
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for the backend '%s'", conf->name);
    b->head = (struct backend){.ops = &ops, .name = b->name, .refs = 1};
    b->loop = loop;
    b->times = own->times;
    snprintf(b->name, sizeof b->name, "%s", conf->name);
    snprintf(b->greeting, sizeof b->greeting, "%s", own->greeting);
    list_init(&b->calls);
    ev_timer_init(&b->answer, toy_on_answer, 0., 0.);
    b->answer.data = b;
    *out = &b->head;
    return 0;
}

static const struct backend_driver toy_driver = {
    .conf = {.name = "toy",
             .options = toy_options,
             .own_size = sizeof(struct toy_conf),
             .check = toy_check},
    .verbs = toy_verbs,
    .open = toy_open,
};

/* The table of drivers that the test has, as core/backend/backend.c has one. */
static const struct conf_driver *const drivers[] = {
    &toy_driver.conf,
    &sqlite_driver.conf,
    NULL,
};

/* ---- what it takes to ask it ---- */

#define BACKENDS                                                                                   \
    "backends = {\n"                                                                               \
    "  words = { driver = \"toy\", times = 2 }\n"                                                  \
    "  lite = { driver = \"sqlite\", path = \"x.db\" }\n"                                          \
    "}\n"

struct toys {
    struct conf *conf;
    struct ev_loop *loop;
    struct backend *backends[2];
    struct runtime *rt;
};

/* A server's part in it: a configuration, its backends, the loader's script. */
static void toys_open(struct toys *t, const char *body)
{
    char text[1024];
    struct err e;
    int script;
    snprintf(text, sizeof text, "return { load = function(key, ctx)\n%s\nend }", body);
    mkdir(in_folder("scripts"), 0700);
    write_file("scripts/toy.lua", text);
    write_file("rtcache.conf", BACKENDS
               "loaders = ( { pattern = \"w:*\", script = \"toy.lua\", backend = \"words\" } )\n");
    if (conf_load(in_folder("rtcache.conf"), drivers, &t->conf, NULL, &e) != 0)
        fail_msg("%s", e.text);
    t->loop = ev_loop_new(EVFLAG_AUTO);
    for (size_t i = 0; i < t->conf->backend_count; i++)
        assert_int_equal(backend_new(&t->backends[i], t->loop, &t->conf->backends[i], 1, &e), 0);
    struct runtime_options o = {
        .loop = t->loop,
        .scripts_dir = t->conf->scripts_dir,
        .lua_dir = t->conf->lua_dir,
        .memory_max = 64 << 20,
        .run_cpu_ms = 2000,
        .value_max = 1 << 20,
        .backends = t->backends,
        .backend_confs = t->conf->backends,
        .backend_count = t->conf->backend_count,
    };
    assert_int_equal(runtime_new(&t->rt, &o, &e), 0);
    if (runtime_add_loader(t->rt, &t->conf->loaders[0], &script, &e) != 0)
        fail_msg("%s", e.text);
}

static void toys_close(struct toys *t)
{
    runtime_unref(t->rt);
    for (size_t i = 0; i < t->conf->backend_count; i++)
        backend_unref(t->backends[i]);
    ev_loop_destroy(t->loop);
    conf_unref(t->conf);
}

/* Loads w:KEY with a script of that body, to its end. */
static void load(const char *key, const char *body, struct ending *end)
{
    struct toys t;
    struct err e;
    struct run *run;
    const struct slice captures[] = {slice_str(key)};
    *end = (struct ending){0};
    toys_open(&t, body);
    struct run_request q = {.what = RUN_LOAD,
                            .key = slice_str("w:"),
                            .captures = captures,
                            .capture_count = 1,
                            .backend = conf_backend_index(t.conf, "words"),
                            .pattern = "w:*",
                            .attempt = 1,
                            .deadline_ms = clock_ms() + 1000,
                            .done = ending_take,
                            .arg = end};
    assert_int_equal(run_start(&run, t.rt, &q, &e), 0);
    while (end->calls == 0)
        ev_run(t.loop, EVRUN_ONCE);
    toys_close(&t);
}

static void expect_load(const char *key, const char *body, const char *text)
{
    struct ending end;
    load(key, body, &end);
    expect_str(&end, text);
    ending_fini(&end);
}

static void expect_no_load(const char *body, const char *part)
{
    struct ending end;
    load("ada", body, &end);
    assert_int_equal(end.outcome, RUN_FAILED);
    expect_text(&end.err, part);
    ending_fini(&end);
}

/* ---- the tests ---- */

static void a_script_asks_by_the_verbs_of_the_driver(void **state)
{
    (void)state;
    struct ending end;
    expect_load("ada", "return ctx.db:get(ctx.match[1])", "hello hello Ada");
    expect_load("ada", "return ctx.db:join(ctx.match[1], '!')", "hello hello Ada!");
    expect_load("ada", "return ctx.db:get 'nul\\0'", "hello hello Null");
    expect_load("ada", "return rtcache.backend('words'):get 'ada'", "hello hello Ada");
    expect_load("ada",
                "local a = rtcache.all { function() return ctx.db:get 'ada' end,"
                " function() return ctx.db:get 'nobody' end }\nreturn a[1] .. tostring(a[2])",
                "hello hello Adanil");
    load("nobody", "return ctx.db:get(ctx.match[1])", &end);
    assert_int_equal(end.outcome, RUN_ABSENT);
    ending_fini(&end);
    load("ada", "return ctx.db:count 'a'", &end);
    expect_int(&end, 2);
    ending_fini(&end);
}

static void what_its_driver_has_not_is_refused_by_name(void **state)
{
    (void)state;
    expect_no_load("return ctx.db:row('SELECT 1')",
                   "toy.lua:2: the backend \"words\" has no method \"row\"; its driver, toy, has "
                   "get, join, count");
    expect_no_load("return ctx.db:gett('ada')", "did you mean \"get\"?");
    expect_no_load("return rtcache.backend('lite'):get('ada')",
                   "toy.lua:2: the backend \"lite\" has no method \"get\"; its driver, sqlite, has "
                   "row, rows, value, exec, packed_row, packed_rows");
    expect_no_load("return rtcache.backend('lite').row(ctx.db, 'SELECT 1')",
                   "toy.lua:2: row is a method of a backend: call it with a colon, as "
                   "db:row(sql, ...), on one whose driver is sqlite");
    expect_no_load("return ctx.db.get('ada')", "as db:get(key), on one whose driver is toy");
}

static void a_verb_takes_the_arguments_that_it_says(void **state)
{
    (void)state;
    expect_no_load("return ctx.db:get()", "toy.lua:2: db:get: the key is a nil, not a string");
    expect_no_load("return ctx.db:get('ada', 1)",
                   "toy.lua:2: db:get: 2 arguments: it is called as db:get(key)");
    expect_no_load("return ctx.db:join('ada')",
                   "db:join: 1 argument: it is called as db:join(key, text)");
    expect_no_load("return ctx.db:join('ada\\0', 'x')", "db:join: the key has a NUL byte");
}

/* A key is no SQL, whatever it begins with. */
static void an_error_says_what_it_left_behind(void **state)
{
    (void)state;
    struct ending end;
    load("ada", "return ctx.db:get 'CALL'", &end);
    assert_int_equal(end.outcome, RUN_FAILED);
    assert_int_equal(end.err.code, ERR_BACKEND);
    expect_text(&end.err, "the table has nobody to call");
    assert_int_equal(end.effect, EFFECT_NONE);
    ending_fini(&end);
}

/* The one problem of that configuration. */
static void expect_refused(const char *text, int line, const char *says)
{
    struct conf *c;
    struct buf report;
    struct err e;
    write_file("rtcache.conf", text);
    buf_init(&report, 0);
    assert_int_equal(conf_load(in_folder("rtcache.conf"), drivers, &c, &report, &e), ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    assert_has(report.data, "rtcache.conf", line, says);
    assert_string_equal(strchr(report.data, '\n'), "\n");
    buf_fini(&report);
}

static void its_options_are_its_own(void **state)
{
    (void)state;
    expect_refused("backends = { words = { driver = \"toy\",\n path = \"x\" } }", 2,
                   "\"path\" belongs to sqlite; this backend's driver is toy");
    expect_refused("backends = { lite = { driver = \"sqlite\", path = \"x\",\n times = 2 } }", 2,
                   "\"times\" belongs to toy; this backend's driver is sqlite");
    expect_refused("backends = { words = { driver = \"toy\",\n times = 4 } }", 2,
                   "\"times\" is 4; it must be at least 1 and at most 3");
    expect_refused(
        "backends = { words = { driver = \"toy\",\n greeting = \"12345678901234567\" } }", 2,
        "\"greeting\" has more than 16 bytes");
    expect_refused("backends = { words = { driver = \"toyy\" } }", 1,
                   "\"driver\" is \"toyy\"; it must be one of \"toy\", \"sqlite\"; did you mean "
                   "\"toy\"?");
}

static void a_loader_that_is_sql_asks_a_source_that_speaks_it(void **state)
{
    (void)state;
    expect_refused(BACKENDS "loaders = ( { pattern = \"w:*\", backend = \"words\",\n"
                            "  sql = \"SELECT $1\" } )\n",
                   6,
                   "\"sql\": the backend \"words\" does not speak SQL, its driver is toy; these "
                   "do: sqlite");
}

static void a_change_of_its_options_is_another_backend(void **state)
{
    (void)state;
    struct conf *c;
    struct err e;
    write_file("rtcache.conf", "backends = { a = { driver = \"toy\" }\n"
                               "  b = { driver = \"toy\", greeting = \"hello \" }\n"
                               "  c = { driver = \"toy\", greeting = \"good day \" } }\n");
    assert_int_equal(conf_load(in_folder("rtcache.conf"), drivers, &c, NULL, &e), 0);
    for (size_t i = 0; i < 3; i++)
        c->backends[i].name = "same";
    assert_true(conf_backend_same(&c->backends[0], &c->backends[1]));
    assert_false(conf_backend_same(&c->backends[0], &c->backends[2]));
    conf_unref(c);
}

static void its_options_are_documented(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 0);
    assert_int_equal(conf_write_docs(&page, drivers), 0);
    assert_int_equal(buf_append(&page, "", 1), 0);
    assert_non_null(
        strstr(page.data, "| `times` | integer | `1` | 1 to 3 | toy | How often it does. |\n"));
    assert_non_null(strstr(page.data, "| `driver` | one of | **required** | toy, sqlite | all |"));
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_asks_by_the_verbs_of_the_driver),
        cmocka_unit_test(what_its_driver_has_not_is_refused_by_name),
        cmocka_unit_test(a_verb_takes_the_arguments_that_it_says),
        cmocka_unit_test(an_error_says_what_it_left_behind),
        cmocka_unit_test(its_options_are_its_own),
        cmocka_unit_test(a_loader_that_is_sql_asks_a_source_that_speaks_it),
        cmocka_unit_test(a_change_of_its_options_is_another_backend),
        cmocka_unit_test(its_options_are_documented),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
