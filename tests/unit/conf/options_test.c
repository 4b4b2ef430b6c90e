#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/options.h"

#include <stdlib.h>

static bool overlap(const struct option *a, const struct option *b)
{
    return a->group == b->group && strcmp(a->name, b->name) == 0 &&
           (a->driver == DRIVER_ANY || b->driver == DRIVER_ANY || a->driver == b->driver);
}

static void a_name_means_one_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++)
        for (size_t k = 0; k < i; k++)
            if (overlap(&options_table[i], &options_table[k]))
                fail_msg("%s is there twice", options_table[i].name);
}

/* A loader takes both groups. */
static void loader_and_policy_share_no_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].group == GROUP_LOADER)
            assert_null(options_find(GROUP_POLICY, options_table[i].name, DRIVER_ANY));
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

static void every_default_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        bool number = o->type == OPT_INT || o->type == OPT_SIZE || o->type == OPT_DURATION;
        if (!number)
            continue;
        assert_non_null(o->fallback);
        int64_t value = parsed_default(o);
        if (value < o->least || value > o->most)
            fail_msg("%s: default \"%s\" is out of its bounds", o->name, o->fallback);
    }
}

static void every_option_is_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        if (!o->text || strlen(o->text) < 10 || o->text[strlen(o->text) - 1] != '.' ||
            strchr(o->text, '|'))
            fail_msg("%s: text \"%s\"", o->name, o->text ? o->text : "");
        assert_false(o->required && o->fallback);
    }
}

static void an_option_of_a_driver_is_known_to_it_alone(void **state)
{
    (void)state;
    assert_non_null(options_find(GROUP_BACKEND, "url", DRIVER_POSTGRES));
    assert_null(options_find(GROUP_BACKEND, "url", DRIVER_SQLITE));
    assert_null(options_find(GROUP_BACKEND, "url", DRIVER_ANY));
    assert_string_equal(options_find(GROUP_BACKEND, "pool", DRIVER_POSTGRES)->fallback, "4");
    assert_string_equal(options_find(GROUP_BACKEND, "pool", DRIVER_SQLITE)->fallback, "2");
    assert_null(options_find(GROUP_TOP, "pool", DRIVER_ANY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_means_one_option),
        cmocka_unit_test(loader_and_policy_share_no_name),
        cmocka_unit_test(every_default_is_allowed),
        cmocka_unit_test(every_option_is_explained),
        cmocka_unit_test(an_option_of_a_driver_is_known_to_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
