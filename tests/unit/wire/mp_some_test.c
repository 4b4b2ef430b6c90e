/* Values that are read with their first token and stepped over whole, with a bound of tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/mp.h"

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct {
    struct slice value;
    size_t most, left;
    int rc;
    enum mp_type type;
} cases[] = {
    {BYTES("\x05"), 3, 2, MP_OK, MP_INT},
    {BYTES("\x05"), 1, 0, MP_OK, MP_INT},
    {BYTES("\x05"), 0, 0, MP_BAD, MP_INT},
    {BYTES("\xa2xy"), 1, 0, MP_OK, MP_STR},
    {BYTES("\x92\x01\x91\xc0"), 5, 1, MP_OK, MP_ARRAY},
    {BYTES("\x92\x01\x91\xc0"), 4, 0, MP_OK, MP_ARRAY},
    {BYTES("\x92\x01\x91\xc0"), 3, 0, MP_BAD, MP_ARRAY},
    {BYTES("\x81\xa1k\x01"), 3, 0, MP_OK, MP_MAP},
    {BYTES("\x81\xa1k\x01"), 2, 0, MP_BAD, MP_MAP},
    {BYTES("\x90"), 1, 0, MP_OK, MP_ARRAY},
    {BYTES("\x80"), 0, 0, MP_BAD, MP_MAP},
    {BYTES(""), 3, 2, MP_MORE, MP_NIL},
    {BYTES("\xcd\x01"), 3, 2, MP_MORE, MP_NIL},
    {BYTES("\x92\x01"), 9, 6, MP_MORE, MP_ARRAY},
    {BYTES("\xc1"), 3, 2, MP_BAD, MP_NIL},
    {BYTES("\x91\xc1"), 3, 1, MP_BAD, MP_ARRAY},
};

static void a_value_takes_its_tokens_off_the_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mp_reader r = mp_reader_of(cases[i].value), whole = r;
        struct mp_token t = {.type = MP_NIL};
        size_t left = cases[i].most;
        int rc = mp_next_some(&r, &t, &left);
        if (rc != cases[i].rc || left != cases[i].left)
            fail_msg("case %zu: %d, %zu are left", i, rc, left);
        size_t used = (size_t)(r.at - cases[i].value.data);
        assert_int_equal(used, rc == MP_OK ? cases[i].value.size : 0);
        if (rc == MP_OK)
            assert_int_equal(t.type, cases[i].type);
        bool bound = cases[i].rc == MP_BAD && cases[i].left == 0;
        int want = bound ? MP_OK : cases[i].rc; /* without a bound */
        assert_int_equal(mp_next_whole(&whole, &t), want);
        used = (size_t)(whole.at - cases[i].value.data);
        assert_int_equal(used, want == MP_OK ? cases[i].value.size : 0);
    }
}

/* The values of a row, one after the other, share one bound. */
static void values_in_a_row_share_a_bound(void **state)
{
    (void)state;
    static const char bytes[] = "\x05\xa1x\x92\x01\x02\xc3";
    struct mp_reader r = mp_reader_of((struct slice){bytes, sizeof bytes - 1});
    struct mp_token t;
    size_t left = 6;
    static const size_t after[] = {5, 4, 1, 0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mp_next_some(&r, &t, &left), MP_OK);
        assert_int_equal(left, after[i]);
    }
    assert_ptr_equal(r.at, r.end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_takes_its_tokens_off_the_bound),
        cmocka_unit_test(values_in_a_row_share_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
