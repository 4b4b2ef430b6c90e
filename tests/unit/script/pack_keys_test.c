#include "script/lab.h"

#include "wire/mp.h"

/* The keys of the map that the expression makes, in the order in which they are packed. */
static void order_is(struct lab *lab, const char *expression, const char *keys)
{
    char text[400], got[8000] = "";
    struct buf out;
    struct err e;
    struct mp_token t;
    snprintf(text, sizeof text, "return %s", expression);
    lab_get(lab, text);
    buf_init(&out, 0);
    if (value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e) != 0)
        fail_msg("%s: %s", expression, e.text);
    struct mp_reader r = mp_reader_of(buf_slice(&out));
    assert_int_equal(mp_next(&r, &t), MP_OK);
    for (uint32_t left = t.count; left > 0; left--) {
        assert_int_equal(mp_next(&r, &t), MP_OK);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", SLICE_ARG(t.bytes));
        assert_int_equal(mp_skip(&r), MP_OK);
    }
    assert_string_equal(got, keys);
    buf_fini(&out);
}

static void a_tables_keys_stand_by_their_bytes(void **state)
{
    struct lab *lab = *state;
    order_is(lab, "{ b = 1, a = 2, ab = 3, B = 4, [''] = 5 }", " B a ab b ");
    order_is(lab,
             "(function() local t = {} for i = 9, 1, -1 do t['k' .. i] = i end return t end)()",
             "k1 k2 k3 k4 k5 k6 k7 k8 k9 ");
    order_is(lab, "(function() local t = { x = 1, y = 2, z = 3 } t.x = nil t.x = 1 return t end)()",
             "x y z ");
}

static void many_keys_too(void **state)
{
    struct lab *lab = *state;
    char keys[8000] = "";
    for (int i = 100; i < 700; i++)
        snprintf(keys + strlen(keys), sizeof keys - strlen(keys), "k%d ", i);
    order_is(lab,
             "(function() local t = {} for i = 699, 100, -1 do t['k' .. i] = i end return t end)()",
             keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(a_tables_keys_stand_by_their_bytes),
        LAB(many_keys_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
