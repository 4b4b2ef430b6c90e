#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"

static const struct listen_events deaf = {.arg = NULL};

static void a_driver_whose_sources_tell_of_nothing_says_so(void **state)
{
    struct conf_backend conf = {.name = "lite", .driver = DRIVER_SQLITE, .path = ":memory:"};
    struct listen *l = (struct listen *)state;
    struct err e;
    assert_int_equal(backend_listen(&l, ev_default_loop(0), &conf, &deaf, &e), ERR_CONFIG);
    assert_string_equal(e.text, "backend 'lite': its driver has no feed");
    assert_null(l);
}

static void a_driver_that_there_is_not_is_an_error(void **state)
{
    struct conf_backend conf = {.name = "odd", .driver = (enum conf_driver)99};
    struct backend *b = (struct backend *)state;
    struct listen *l = (struct listen *)state;
    struct err e;
    assert_int_equal(backend_new(&b, ev_default_loop(0), &conf, 1, &e), ERR_CONFIG);
    assert_string_equal(e.text, "backend 'odd': there is no driver 99");
    assert_null(b);
    assert_int_equal(backend_listen(&l, ev_default_loop(0), &conf, &deaf, &e), ERR_CONFIG);
    assert_string_equal(e.text, "backend 'odd': there is no driver 99");
    assert_null(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_whose_sources_tell_of_nothing_says_so),
        cmocka_unit_test(a_driver_that_there_is_not_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
