#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/feed_places.h"

#include <stdlib.h>

static void a_name_has_its_last_text(void **state)
{
    (void)state;
    struct feed_places p;
    struct buf out;
    feed_places_init(&p);
    buf_init(&out, 0);
    assert_false(feed_places_get(&p, "a", &out));
    assert_int_equal(feed_places_set(&p, "a", slice_str("one, which is longer")), 0);
    assert_int_equal(feed_places_set(&p, "b", slice_str("two")), 0);
    assert_int_equal(feed_places_set(&p, "a", slice_str("three")), 0);
    assert_true(feed_places_get(&p, "a", &out));
    assert_true(feed_places_get(&p, "b", &out));
    assert_true(slice_eq_str(buf_slice(&out), "threetwo"));
    feed_places_clear(&p, "a");
    feed_places_clear(&p, "c");
    assert_false(feed_places_get(&p, "a", &out));
    assert_true(feed_places_get(&p, "b", &out));
    assert_int_equal(out.size, 11);
    buf_fini(&out);
    feed_places_fini(&p);
}

static void a_text_that_is_too_long_is_none(void **state)
{
    (void)state;
    struct feed_places p;
    struct buf out;
    char *text = calloc(1, FEED_PLACE_MAX + 1);
    assert_non_null(text);
    feed_places_init(&p);
    buf_init(&out, 0);
    assert_int_equal(feed_places_set(&p, "a", slice_of(text, FEED_PLACE_MAX)), 0);
    assert_true(feed_places_get(&p, "a", &out));
    assert_int_equal(out.size, FEED_PLACE_MAX);
    assert_int_equal(feed_places_set(&p, "a", slice_of(text, FEED_PLACE_MAX + 1)), ERR_TOO_LARGE);
    assert_false(
        feed_places_get(&p, "a", &out)); /* nor the last one, which is not right any more */
    buf_fini(&out);
    feed_places_fini(&p);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_its_last_text),
        cmocka_unit_test(a_text_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
