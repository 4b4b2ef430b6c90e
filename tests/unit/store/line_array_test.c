/* An array of lines: what it has, what it gives back, and what the memory then holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/heap.h"
#include "store/line_array.h"

#include <string.h>

#define PAGE_LINES (HEAP_PAGE / LINE_BYTES)
#define ZEROS      ((char[LINE_BYTES]){0})

static int setup(void **state)
{
    static struct line_array l;
    *state = &l;
    return line_array_init(&l);
}

static int teardown(void **state)
{
    line_array_fini(*state);
    line_array_fini(*state); /* of zeros now */
    return 0;
}

static void push_all(struct line_array *l, size_t count)
{
    assert_int_equal(line_array_reserve(l, count), 0);
    while (l->count < count)
        memset(line_array_push(l), 'x', LINE_BYTES);
}

static void a_line_is_of_zeros_whatever_was_there(void **state)
{
    struct line_array *l = *state;
    push_all(l, 3);
    line_array_pop(l);
    assert_int_equal(l->count, 2);
    void *line = line_array_push(l);
    assert_ptr_equal(line, line_array_at(l, 2));
    assert_memory_equal(line, ZEROS, LINE_BYTES);
    assert_int_equal(((char *)line_array_at(l, 1))[LINE_BYTES - 1], 'x');
    line_array_clear(l);
    assert_int_equal(l->count, 0);
    assert_memory_equal(line_array_push(l), ZEROS, LINE_BYTES);
    assert_ptr_equal(line_array_at(l, 1), (char *)line_array_at(l, 0) + LINE_BYTES);
}

/* What it says that it will take is what it then takes, line by line. */
static void what_it_takes_is_whole_pages_and_told_ahead(void **state)
{
    struct line_array *l = *state;
    assert_int_equal(line_array_bytes(l), 0);
    for (size_t i = 0; i < 5 * PAGE_LINES; i++) {
        size_t before = line_array_bytes(l), growth = line_array_growth(l);
        assert_int_equal(growth, i % PAGE_LINES == 0 ? HEAP_PAGE : 0);
        push_all(l, i + 1);
        assert_int_equal(line_array_bytes(l), before + growth);
    }
}

/* One page beyond those in use is kept, for a line more and less at a page's end. */
static void a_page_is_kept_beyond_those_in_use(void **state)
{
    struct line_array *l = *state;
    push_all(l, 4 * PAGE_LINES);
    while (l->count > 2 * PAGE_LINES)
        line_array_pop(l);
    assert_int_equal(line_array_bytes(l), 3 * HEAP_PAGE);
    assert_int_equal(((char *)line_array_at(l, 2 * PAGE_LINES))[0], 'x'); /* may be read, too */
    assert_int_equal(((char *)line_array_at(l, 3 * PAGE_LINES))[0], 0);
    line_array_pop(l);
    assert_int_equal(line_array_bytes(l), 3 * HEAP_PAGE);
    line_array_clear(l);
    assert_int_equal(line_array_bytes(l), HEAP_PAGE);
    assert_int_equal(line_array_growth(l), 0);
}

/* A page that went back is the system's when it comes again, of zeros. */
static void what_went_back_comes_again(void **state)
{
    struct line_array *l = *state;
    for (int round = 0; round < 3; round++) {
        push_all(l, 6 * PAGE_LINES);
        assert_int_equal(line_array_bytes(l), 6 * HEAP_PAGE);
        line_array_clear(l);
        for (size_t i = 0; i < 6 * PAGE_LINES; i++)
            assert_memory_equal(line_array_push(l), ZEROS, LINE_BYTES);
        line_array_clear(l);
    }
}

static void it_has_as_many_lines_as_it_may_and_no_more(void **state)
{
    struct line_array *l = *state;
    assert_int_equal(line_array_reserve(l, LINE_ARRAY_MOST + 1), ERR_NOMEM);
    assert_int_equal(l->usable, 0);
    assert_int_equal(line_array_reserve(l, 1), 0);
    assert_in_range(l->usable, 1, LINE_ARRAY_MOST / 64); /* in steps */
    assert_int_equal(line_array_reserve(l, LINE_ARRAY_MOST), 0);
    *(char *)line_array_at(l, LINE_ARRAY_MOST - 1) = 'x';
    assert_int_equal(line_array_reserve(l, LINE_ARRAY_MOST + 1), ERR_NOMEM);
    assert_int_equal(line_array_reserve(l, 1), 0);
    assert_int_equal(line_array_bytes(l), 0); /* nothing is resident for it yet */
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_line_is_of_zeros_whatever_was_there),
        T(what_it_takes_is_whole_pages_and_told_ahead),
        T(a_page_is_kept_beyond_those_in_use),
        T(what_went_back_comes_again),
        T(it_has_as_many_lines_as_it_may_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
