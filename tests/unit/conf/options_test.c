#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/postgres.h"
#include "backend/sqlite/sqlite.h"
#include "conf/options.h"

#include <stdlib.h>

/* Calls visit for each option that there is: the table's, then those of each driver. */
static void each_option(void (*visit)(const struct option *o))
{
    for (size_t i = 0; i < options_count; i++)
        visit(&options_table[i]);
    for (size_t d = 0; backend_drivers[d]; d++)
        for (const struct option *o = backend_drivers[d]->options; o && o->name; o++)
            visit(o);
}

/* A backend takes the groups of a backend and of its driver. */
static bool overlap(const struct option *a, const struct option *b)
{
    bool same = a->group == b->group || b->group == GROUP_DRIVER;
    return same && strcmp(a->name, b->name) == 0;
}

static void a_name_means_one_option(void **state)
{
    (void)state;
    for (size_t d = 0; backend_drivers[d]; d++) {
        const struct option *o, *other;
        for (size_t i = 0; (o = options_row(backend_drivers[d], i)) != NULL; i++)
            for (size_t k = 0; k < i; k++) {
                other = options_row(backend_drivers[d], k);
                if (other->group == GROUP_DRIVER ? overlap(o, other) : overlap(other, o))
                    fail_msg("%s is there twice", o->name);
            }
    }
}

static void a_driver_s_rows_follow_those_of_the_table(void **state)
{
    (void)state;
    static const struct option rows[] = {{.group = GROUP_DRIVER, .name = "one"},
                                         {.group = GROUP_DRIVER, .name = "two"},
                                         {.name = NULL}};
    const struct conf_driver some = {.name = "some", .options = rows}, none = {.name = "none"};
    assert_ptr_equal(options_row(&some, 0), &options_table[0]);
    assert_ptr_equal(options_row(&some, options_count - 1), &options_table[options_count - 1]);
    assert_ptr_equal(options_row(&some, options_count), &rows[0]);
    assert_ptr_equal(options_row(&some, options_count + 1), &rows[1]);
    assert_null(options_row(&some, options_count + 2));
    assert_null(options_row(&some, options_count + 3));
    assert_null(options_row(&none, options_count));
    assert_null(options_row(NULL, options_count));
}

/* A loader takes both groups. */
static void loader_and_policy_share_no_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].group == GROUP_LOADER)
            assert_null(options_find(GROUP_POLICY, options_table[i].name));
}

static int64_t parsed_default(const struct option *o)
{
    int64_t value = INT64_MIN;
    int rc = 0;
    if (o->type == OPT_DURATION)
        rc = conf_parse_duration(o->fallback, &value, NULL);
    else if (o->type == OPT_SIZE)
        rc = conf_parse_size(o->fallback, &value, NULL);
    else
        value = atoll(o->fallback);
    if (rc != 0)
        fail_msg("%s: default \"%s\"", o->name, o->fallback);
    return value;
}

static void check_default(const struct option *o)
{
    bool number = o->type == OPT_INT || o->type == OPT_SIZE || o->type == OPT_DURATION;
    if (!number)
        return;
    assert_non_null(o->fallback);
    int64_t value = parsed_default(o);
    if (value < o->least || value > o->most)
        fail_msg("%s: default \"%s\" is out of its bounds", o->name, o->fallback);
}

static void every_default_is_allowed(void **state)
{
    (void)state;
    each_option(check_default);
}

static void check_text(const struct option *o)
{
    if (!o->text || strlen(o->text) < 10 || o->text[strlen(o->text) - 1] != '.' ||
        strchr(o->text, '|'))
        fail_msg("%s: text \"%s\"", o->name, o->text ? o->text : "");
    assert_false(o->required && o->fallback);
}

static void every_option_is_explained(void **state)
{
    (void)state;
    each_option(check_text);
}

static void an_option_of_a_driver_is_known_to_it_alone(void **state)
{
    (void)state;
    assert_non_null(options_of_driver(&postgres_driver.conf, "url"));
    assert_null(options_of_driver(&sqlite_driver.conf, "url"));
    assert_null(options_find(GROUP_BACKEND, "url"));
    assert_string_equal(options_of_driver(&postgres_driver.conf, "pool")->fallback, "4");
    assert_string_equal(options_of_driver(&sqlite_driver.conf, "pool")->fallback, "2");
    assert_null(options_find(GROUP_TOP, "pool"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_means_one_option),
        cmocka_unit_test(a_driver_s_rows_follow_those_of_the_table),
        cmocka_unit_test(loader_and_policy_share_no_name),
        cmocka_unit_test(every_default_is_allowed),
        cmocka_unit_test(every_option_is_explained),
        cmocka_unit_test(an_option_of_a_driver_is_known_to_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
