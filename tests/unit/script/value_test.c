#include "script/lab.h"

#include "wire/mp.h"
#include "wire/mpw.h"

static int pack_top(struct lab *lab, struct buf *out, struct err *e)
{
    buf_init(out, 0);
    return value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", out, e);
}

static void expect_bytes(struct lab *lab, const char *expression, const char *bytes, size_t size)
{
    char text[300];
    struct buf out;
    struct err e;
    snprintf(text, sizeof text, "return %s", expression);
    lab_get(lab, text);
    if (pack_top(lab, &out, &e) != 0)
        fail_msg("%s: %s", expression, e.text);
    if (out.size != size || memcmp(out.data, bytes, size) != 0)
        fail_msg("%s: %zu bytes, the first %02x", expression, out.size,
                 (unsigned)(unsigned char)out.data[0]);
    assert_int_equal(mp_check(buf_slice(&out), &e), 0);
    buf_fini(&out);
}

#define BYTES(lab, expression, bytes) expect_bytes(lab, expression, bytes, sizeof bytes - 1)

static void packs_every_type(void **state)
{
    struct lab *lab = *state;
    BYTES(lab, "nil", "\xc0");
    BYTES(lab, "true", "\xc3");
    BYTES(lab, "false", "\xc2");
    BYTES(lab, "0", "\x00");
    BYTES(lab, "-1", "\xff");
    BYTES(lab, "127", "\x7f");
    BYTES(lab, "2^53", "\xcf\x00\x20\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "-2^53", "\xd3\xff\xe0\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "2^54", "\xcb\x43\x50\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "1.5", "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "1/0", "\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "-1/0", "\xcb\xff\xf0\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "-0.0 * 1", "\xcb\x80\x00\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "9007199254740993LL", "\xcf\x00\x20\x00\x00\x00\x00\x00\x01");
    BYTES(lab, "-9223372036854775807LL - 1", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    BYTES(lab, "18446744073709551615ULL", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    BYTES(lab, "5LL", "\x05");
    BYTES(lab, "5ULL", "\x05");
    BYTES(lab, "'text'", "\xa4text");
    BYTES(lab, "''", "\xa0");
    BYTES(lab, "'\\255'", "\xc4\x01\xff");
    BYTES(lab, "'Gr\xc3\xbc\xc3\x9f'", "\xa6Gr\xc3\xbc\xc3\x9f");
    BYTES(lab, "{}", "\x90");
    BYTES(lab, "{ 1, 2 }", "\x92\x01\x02");
    BYTES(lab, "{ a = { 1 } }", "\x81\xa1\x61\x91\x01");
    BYTES(lab, "{ { {} } }", "\x91\x91\x90");
}

static void refuse(struct lab *lab, const char *text, int code, const char *expected)
{
    struct buf out;
    struct err e;
    lab_get(lab, text);
    int rc = pack_top(lab, &out, &e);
    buf_fini(&out);
    if (rc != code || strcmp(e.text, expected) != 0)
        fail_msg("%s: %s, not \"%s\"", text, rc ? e.text : "packed", expected);
}

static void names_the_path_to_what_it_refuses(void **state)
{
    struct lab *lab = *state;
    refuse(lab, "return type", ERR_BAD_VALUE, "value: a function cannot be packed");
    refuse(lab, "return { items = { 1, 2, { price = type } } }", ERR_BAD_VALUE,
           "value.items[3].price: a function cannot be packed");
    refuse(lab, "return { ['a b'] = { coroutine.create(type) } }", ERR_BAD_VALUE,
           "value[\"a b\"][1]: a thread cannot be packed");
    refuse(lab, "local t = { x = {} } t.x.y = t return t", ERR_BAD_VALUE,
           "value.x.y: a table that contains itself cannot be packed");
    refuse(lab, "return { 1i }", ERR_BAD_VALUE,
           "value[1]: a cdata that is no 64-bit integer cannot be packed");
    refuse(lab, "return { a = { 1, 2, x = 3 } }", ERR_BAD_VALUE,
           "value.a.x: this key does not fit beside 1..n: a table is an array or a map, not both");
    refuse(lab, "return { a = { x = 1, 3 } }", ERR_BAD_VALUE,
           "value.a.x: this key does not fit beside 1..n: a table is an array or a map, not both");
    refuse(lab, "return { [1.5] = 1 }", ERR_BAD_VALUE,
           "value[1.5]: this key is neither a string nor in a sequence 1..n (rtcache.map takes "
           "numbers and booleans as keys)");
    refuse(lab, "return { [true] = 1 }", ERR_BAD_VALUE,
           "value[boolean]: this key is neither a string nor in a sequence 1..n (rtcache.map takes "
           "numbers and booleans as keys)");
    refuse(lab, "local t = {} t[1] = 1 t[100] = 2 return t", ERR_BAD_VALUE,
           "value: the array has no element 2: rtcache.null stands for nothing");
    static const char *const holes[] = {
        "{ 1, nil, 3 }", "{ 1, nil, 3, nil, 5 }", "{ 1, nil, 3, 4, 5, 6, 7, 8, 9 }",
        "{ [1] = 1, [3] = 3 }", "(function() local t = {} t[3] = 3 t[1] = 1 return t end)()"};
    for (size_t i = 0; i < sizeof holes / sizeof *holes; i++) {
        char text[160]; /* one answer, however Lua has laid the table out */
        snprintf(text, sizeof text, "return { list = { %s } }", holes[i]);
        refuse(lab, text, ERR_BAD_VALUE,
               "value.list[1]: the array has no element 2: rtcache.null stands for nothing");
        snprintf(text, sizeof text, "local t = %s t.x = 1 return t", holes[i]);
        refuse(
            lab, text, ERR_BAD_VALUE,
            "value.x: this key does not fit beside 1..n: a table is an array or a map, not both");
    }
    refuse(lab, "return { [2^53] = 1 }", ERR_BAD_VALUE,
           "value: the array has no element 1: rtcache.null stands for nothing");
    refuse(lab, "return { [0] = 1, 2 }", ERR_BAD_VALUE,
           "value[0]: this key does not fit beside 1..n: a table is an array or a map, not both");
    refuse(lab, "local d = {} local at = d for i = 1, 20 do at[1] = {} at = at[1] end return d",
           ERR_BAD_VALUE,
           "value[1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1]: tables are nested too deep "
           "(more than 16)");
    refuse(
        lab, "local long = ('k'):rep(70) return { [long] = type }", ERR_BAD_VALUE,
        "value[\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"]: a function "
        "cannot be packed");
}

/* The count of a map is known when its pairs stand there already. */
static void gives_maps_of_every_size_their_shortest_head(void **state)
{
    struct lab *lab = *state;
    static const struct {
        unsigned count;
        const char *head;
        size_t size;
    } maps[] = {
        {1, "\x81", 1},
        {15, "\x8f", 1},
        {16, "\xde\x00\x10", 3},
        {65535, "\xde\xff\xff", 3},
        {65536, "\xdf\x00\x01\x00\x00", 5},
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        struct buf out;
        struct err e;
        char text[120];
        snprintf(text, sizeof text,
                 "local t = {} for i = 1, %u do t[('k%%05d'):format(i)] = { x = i } end return t",
                 maps[i].count);
        lab_get(lab, text);
        assert_int_equal(pack_top(lab, &out, &e), 0);
        assert_memory_equal(out.data, maps[i].head, maps[i].size);
        assert_int_equal(out.data[maps[i].size], (char)0xa6);
        assert_int_equal(mp_check(buf_slice(&out), &e), 0);
        /* One byte less is not enough for the head. */
        struct buf tight;
        buf_init(&tight, out.size - 1);
        assert_int_equal(value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &tight, &e),
                         ERR_TOO_LARGE);
        buf_fini(&tight);
        buf_fini(&out);
    }
}

static void packs_as_deep_as_it_may_be_read(void **state)
{
    struct lab *lab = *state;
    struct buf out;
    struct err e;
    lab_get(lab, "local d = {} local at = d for i = 1, 15 do at[1] = {} at = at[1] end return d");
    assert_int_equal(pack_top(lab, &out, &e), 0);
    assert_int_equal(mp_check(buf_slice(&out), &e), 0);
    value_unpack(lab->vm->L, &lab->sandbox.marks, buf_slice(&out));
    buf_fini(&out);
}

static void keeps_to_the_size_of_the_buffer(void **state)
{
    struct lab *lab = *state;
    struct buf out;
    struct err e;
    lab_get(lab, "return { a = { ('x'):rep(50), ('y'):rep(60) } }");
    buf_init(&out, 100);
    assert_int_equal(value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e),
                     ERR_TOO_LARGE);
    assert_string_equal(e.text, "value.a[2]: the packed value passes 100 bytes");
    buf_fini(&out);
}

struct bytes {
    struct lab *lab;
    struct slice packed;
};

static int protected_round(lua_State *L)
{
    struct bytes *b = lua_touserdata(L, 1);
    value_unpack(L, &b->lab->sandbox.marks, b->packed);
    return 0;
}

static void reads_no_deeper_than_values_are(void **state)
{
    struct lab *lab = *state;
    struct err e;
    char bytes[MP_DEPTH_MAX + 1];
    static const char empty[] = {'\x90', '\x80'};
    for (size_t i = 0; i < sizeof empty; i++) {
        memset(bytes, '\x91', sizeof bytes);
        bytes[MP_DEPTH_MAX - 1] = bytes[MP_DEPTH_MAX] = empty[i];
        struct bytes fits = {lab, slice_of(bytes, MP_DEPTH_MAX)};
        assert_int_equal(mp_check(fits.packed, &e), 0);
        assert_int_equal(vm_protect(lab->vm, protected_round, &fits, &e), 0);
        bytes[MP_DEPTH_MAX - 1] = '\x91';
        struct bytes deep = {lab, slice_of(bytes, sizeof bytes)};
        assert_int_not_equal(mp_check(deep.packed, &e), 0);
        assert_int_not_equal(vm_protect(lab->vm, protected_round, &deep, &e), 0);
        assert_non_null(strstr(e.text, "nested deeper than 16"));
    }
}

/* What is unpacked and packed again is the same bytes. */
static void expect_round(struct lab *lab, const char *bytes, size_t size)
{
    struct buf out;
    struct err e;
    lua_settop(lab->vm->L, 0);
    value_unpack(lab->vm->L, &lab->sandbox.marks, slice_of(bytes, size));
    if (pack_top(lab, &out, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, bytes, size);
    buf_fini(&out);
}

#define ROUND(lab, bytes) expect_round(lab, bytes, sizeof bytes - 1)

static void gives_back_the_bytes_that_it_read(void **state)
{
    struct lab *lab = *state;
    ROUND(lab, "\xc0");
    ROUND(lab, "\xc3");
    ROUND(lab, "\xcf\x00\x20\x00\x00\x00\x00\x00\x01");
    ROUND(lab, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    ROUND(lab, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    ROUND(lab, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    ROUND(lab, "\xa4text");
    ROUND(lab, "\xc4\x02\xff\xfe");
    ROUND(lab, "\x80");         /* an empty map stays a map */
    ROUND(lab, "\x90");         /* and an empty array an array */
    ROUND(lab, "\x81\x01\xc0"); /* an integer key, a null inside */
    ROUND(lab, "\x81\xa1s\x80");
    ROUND(lab, "\x93\xc0\xc0\xc0");
    ROUND(lab, "\x92\x80\x90");
    ROUND(lab, "\x81\xc3\x01");
}

static void gives_every_row_its_own_names(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    /* Names that change, come again, are none, or belong to rows inside a row. */
    ROUND(lab, "\x96\x81\xa1"
               "a\x01\x81\xa1"
               "a\x02\x81\xa1"
               "b\x03\x81\xa1"
               "a\x04\x81\x05\x06\x81\xa1"
               "a\x07");
    ROUND(lab, "\x93\x81\xa1"
               "a\x92\x81\xa1"
               "b\x01\x81\xa1"
               "b\x02\x81\xa1"
               "a\x03\x81\xa0\x04");
    enum { COLUMNS = 40, ROWS = 3 }; /* more than there are names kept */
    struct buf b;
    buf_init(&b, 0);
    int rc = mpw_array(&b, ROWS);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        char name[16];
        int n = snprintf(name, sizeof name, "c%d", i % COLUMNS + (i / COLUMNS == 1 ? 1 : 0));
        rc |= i % COLUMNS == 0 ? mpw_map(&b, COLUMNS) : 0;
        rc |= mpw_str(&b, slice_of(name, (size_t)n)) | mpw_int(&b, i);
    }
    assert_int_equal(rc, 0);
    lua_settop(L, 0);
    value_unpack(L, &lab->sandbox.marks, buf_slice(&b));
    buf_fini(&b);
    assert_int_equal(lua_gettop(L), 1);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i % COLUMNS + (i / COLUMNS == 1 ? 1 : 0));
        lua_rawgeti(L, 1, i / COLUMNS + 1);
        lua_getfield(L, -1, name);
        assert_int_equal(lua_tointeger(L, -1), i);
        lua_settop(L, 1);
    }
}

static void keeps_integers_exact(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    static const int64_t values[] = {0,
                                     1,
                                     -1,
                                     INT64_C(1) << 53,
                                     (INT64_C(1) << 53) + 1,
                                     -(INT64_C(1) << 53) - 1,
                                     INT64_MAX,
                                     INT64_MIN,
                                     INT64_C(0x0123456789abcdef),
                                     -INT64_C(0x0123456789abcdef)};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        int64_t got;
        lua_settop(L, 0);
        value_push_int(L, &lab->sandbox.marks, values[i]);
        assert_true(value_int(L, &lab->sandbox.marks, 1, &got));
        assert_int_equal(got, values[i]);
    }
    lab_expect(lab, "return tostring(9007199254740993LL + 1)", "9007199254740994");
    int64_t got;
    lab_get(lab, "return 1.5");
    assert_false(value_int(L, &lab->sandbox.marks, -1, &got));
    lab_get(lab, "return 2^60");
    assert_false(value_int(L, &lab->sandbox.marks, -1, &got));
    lab_get(lab, "return 0/0");
    assert_false(value_int(L, &lab->sandbox.marks, -1, &got));
    lab_get(lab, "return '1'");
    assert_false(value_int(L, &lab->sandbox.marks, -1, &got));
}

/* A script makes texts, and so keys, out of ids. */
static void writes_all_digits_of_integers(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *expression, *text;
    } cases[] = {
        {"'user:' .. 9007199254740993LL", "user:9007199254740993"},
        {"9007199254740993LL .. ':x'", "9007199254740993:x"},
        {"'a' .. -9223372036854775807LL - 1 .. 'b'", "a-9223372036854775808b"},
        {"1 .. 18446744073709551615ULL .. 2", "1184467440737095516152"},
        {"5LL .. 6ULL", "56"},
        {"tostring(9007199254740993LL)", "9007199254740993"},
        {"tostring(18446744073709551615ULL)", "18446744073709551615"},
        {"tostring(123456789012345)", "123456789012345"},
        {"tostring(-9007199254740992)", "-9007199254740992"},
        {"tostring(1e16)", "1e+16"},
        {"tostring(1.5)", "1.5"},
        {"string.format('%s|%d|%s', 123456789012345, 123456789012345, 9007199254740993LL)",
         "123456789012345|123456789012345|9007199254740993"},
        {"('%d'):format(9007199254740993LL)", "9007199254740993"},
        {"('%.1f'):format(123456789012345)", "123456789012345.0"},
        {"table.concat({ 1, 123456789012345, 9007199254740993LL, 'x' }, ',')",
         "1,123456789012345,9007199254740993,x"},
        {"table.concat({ 1, 2, 9007199254740993LL }, '-', 2)", "2-9007199254740993"},
        {"table.concat({ 1, 2, 3LL }, '-', 1, 2)", "1-2"},
        {"tostring(tonumber('9007199254740993'))", "9007199254740993"},
        {"tostring(tonumber(' 9007199254740993 '))", "9007199254740993"},
        {"tostring(tonumber('-9007199254740993', 10))", "-9007199254740993"},
        {"type(tonumber('9007199254740991'))", "number"},
        {"tostring(tonumber('9007199254740993LL'))", "nil"},
        {"tostring(tonumber('ff', 16))", "255"},
        {"tostring(tonumber('9007199254740993.5') == 2^53 + 2)", "true"},
        {"setmetatable({}, { __concat = function(a, b) return tostring(a) .. 'T' end }) and "
         "(5LL .. setmetatable({}, { __concat = function(a) return tostring(a) .. 'T' end }))",
         "5T"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "return %s", cases[i].expression);
        lab_expect(lab, text, cases[i].text);
    }
    lab_expect_error(lab, "return 5LL .. nil", "t26.lua:1: attempt to concatenate a nil value");
    lab_expect_error(lab, "return {} .. 5LL", "attempt to concatenate a table value");
    lab_expect_error(lab, "return 'x' .. 1i", "attempt to concatenate a cdata value");
}

/* Lua tells cdata apart by their place, not by their value. */
static void equal_integers_are_one_key_of_a_table(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    const struct value_marks *m = &lab->sandbox.marks;
    lua_settop(L, 0);
    for (int i = 0; i < 2; i++) {
        value_push_int(L, m, INT64_C(9007199254740993));
        value_push_int(L, m, INT64_C(-9007199254740993));
    }
    assert_true(lua_rawequal(L, 1, 3));
    assert_true(lua_rawequal(L, 2, 4));
    assert_false(lua_rawequal(L, 1, 2));
    value_unpack(L, m, slice_of("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    value_unpack(L, m, slice_of("\xd3\xff\xdf\xff\xff\xff\xff\xff\xff", 9));
    value_push_int(L, m, -INT64_C(9007199254740993));
    assert_false(lua_rawequal(L, 5, 6));
    assert_true(lua_rawequal(L, 6, 7));
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT, 0); /* and none is kept that no script holds */
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->wide_ref);
    lua_pushnil(L);
    assert_false(lua_next(L, 1));
    lua_settop(L, 0);
}

static void refuses_malformed_bytes(void **state)
{
    struct lab *lab = *state;
    static const struct slice cases[] = {
        {"", 0},
        {"\xc1", 1},
        {"\xa4te", 3},
        {"\x92\x01", 2},
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\x7f\xff\xff\xff", 5},
        {"\x01\x01", 2},
        {"\xd4\x01\x02", 3},
        {"\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01", 11},
        {"\x81\x01", 2},
        {"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01", 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {.lab = lab, .packed = cases[i]};
        struct err e;
        assert_int_equal(vm_protect(lab->vm, protected_round, &b, &e), ERR_SCRIPT);
        assert_true(e.text[0] != '\0');
    }
}

/* Every prefix and every changed byte of a value: an error or a value, never a crash. */
static void survive(struct lab *lab, const char *whole, size_t size)
{
    char copy[64];
    struct err e;
    for (size_t at = 0; at < size; at++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(copy, whole, size);
            copy[at] = (char)byte;
            struct bytes b = {.lab = lab, .packed = slice_of(copy, size)};
            int rc = vm_protect(lab->vm, protected_round, &b, &e);
            assert_true(rc == 0 || rc == ERR_SCRIPT);
        }
        struct bytes b = {.lab = lab, .packed = slice_of(whole, at)};
        assert_int_equal(vm_protect(lab->vm, protected_round, &b, &e), ERR_SCRIPT);
    }
}

static void survives_any_bytes(void **state)
{
    struct lab *lab = *state;
    static const char rows[] = "\x93\x82\xa1"
                               "a\x01\xa1"
                               "b\xc0\x82\xa1"
                               "a\x02\xa1"
                               "b\x90\x81\xa1"
                               "a\x91\x81\xa1"
                               "a\x03";
    static const char whole[] = "\x84\xa1"
                                "a\x93\x01\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xc0\xa1"
                                "b\x81\xa1"
                                "c\xc4\x02\xff\xfe\xa1"
                                "d\xcf\xff\xff\xff\xff\xff\xff"
                                "\xff\xff\xa1"
                                "e\xd3\x80\x00\x00\x00\x00\x00\x00\x00";
    survive(lab, whole, sizeof whole - 1);
    survive(lab, rows, sizeof rows - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(packs_every_type),
        LAB(names_the_path_to_what_it_refuses),
        LAB(gives_maps_of_every_size_their_shortest_head),
        LAB(packs_as_deep_as_it_may_be_read),
        LAB(reads_no_deeper_than_values_are),
        LAB(keeps_to_the_size_of_the_buffer),
        LAB(gives_back_the_bytes_that_it_read),
        LAB(gives_every_row_its_own_names),
        LAB(keeps_integers_exact),
        LAB(writes_all_digits_of_integers),
        LAB(equal_integers_are_one_key_of_a_table),
        LAB(refuses_malformed_bytes),
        LAB(survives_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
