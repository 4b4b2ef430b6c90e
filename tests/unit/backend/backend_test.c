#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "backend/sqlite/sqlite.h"

static const struct listen_events deaf = {.arg = NULL};

static void a_driver_whose_sources_tell_of_nothing_says_so(void **state)
{
    struct conf_backend conf = {.name = "lite", .driver = &sqlite_driver.conf};
    struct listen *l = (struct listen *)state;
    struct err e;
    assert_int_equal(backend_listen(&l, ev_default_loop(0), &conf, &deaf, &e), ERR_CONFIG);
    assert_string_equal(e.text, "backend 'lite': its driver has no feed");
    assert_null(l);
}

/* conf_load takes no more, and messages have room for their names. */
static void each_driver_has_a_name_of_its_own_and_options(void **state)
{
    (void)state;
    size_t count = 0;
    for (; backend_drivers[count]; count++) {
        const struct conf_driver *d = backend_drivers[count];
        assert_true(d->name[0] && strlen(d->name) <= 16);
        assert_true(d->options != NULL || d->own_size == 0);
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(d->name, backend_drivers[i]->name);
    }
    assert_in_range(count, 1, CONF_DRIVERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_whose_sources_tell_of_nothing_says_so),
        cmocka_unit_test(each_driver_has_a_name_of_its_own_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
