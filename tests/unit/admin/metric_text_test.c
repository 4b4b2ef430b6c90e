#include "admin/metric_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *text_of(struct buf *b)
{
    assert_int_equal(buf_append(b, "", 1), 0);
    return b->data;
}

static void labels_are_escaped(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(metric_text_label(&b, "loader", "a\"b\\c\nd"), 0);
    assert_int_equal(metric_text_label(&b, "code", "TIMEOUT"), 0);
    assert_string_equal(text_of(&b), "loader=\"a\\\"b\\\\c\\nd\",code=\"TIMEOUT\"");
    buf_fini(&b);
}

static void labels_are_utf8(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_int_equal(metric_text_label(&b, "l", "k\xc3\xb6rper"), 0);
    assert_int_equal(metric_text_label(&b, "l", "k\xf6rper"), 0);
    assert_string_equal(text_of(&b), "l=\"k\xc3\xb6rper\",l=\"k\\\\xf6rper\"");
    buf_fini(&b);
}

static void write_some(struct metric_text *t)
{
    metric_text_family(t, "a_total", "counter", "What.");
    metric_text_count(t, "a_total", "", 18446744073709551615ULL, 1);
    metric_text_family(t, "b_seconds", "gauge", "How long.");
    metric_text_count(t, "b_seconds", "x=\"y\"", 1500, 1e3);
    metric_text_number(t, "b_seconds", "", -.25);
}

static void both_formats_have_their_families(void **state)
{
    struct buf b;
    struct metric_text t = {.out = &b};
    (void)state;
    buf_init(&b, 0);
    write_some(&t);
    assert_string_equal(text_of(&b), "# HELP a_total What.\n# TYPE a_total counter\n"
                                     "a_total 18446744073709551615\n"
                                     "# HELP b_seconds How long.\n# TYPE b_seconds gauge\n"
                                     "b_seconds{x=\"y\"} 1.5\nb_seconds -0.25\n");
    buf_clear(&b);
    t.openmetrics = true;
    metric_text_family(&t, "a_total", "counter", "What.");
    metric_text_count(&t, "a_total", "", 1, 1);
    assert_int_equal(t.rc, 0);
    assert_string_equal(text_of(&b), "# HELP a What.\n# TYPE a counter\na_total 1\n");
    buf_fini(&b);
}

static void the_first_failure_is_kept(void **state)
{
    struct buf b;
    struct metric_text t = {.out = &b};
    (void)state;
    buf_init(&b, 60);
    write_some(&t);
    assert_int_equal(t.rc, ERR_TOO_LARGE);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(labels_are_utf8),
        cmocka_unit_test(both_formats_have_their_families),
        cmocka_unit_test(the_first_failure_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
