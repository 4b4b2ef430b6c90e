#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "locks.h"
#include "store/marks.h"

static int setup(void **state)
{
    return marks_new((struct marks **)state, 1024, 5, NULL);
}

static int teardown(void **state)
{
    marks_free(*state);
    return 0;
}

static uint64_t glob(struct marks *m, const char *pattern, bool soft)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(pattern), room);
    return marks_glob(m, &g, soft);
}

static enum mark judge(struct marks *m, const char *tag, uint64_t since)
{
    uint32_t slot = marks_slot(m, slice_str(tag));
    return marks_judge_tags(m, &slot, 1, since);
}

static void every_mark_takes_the_next_number(void **state)
{
    struct marks *m = *state;
    assert_int_equal(marks_now(m), 0);
    assert_int_equal(marks_tag(m, slice_str("a"), false), 1);
    assert_int_equal(glob(m, "user:*", false), 2);
    assert_int_equal(marks_tag(m, slice_str("a"), true), 3);
    assert_int_equal(marks_now(m), 3);
    assert_int_equal(marks_now(NULL), 0);
}

static void a_tag_overtakes_what_began_before_it(void **state)
{
    struct marks *m = *state;
    uint64_t before = marks_now(m);
    marks_tag(m, slice_str("a"), false);
    assert_int_equal(judge(m, "a", before), MARK_HARD);
    assert_int_equal(judge(m, "b", before), MARK_NONE);
    assert_int_equal(judge(m, "a", marks_now(m)), MARK_NONE);
}

static void all_tags_are_overtaken_at_once(void **state)
{
    struct marks *m = *state;
    marks_tag(m, slice_str("a"), false);
    uint64_t before = marks_now(m);
    assert_int_equal(marks_all_tags(m, true), before + 1);
    assert_int_equal(judge(m, "a", before), MARK_SOFT);
    assert_int_equal(judge(m, "b", before), MARK_SOFT);
    assert_int_equal(judge(m, "b", marks_now(m)), MARK_NONE);
    marks_all_tags(m, false);
    for (uint32_t slot = 0; slot < 1024; slot++)
        assert_int_equal(marks_judge_tags(m, &slot, 1, before), MARK_HARD);
}

static void the_harder_mark_holds_whichever_came_last(void **state)
{
    struct marks *m = *state;
    marks_tag(m, slice_str("a"), true);
    assert_int_equal(judge(m, "a", 0), MARK_SOFT);
    marks_tag(m, slice_str("a"), false);
    marks_tag(m, slice_str("a"), true);
    assert_int_equal(judge(m, "a", 0), MARK_HARD);
    assert_int_equal(judge(m, "a", 2), MARK_SOFT);
}

static void one_of_several_tags_is_enough(void **state)
{
    struct marks *m = *state;
    char packed[1 + 3 * sizeof(uint32_t)]; /* as they lie in an entry: not aligned */
    const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        uint32_t slot = marks_slot(m, slice_str(names[i]));
        memcpy(packed + 1 + i * sizeof slot, &slot, sizeof slot);
    }
    assert_true(marks_quiet(m, packed + 1, 3, 0));
    marks_tag(m, slice_str("c"), false);
    assert_false(marks_quiet(m, packed + 1, 3, 0));
    assert_true(marks_quiet(m, packed + 1, 2, 0));
    assert_int_equal(marks_judge_tags(m, packed + 1, 3, 0), MARK_HARD);
}

static void a_pattern_overtakes_the_keys_that_match(void **state)
{
    struct marks *m = *state;
    uint64_t soft = glob(m, "user:*", true), hard = glob(m, "user:1", false);
    assert_int_equal(marks_judge_key(m, slice_str("user:1"), 0), MARK_HARD);
    assert_int_equal(marks_judge_key(m, slice_str("user:2"), 0), MARK_SOFT);
    assert_int_equal(marks_judge_key(m, slice_str("team:1"), 0), MARK_NONE);
    assert_int_equal(marks_judge_key(m, slice_str("user:2"), soft), MARK_NONE);
    assert_int_equal(marks_judge_key(m, slice_str("user:1"), hard), MARK_NONE);
    assert_int_equal(marks_judge_key(NULL, slice_str("user:1"), 0), MARK_NONE);
}

static void a_pattern_that_is_forgotten_overtakes_everything_from_before_it(void **state)
{
    struct marks *m = *state;
    uint64_t first = glob(m, "user:*", true);
    for (int i = 1; i < MARKS_GLOBS; i++)
        glob(m, "other:*", false);
    assert_int_equal(marks_judge_key(m, slice_str("team:1"), 0), MARK_NONE);
    glob(m, "other:*", false);
    assert_int_equal(marks_judge_key(m, slice_str("team:1"), 0), MARK_HARD);
    assert_int_equal(marks_judge_key(m, slice_str("team:1"), first), MARK_NONE);
}

static void slots_have_to_be_a_power_of_two(void **state)
{
    (void)state;
    struct marks *m;
    struct err e;
    static const struct {
        size_t slots;
        const char *text;
    } wrong[] = {
        {0, "tag_slots: 0 is no power of two"},
        {1000, "tag_slots: 1000 is no power of two"},
        {(size_t)1 << 32, "tag_slots: 4294967296 is no power of two"},
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(marks_new(&m, wrong[i].slots, 1, &e), ERR_CONFIG);
        assert_string_equal(e.text, wrong[i].text);
        assert_null(m);
    }
    assert_int_equal(marks_new(&m, 1, 1, &e), 0); /* all tags share it */
    assert_int_equal(marks_slot(m, slice_str("a")), marks_slot(m, slice_str("b")));
    marks_free(m);
    marks_free(NULL);
}

static void what_carries_any_tag_is_overtaken_by_each(void **state)
{
    struct marks *m = *state;
    uint32_t any = marks_any_tag(m);
    uint64_t since = marks_now(m);
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_NONE);
    glob(m, "*", false); /* is no tag */
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_NONE);
    marks_tag(m, slice_str("a"), true);
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_SOFT);
    marks_tag(m, slice_str("b"), false);
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_HARD);
    assert_int_equal(marks_judge_tags(m, &any, 1, marks_now(m)), MARK_NONE);
    for (uint32_t i = 0; i < any; i++) /* and no tag has its slot */
        assert_int_not_equal(marks_slot(m, slice_of(&i, sizeof i)), any);
}

static void what_carries_any_tag_is_overtaken_by_all_at_once(void **state)
{
    struct marks *m = *state;
    uint32_t any = marks_any_tag(m);
    uint64_t since = marks_now(m);
    marks_all_tags(m, true);
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_SOFT);
    marks_all_tags(m, false);
    assert_int_equal(marks_judge_tags(m, &any, 1, since), MARK_HARD);
    assert_int_equal(marks_judge_tags(m, &any, 1, marks_now(m)), MARK_NONE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_mark_takes_the_next_number),
        T(a_tag_overtakes_what_began_before_it),
        T(all_tags_are_overtaken_at_once),
        T(the_harder_mark_holds_whichever_came_last),
        T(one_of_several_tags_is_enough),
        T(a_pattern_overtakes_the_keys_that_match),
        T(a_pattern_that_is_forgotten_overtakes_everything_from_before_it),
        cmocka_unit_test(slots_have_to_be_a_power_of_two),
        T(what_carries_any_tag_is_overtaken_by_each),
        T(what_carries_any_tag_is_overtaken_by_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
