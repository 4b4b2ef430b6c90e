#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Characters of one to four bytes: a text of one of them is whole where its size divides. */
static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

/* `pad` letters, then as many whole characters as fit; returns text. */
static const char *fill_with(char *text, size_t room, size_t pad, const char *character)
{
    memset(text, '.', pad);
    size_t n = pad;
    for (; n + strlen(character) < room; n += strlen(character))
        memcpy(text + n, character, strlen(character));
    text[n] = '\0';
    return text;
}

/* text is head and then whole characters, and less than one of them is missing. */
static void is_filled(const char *text, const char *head, const char *character)
{
    size_t width = strlen(character), skip = strlen(head), size = strlen(text);
    assert_memory_equal(text, head, skip);
    assert_int_equal((size - skip) % width, 0);
    for (size_t i = skip; i < size; i += width)
        assert_memory_equal(text + i, character, width);
    assert_in_range(size, ERR_TEXT_MAX - width, ERR_TEXT_MAX - 1);
}

static void setting_one_fills_every_field_and_returns_the_code(void **state)
{
    (void)state;
    struct err e = {.code = 99, .retry_after_ms = 99};
    assert_int_equal(err_set(&e, ERR_TIMEOUT, "%s: no answer within %d ms", "user:42", 200),
                     ERR_TIMEOUT);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_int_equal(e.retry_after_ms, -1);
    assert_string_equal(e.text, "user:42: no answer within 200 ms");
    err_clear(&e);
    assert_int_equal(e.code, 0);
    assert_int_equal(e.retry_after_ms, -1);
    assert_string_equal(e.text, "");
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "read: %s", "gone"), ERR_IO);
    err_prefix(NULL, "%s", "main");
}

static void a_prefix_comes_first_and_keeps_the_rest(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_BACKEND, "syntax error");
    e.retry_after_ms = 250;
    err_prefix(&e, "%s:%d", "user.lua", 3);
    err_prefix(&e, "user:42");
    assert_string_equal(e.text, "user:42: user.lua:3: syntax error");
    assert_int_equal(e.code, ERR_BACKEND);
    assert_int_equal(e.retry_after_ms, 250);
    /* It may be made of the text itself. */
    err_set(&e, ERR_IO, "one");
    err_prefix(&e, "%s", e.text);
    assert_string_equal(e.text, "one: one");
    err_set(&e, ERR_IO, "%s", "");
    err_prefix(&e, "alone");
    assert_string_equal(e.text, "alone: ");
}

static void a_long_text_is_cut_between_two_characters(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    for (size_t c = 0; c < 4; c++)
        for (size_t pad = 0; pad < 5; pad++) {
            char head[8] = ".....";
            struct err e;
            head[pad] = '\0';
            err_set(&e, ERR_IO, "%s", fill_with(text, sizeof text, pad, characters[c]));
            is_filled(e.text, head, characters[c]);
            /* One that just fits is left alone. */
            err_set(&e, ERR_IO, "%s", fill_with(text, ERR_TEXT_MAX, pad, characters[c]));
            assert_string_equal(e.text, text);
        }
}

static void a_prefix_pushes_out_whole_characters(void **state)
{
    (void)state;
    char text[ERR_TEXT_MAX];
    for (size_t c = 0; c < 4; c++)
        for (size_t pad = 0; pad < 5; pad++) {
            char head[16] = "12345";
            struct err e;
            err_set(&e, ERR_IO, "%s", fill_with(text, sizeof text, 0, characters[c]));
            head[pad] = '\0';
            err_prefix(&e, "%s", head);
            strcat(head, ": ");
            is_filled(e.text, head, characters[c]);
        }
}

static void a_prefix_that_takes_all_the_room_is_cut_between_two_characters_too(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    /* Around the end, and far past it. */
    for (size_t c = 0; c < 4; c++)
        for (size_t room = ERR_TEXT_MAX - 12; room < 2 * ERR_TEXT_MAX; room += 7)
            for (size_t pad = 0; pad < 4; pad++) {
                struct err e;
                err_set(&e, ERR_IO, "what it said");
                err_prefix(&e, "%s", fill_with(text, room, pad, characters[c]));
                size_t size = strlen(e.text), width = strlen(characters[c]);
                char *end = memrchr(e.text, ':', size);
                assert_in_range(size, ERR_TEXT_MAX - 13, ERR_TEXT_MAX - 1);
                assert_non_null(end);
                assert_int_equal((size_t)(end - e.text - (long)pad) % width, 0);
                assert_memory_equal(end, ": what it said", strlen(end));
            }
}

static void bytes_that_are_no_text_are_cut_anywhere(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    static const char bytes[] = {'\x80', '\xbf', '\xff', '\xc3'};
    for (size_t i = 0; i < sizeof bytes; i++) {
        struct err e;
        memset(text, bytes[i], sizeof text - 1);
        text[sizeof text - 1] = '\0';
        err_set(&e, ERR_IO, "%s", text);
        err_prefix(&e, "%s", text);
        assert_in_range(strlen(e.text), ERR_TEXT_MAX - 5, ERR_TEXT_MAX - 1);
    }
}

static void a_number_outside_the_list_is_an_internal_error_and_final(void **state)
{
    (void)state;
    static const int unknown[] = {1, 5, INT_MAX, -ERR_COUNT, -ERR_COUNT - 1, INT_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_string_equal(err_name(unknown[i]), "INTERNAL");
        assert_false(err_retryable(unknown[i]));
    }
    assert_string_equal(err_name(0), "OK");
    assert_false(err_retryable(0));
}

static void what_may_pass_is_worth_another_try(void **state)
{
    (void)state;
    assert_true(err_retryable(ERR_TIMEOUT));
    assert_true(err_retryable(ERR_OVERLOADED));
    assert_true(err_retryable(ERR_BACKEND_DOWN));
    assert_false(err_retryable(ERR_BAD_REQUEST));
    assert_false(err_retryable(ERR_INTERNAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_one_fills_every_field_and_returns_the_code),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_prefix_comes_first_and_keeps_the_rest),
        cmocka_unit_test(a_long_text_is_cut_between_two_characters),
        cmocka_unit_test(a_prefix_pushes_out_whole_characters),
        cmocka_unit_test(a_prefix_that_takes_all_the_room_is_cut_between_two_characters_too),
        cmocka_unit_test(bytes_that_are_no_text_are_cut_anywhere),
        cmocka_unit_test(a_number_outside_the_list_is_an_internal_error_and_final),
        cmocka_unit_test(what_may_pass_is_worth_another_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
