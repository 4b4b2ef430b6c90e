/* Every option: the kinds of value that it takes and refuses, its bounds, and that a value goes to
 * it and to no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite.h"
#include "conf/conf_units.h"
#include "conf/options.h"
#include "conf/folder.h"
#include "conf/setting.h"

#define TEXT_MAX 4096

/* What a value may be, as libconfig tells them apart. */
enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_FLOAT,
    KIND_STRING,
    KIND_GROUP,
    KIND_ARRAY,
    KIND_LIST,
    KINDS
};

static const struct {
    const char *written, *called;
} kinds[KINDS] = {
    {"true", "true"},   {"7", "the integer 7"}, {"1.5", "the number 1.5"}, {"\"x\"", "a string"},
    {"{ }", "a group"}, {"[ 7 ]", "an array"},  {"( 7 )", "a list"},
};

#define TAKES(kind) (1u << KIND_##kind)

/* By the type: what docs/configuration.md says that is to be written. */
static const struct {
    const char *wants;
    unsigned takes;
} types[] = {
    [OPT_BOOL] = {"true or false", TAKES(BOOL)},
    [OPT_INT] = {"an integer", TAKES(INT)},
    [OPT_SIZE] = {"a size such as \"256mb\"", TAKES(INT) | TAKES(STRING)},
    [OPT_DURATION] = {"a duration such as \"60s\"", TAKES(INT) | TAKES(STRING)},
    [OPT_MICROS] = {"a short duration such as \"500us\"", TAKES(INT) | TAKES(STRING)},
    [OPT_RATIO] = {"a number", TAKES(INT) | TAKES(FLOAT)},
    [OPT_STRING] = {"a string", TAKES(STRING)},
    [OPT_PATH] = {"a string", TAKES(STRING)},
    [OPT_CHOICE] = {"a string", TAKES(STRING)},
    [OPT_DRIVER] = {"a string", TAKES(STRING)},
    [OPT_LISTEN] = {"a string or a list of strings", TAKES(STRING) | TAKES(ARRAY) | TAKES(LIST)},
    [OPT_WORDS] = {"a list of strings", TAKES(ARRAY) | TAKES(LIST)},
};

static bool is_read_by_hand(const struct option *o)
{
    return o->type == OPT_GROUP || o->type == OPT_GROUPS;
}

/* Whose option is looked at; NULL: it is one of the table's. */
static const struct conf_driver *driver;

/* Calls visit for each option that there is: the table's, then those of each driver. */
static void each_option(void (*visit)(const struct option *o))
{
    driver = NULL;
    for (size_t i = 0; i < options_count; i++)
        visit(&options_table[i]);
    for (size_t d = 0; backend_drivers[d]; d++) {
        driver = backend_drivers[d];
        for (const struct option *o = driver->options; o && o->name; o++)
            visit(o);
    }
}

/* What stands beside an option where it is written, but for the option itself. */
static void add_beside(char *text, const struct option *o, const char *const (*beside)[2])
{
    for (; (*beside)[0]; beside++)
        if (strcmp((*beside)[0], o->name) != 0)
            sprintf(text + strlen(text), "%s = %s; ", (*beside)[0], (*beside)[1]);
}

/* A configuration in which the option has this value. */
static void write_option(const struct option *o, const char *value)
{
    static const char *const postgres[][2] = {
        {"driver", "\"postgres\""}, {"url", "\"postgresql:///x\""}, {NULL, NULL}};
    static const char *const sqlite[][2] = {
        {"driver", "\"sqlite\""}, {"path", "\"x\""}, {NULL, NULL}};
    static const char *const loader[][2] = {
        {"pattern", "\"x:*\""}, {"script", "\"x.lua\""}, {NULL, NULL}};
    static const char *const user[][2] = {
        {"name", "\"u\""}, {"unix_user", "\"root\""}, {"rights", "[ \"read\" ]"}, {NULL, NULL}};
    char text[TEXT_MAX] = "";
    switch (o->group) {
    case GROUP_BACKEND:
    case GROUP_DRIVER:
        strcpy(text, "backends = { b = { ");
        add_beside(text, o, driver == &sqlite_driver.conf ? sqlite : postgres);
        break;
    case GROUP_LOADER:
        strcpy(text, "loaders = ( { ");
        add_beside(text, o, loader);
        break;
    case GROUP_USER:
        strcpy(text, "users = ( { ");
        add_beside(text, o, user);
        break;
    case GROUP_POLICY: strcpy(text, "defaults = { "); break;
    case GROUP_TLS: strcpy(text, "tls = { "); break;
    case GROUP_TIER: strcpy(text, "tier = { "); break;
    case GROUP_TOP:
    case GROUP_COUNT: break;
    }
    static const char *const ends[GROUP_COUNT] = {
        [GROUP_TOP] = "",        [GROUP_BACKEND] = " } }", [GROUP_LOADER] = " } )",
        [GROUP_POLICY] = " }",   [GROUP_TLS] = " }",       [GROUP_USER] = " } )",
        [GROUP_DRIVER] = " } }", [GROUP_TIER] = " }",
    };
    assert_true(strlen(text) + strlen(value) + 128 < sizeof text);
    sprintf(text + strlen(text), "%s = %s;%s\n", o->name, value, ends[o->group]);
    write_file("rtcache.conf", text);
}

/* All that is said of a configuration in which the option has this value; "" where it is right. */
static const char *said_of(const struct option *o, const char *value)
{
    static char said[16384];
    struct conf *c = NULL;
    struct buf report;
    struct err e;
    write_option(o, value);
    buf_init(&report, 0);
    err_clear(&e);
    if (conf_load(in_folder("rtcache.conf"), backend_drivers, &c, &report, &e) == 0)
        conf_unref(c);
    assert_true(report.size < sizeof said);
    snprintf(said, sizeof said, "%.*s", (int)report.size, report.data ? report.data : "");
    buf_fini(&report);
    return said;
}

static void refuse_kinds(const struct option *o)
{
    for (enum kind k = 0; k < KINDS && !is_read_by_hand(o); k++) {
        bool good = types[o->type].takes & 1u << k;
        bool in_it = good && (k == KIND_ARRAY || k == KIND_LIST); /* its element is none */
        char want[256];
        snprintf(want, sizeof want, "\"%s\" takes %s, found %s\n", o->name, types[o->type].wants,
                 kinds[in_it ? KIND_INT : k].called);
        const char *said = said_of(o, kinds[k].written);
        if (!strstr(said, want) != (good && !in_it))
            fail_msg("%s = %s: \"%s\"", o->name, kinds[k].written, said);
    }
}

static void every_option_refuses_the_kinds_that_it_does_not_take(void **state)
{
    (void)state;
    each_option(refuse_kinds);
}

static bool is_number(const struct option *o)
{
    return o->type == OPT_INT || o->type == OPT_SIZE || o->type == OPT_DURATION ||
           o->type == OPT_MICROS || o->type == OPT_RATIO;
}

/* A number as it is written for the option. */
static const char *written(const struct option *o, double n, char *room)
{
    const char *unit = o->type == OPT_DURATION ? "ms" : o->type == OPT_MICROS ? "us" : "";
    snprintf(room, 64, *unit ? "\"%.0f%s\"" : o->type == OPT_RATIO ? "%.3f" : "%.0fL", n, unit);
    return room;
}

static void hold_to_bounds(const struct option *o)
{
    if (!is_number(o))
        return;
    double step = o->type == OPT_RATIO ? .001 : 1, least = (double)o->least, most = (double)o->most;
    const double tried[] = {least - step, least, most, most + step};
    for (size_t k = 0; k < 4; k++) {
        char room[64], want[128];
        snprintf(want, sizeof want, "\"%s\" is ", o->name);
        bool negative_unit = tried[k] < 0 && (o->type == OPT_DURATION || o->type == OPT_MICROS);
        const char *said = said_of(o, written(o, tried[k], room));
        bool refused = strstr(said, want) && strstr(said, "it must be at least ");
        if (refused != (k == 0 || k == 3) && !negative_unit)
            fail_msg("%s = %s: \"%s\"", o->name, room, said);
    }
}

static void every_number_is_held_to_its_bounds(void **state)
{
    (void)state;
    each_option(hold_to_bounds);
}

/* Two values of the option that may stand in its struct; the second NULL: there is but one. */
static void values_of(const struct option *o, const char *texts, int which, void *at)
{
    static const char *const words[] = {"one", "two"};
    const struct conf_words list = {.list = words, .count = which == 0 ? 1 : 2};
    switch (o->type) {
    case OPT_BOOL: *(bool *)at = which; break;
    case OPT_RATIO: *(double *)at = which; break;
    case OPT_DRIVER: *(const struct conf_driver **)at = backend_drivers[which]; break;
    case OPT_WORDS: *(struct conf_words *)at = list; break;
    case OPT_STRING:
    case OPT_PATH:
    case OPT_CHOICE: *(const char **)at = which ? texts : NULL; break;
    default: *(int64_t *)at = 1000 + which;
    }
}

static bool is_tellable(const struct option *o)
{
    return !is_read_by_hand(o) && o->type != OPT_LISTEN;
}

/* Room for the struct of any group. */
union any {
    struct conf conf;
    struct conf_backend backend;
    struct conf_loader loader;
    struct policy policy;
    struct conf_tls tls;
    struct conf_user user;
    char own[1024]; /* of a driver */
};

static void tell_apart(const struct option *o)
{
    char text[] = "text", same_text[] = "text", other[] = "other";
    if (!is_tellable(o))
        return;
    assert_true(!driver || driver->own_size <= sizeof(union any));
    union any *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    assert_true(a && b);
    values_of(o, text, 1, (char *)a + o->offset);
    values_of(o, same_text, 1, (char *)b + o->offset);
    if (!options_equal(o, a, b))
        fail_msg("%s: equal values are different", o->name);
    values_of(o, other, 0, (char *)b + o->offset);
    if (options_equal(o, a, b) || options_equal(o, b, a))
        fail_msg("%s: different values are equal", o->name);
    const struct option *p;
    for (size_t k = 0; (p = options_row(driver, k)) != NULL; k++)
        if (p->offset != o->offset && p->group == o->group && is_tellable(p) &&
            !options_equal(p, a, b))
            fail_msg("%s changes %s", o->name, p->name);
    free(a);
    free(b);
}

static void values_of_each_option_are_told_apart_and_no_other_is_touched(void **state)
{
    (void)state;
    each_option(tell_apart);
}

/* Reads one value, as it is written, into a target of zeros. */
static void read_alone(const struct option *o, const char *value)
{
    static const union any nothing;
    union any *target = calloc(1, sizeof *target);
    struct arena arena = {NULL};
    struct problems problems;
    struct source source;
    char text[TEXT_MAX];
    config_t tree;
    assert_non_null(target);
    problems_init(&problems);
    source_init(&source, &arena, &problems);
    struct reading r = {.conf = &target->conf,
                        .arena = &arena,
                        .source = &source,
                        .problems = &problems,
                        .dir = "/"};
    snprintf(text, sizeof text, "v = %s;", value);
    config_init(&tree);
    assert_true(config_read_string(&tree, text));
    bool right = setting_read(&r, o, config_lookup(&tree, "v"), target);
    if (problems.count != (right ? 0 : 1))
        fail_msg("%s = %s: %s, but %zu problems", o->name, value, right ? "right" : "wrong",
                 problems.count);
    if (!right && memcmp(target, &nothing, sizeof nothing) != 0)
        fail_msg("%s = %s is wrong, but it was taken", o->name, value);
    config_destroy(&tree);
    source_fini(&source);
    problems_fini(&problems);
    arena_fini(&arena);
    free(target);
}

static void a_value_is_right_or_is_told_and_not_taken(void **state)
{
    (void)state;
    static const char *const written_as[] = {
        "\"\"",
        "\"${RTCACHE_TEST_NONE}\"",
        "\"5 parsecs\"",
        "( )",
        "( \"x\", 7 )",
        "0",
        "1",
        "\"1\"",
        "( \"\" )",
        "( \"x\" )",
    };
    for (size_t i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        char room[64];
        if (is_read_by_hand(o) || o->type == OPT_DRIVER)
            continue;
        for (enum kind k = 0; k < KINDS; k++)
            read_alone(o, kinds[k].written);
        for (size_t k = 0; k < sizeof written_as / sizeof *written_as; k++)
            read_alone(o, written_as[k]);
        read_alone(o, written(o, (double)o->least - 1, room));
        read_alone(o, written(o, (double)o->most + 1, room));
    }
}

static void words_are_the_same_one_by_one(void **state)
{
    (void)state;
    const struct option *o = options_find(GROUP_USER, "keys");
    assert_non_null(o);
    char a_text[] = "a";
    const char *const ab[] = {"a", "b"}, *const ac[] = {"a", "c"}, *const again[] = {a_text, "b"};
    struct conf_user one = {.keys = {ab, 2}}, other = {.keys = {ac, 2}},
                     same = {.keys = {again, 2}};
    assert_true(options_equal(o, &one, &same));
    assert_false(options_equal(o, &one, &other));
    same.keys.count = 1;
    assert_false(options_equal(o, &one, &same));
}

static void lists_hold_one_word_at_least_and_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    char many[TEXT_MAX / 2], want[128];
    const struct option *o = options_find(GROUP_USER, "keys");
    const int counts[] = {0, 1, 2, CONF_WORDS_MAX, CONF_WORDS_MAX + 1};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int count = counts[k];
        strcpy(many, "[ ");
        for (int i = 0; i < count; i++)
            sprintf(many + strlen(many), "%s\"x\"", i > 0 ? ", " : "");
        strcat(many, " ]");
        bool good = count > 0 && count <= CONF_WORDS_MAX;
        snprintf(want, sizeof want,
                 "\"keys\" has %d strings; it must have at least 1 and at most %d", count,
                 CONF_WORDS_MAX);
        const char *said = said_of(o, many);
        if (!strstr(said, want) != good)
            fail_msg("%d words: \"%s\"", count, said);
    }
}

/* Whether that is said of the option user with this text. */
static bool says_of_user(const char *text, const char *what)
{
    static char line[2 * SETTING_TEXT_MAX];
    struct conf *c = NULL;
    struct buf report;
    struct err e;
    snprintf(line, sizeof line, "user = \"%s\"\n", text);
    write_file("rtcache.conf", line);
    buf_init(&report, 0);
    if (conf_load(in_folder("rtcache.conf"), backend_drivers, &c, &report, &e) == 0)
        conf_unref(c);
    bool says = report.size > 0 && memmem(report.data, report.size, what, strlen(what));
    buf_fini(&report);
    return says;
}

static void a_variable_has_the_name_of_one(void **state)
{
    (void)state;
    for (int c = ' '; c < 0x7f; c++) {
        char text[16], none[48];
        bool digit = c >= '0' && c <= '9';
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c == '"' || c == '\\' || c == '}')
            continue;
        snprintf(text, sizeof text, "${%cQ}", c);
        snprintf(none, sizeof none, "the environment has no %cQ\n", c);
        if (says_of_user(text, none) != letter ||
            says_of_user(text, "expected ${NAME}, found") == letter)
            fail_msg("\"%c\" as its first", c);
        snprintf(text, sizeof text, "${Q%c}", c);
        snprintf(none, sizeof none, "the environment has no Q%c\n", c);
        if (says_of_user(text, none) != (letter || digit))
            fail_msg("\"%c\" in it", c);
    }
    for (int size = 126; size < 130; size++) { /* 127 bytes at most */
        char text[160];
        snprintf(text, sizeof text, "${Q%0*d}", size - 1, 7);
        assert_int_equal(says_of_user(text, "the environment has no Q0"), size <= 127);
        assert_int_equal(says_of_user(text, "expected ${NAME}, found"), size > 127);
    }
    assert_true(says_of_user("${}", "expected ${NAME}, found \"${}\""));
}

/* The length that counts is that after the variables have been put in, wherever the text becomes
 * too long. */
static void a_text_has_as_many_bytes_as_may_be(void **state)
{
    (void)state;
    static char text[SETTING_TEXT_MAX + 16], value[SETTING_TEXT_MAX + 2];
    static const char *const forms[] = {"%s",
                                        "${RTCACHE_TEST_TEXT}",
                                        "$%s",
                                        "%s$",
                                        "x${RTCACHE_TEST_TEXT}",
                                        "${RTCACHE_TEST_TEXT}x",
                                        "$${%s",
                                        "%s$${"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        int beside = i < 2 ? 0 : i < 6 ? 1 : 2;
        for (int over = 0; over < 2; over++) {
            memset(value, 'a', sizeof value);
            value[SETTING_TEXT_MAX - beside + over] = '\0';
            setenv("RTCACHE_TEST_TEXT", value, 1);
            snprintf(text, sizeof text, forms[i], value);
            if (says_of_user(text, "\"user\" is longer than 4096 bytes\n") != over)
                fail_msg("%s, %s", forms[i], over ? "one byte too many" : "as many as may be");
        }
    }
    unsetenv("RTCACHE_TEST_TEXT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_refuses_the_kinds_that_it_does_not_take),
        cmocka_unit_test(every_number_is_held_to_its_bounds),
        cmocka_unit_test(values_of_each_option_are_told_apart_and_no_other_is_touched),
        cmocka_unit_test(a_value_is_right_or_is_told_and_not_taken),
        cmocka_unit_test(words_are_the_same_one_by_one),
        cmocka_unit_test(a_variable_has_the_name_of_one),
        cmocka_unit_test(a_text_has_as_many_bytes_as_may_be),
        cmocka_unit_test(lists_hold_one_word_at_least_and_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
