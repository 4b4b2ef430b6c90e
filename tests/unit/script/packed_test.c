#include "script/packed.h"

#include "script/lab.h"
#include "wire/mp.h"
#include "wire/mpw.h"

/* {id = id, name = "n", gone = nil, list = [1, 2], big = 2^53 + 1} */
static void write_row(struct buf *b, int id)
{
    int rc = mpw_map(b, 5);
    rc |= mpw_cstr(b, "id");
    rc |= mpw_int(b, id);
    rc |= mpw_cstr(b, "name");
    rc |= mpw_cstr(b, "n");
    rc |= mpw_cstr(b, "gone");
    rc |= mpw_nil(b);
    rc |= mpw_cstr(b, "list");
    rc |= mpw_array(b, 2);
    rc |= mpw_int(b, 1);
    rc |= mpw_int(b, 2);
    rc |= mpw_cstr(b, "big");
    rc |= mpw_int(b, INT64_C(9007199254740993));
    assert_int_equal(rc, 0);
}

static void write_rows(struct buf *b, unsigned count)
{
    assert_int_equal(mpw_array(b, count), 0);
    for (unsigned i = 1; i <= count; i++)
        write_row(b, (int)i);
}

/* Calls function(v, unpack, null, keep) of that body; v is a row, or that many rows. The status of
 * lua_pcall; its first result, or its error, is on the stack. */
static int call(struct lab *lab, int rows, const char *body)
{
    struct buf b;
    char text[600];
    lua_State *L = lab->vm->L;
    struct value_marks *m = &lab->sandbox.marks;
    snprintf(text, sizeof text, "return function(v, unpack, null)\n%s\nend", body);
    lab_get(lab, text);
    buf_init(&b, 0);
    if (rows < 0) {
        write_row(&b, 7);
        packed_push_row(L, m, buf_slice(&b));
    } else {
        write_rows(&b, (unsigned)rows);
        packed_push_rows(L, m, buf_slice(&b));
    }
    buf_fini(&b);
    lua_pushlightuserdata(L, m);
    lua_pushcclosure(L, packed_lua_unpack, 1);
    value_push_null(L, m);
    return lua_pcall(L, 3, 1, 0);
}

static void expect(struct lab *lab, int rows, const char *body)
{
    if (call(lab, rows, body) != 0)
        fail_msg("%s: %s", body, lua_tostring(lab->vm->L, -1));
}

static void expect_refusal(struct lab *lab, int rows, const char *body, const char *part)
{
    if (call(lab, rows, body) == 0)
        fail_msg("%s: no error", body);
    const char *text = lua_tostring(lab->vm->L, -1);
    if (!strstr(text, part) || !strstr(text, ".lua:2: "))
        fail_msg("%s: \"%s\" has no \"%s\"", body, text, part);
}

static void a_row_is_read_by_name(void **state)
{
    struct lab *lab = *state;
    expect(lab, -1, "assert(v.id == 7 and v.name == 'n' and v.gone == null)");
    expect(lab, -1, "assert(v.big == 9007199254740993LL and #v.list == 2 and v.list[2] == 2)");
    expect(lab, -1, "assert(v.nothing == nil and v[1] == nil and v[{}] == nil)");
    expect(lab, -1, "assert(type(v) == 'userdata' and tostring(v) == 'packed row (5 columns)')");
    expect(lab, -1, "v.list[1] = 9 assert(v.list[1] == 1)");
    expect(lab, -1, "assert(getmetatable(v) == nil)");
}

static void rows_are_read_by_number(void **state)
{
    struct lab *lab = *state;
    expect(lab, 3, "assert(#v == 3 and v[3].id == 3 and v[1].id == 1 and v[2].big == v[1].big)");
    expect(lab, 3, "assert(v[0] == nil and v[4] == nil and v[1.5] == nil and v[2^40] == nil)");
    expect(lab, 3, "assert(tostring(v) == 'packed rows (3)' and tostring(v[1]):find '5 columns')");
    expect(lab, 0, "assert(#v == 0 and v[1] == nil)");
}

static void nothing_can_be_changed(void **state)
{
    struct lab *lab = *state;
    expect_refusal(lab, -1, "v.id = 8", "a packed row cannot be changed: rtcache.unpack makes");
    expect_refusal(lab, 2, "v[1] = 8", "a packed row cannot be changed");
    expect_refusal(lab, -1, "return #v", "a packed row has no length");
    expect_refusal(lab, 2, "return v.id", "packed rows have no field \"id\"");
    expect_refusal(lab, 2, "rawset(v, 1, 2)", "rawset");
}

static void unpacks_into_tables(void **state)
{
    struct lab *lab = *state;
    expect(lab, -1,
           "local t = unpack(v) t.id = 8 assert(t.id == 8 and v.id == 7 and t.list[2] == 2)");
    expect(lab, 2, "local t = unpack(v) assert(#t == 2 and t[2].id == 2)");
    expect(lab, 2, "local t = unpack(v[2]) assert(t.id == 2)");
    expect_refusal(lab, -1, "local t = unpack {}", "rtcache.unpack takes what db:packed_row");
    expect_refusal(lab, -1, "local t = unpack()", "not a no value");
}

static void expect_packed(struct lab *lab, const char *body, const struct buf *expected)
{
    struct buf out;
    struct err e;
    expect(lab, 2, body);
    buf_init(&out, 0);
    if (value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(out.size, expected->size);
    assert_memory_equal(out.data, expected->data, out.size);
    buf_fini(&out);
}

static void is_packed_as_the_bytes_it_holds(void **state)
{
    struct buf b;
    buf_init(&b, 0);
    write_rows(&b, 2);
    expect_packed(*state, "return v", &b);
    buf_clear(&b);
    write_row(&b, 2);
    expect_packed(*state, "return v[2]", &b);
    buf_clear(&b);
    assert_int_equal(mpw_array(&b, 2), 0);
    write_row(&b, 1);
    write_row(&b, 1);
    expect_packed(*state, "return { v[1], unpack(v)[1] and v[1] }", &b);
    buf_fini(&b);
}

static void counts_how_deep_it_stands(void **state)
{
    struct lab *lab = *state;
    static const struct {
        int around;
        int code;
    } cases[] = {{14, 0}, {15, ERR_BAD_VALUE}}; /* the row has a list inside: two levels */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        struct err e;
        char body[120];
        snprintf(body, sizeof body, "local t = v for i = 1, %d do t = { t } end return t",
                 cases[i].around);
        expect(lab, -1, body);
        buf_init(&out, 0);
        assert_int_equal(value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e),
                         cases[i].code);
        if (cases[i].code == 0)
            assert_int_equal(mp_check(buf_slice(&out), NULL), 0);
        else
            assert_non_null(strstr(e.text, "nested too deep"));
        buf_fini(&out);
    }
}

static void a_row_keeps_its_rows_alive(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    expect(lab, 500, "local t = {} for i = 1, #v do t[i] = v[i] end return t[400]");
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    size_t held = lab->vm->used;
    lua_getfield(L, -1, "id");
    assert_int_equal(lua_tointeger(L, -1), 400);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    assert_true(lab->vm->used + 20000 < held); /* 500 rows of 45 bytes, counted by the VM */
}

static void refuses_other_bytes(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    lab_get(lab, "return function(v) return v.id end");
    struct value_marks *m = &lab->sandbox.marks;
    packed_push_row(L, m, slice_of("\x82\xa2id", 4)); /* it is not looked at any closer yet */
    assert_int_not_equal(lua_pcall(L, 1, 1, 0), 0);
    assert_non_null(strstr(lua_tostring(L, -1), "malformed bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(a_row_is_read_by_name),           LAB(rows_are_read_by_number),
        LAB(nothing_can_be_changed),          LAB(unpacks_into_tables),
        LAB(is_packed_as_the_bytes_it_holds), LAB(counts_how_deep_it_stands),
        LAB(a_row_keeps_its_rows_alive),      LAB(refuses_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
