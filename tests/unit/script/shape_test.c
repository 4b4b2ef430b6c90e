#include "script/lab.h"

#include "wire/mp.h"
#include "wire/mpw.h"

static void unpack(struct lab *lab, const char *bytes, size_t size)
{
    lua_settop(lab->vm->L, 0);
    value_unpack(lab->vm->L, &lab->sandbox.marks, slice_of(bytes, size));
}
#define UNPACK(lab, bytes) unpack(lab, bytes, sizeof(bytes) - 1)

/* What is on top of the stack, packed. */
static void packs(struct lab *lab, const char *bytes, size_t size)
{
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    if (value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, bytes, size);
    buf_fini(&out);
}
#define PACKS(lab, bytes) packs(lab, bytes, sizeof(bytes) - 1)

#define KEEPS(lab, bytes)                                                                          \
    do {                                                                                           \
        UNPACK(lab, bytes);                                                                        \
        PACKS(lab, bytes);                                                                         \
    } while (0)

static void a_map_keeps_the_order_of_its_keys(void **state)
{
    struct lab *lab = *state;
    KEEPS(lab, "\x83\xa1z\x01\xa1"
               "a\x02\xa1m\x03");
    KEEPS(lab, "\x92\x82\xa1z\x01\xa1"
               "a\x02\x82\xa1z\x01\xa1"
               "a\xc0");
    KEEPS(lab, "\x92\x82\xa1z\x01\xa1"
               "a\x02\x82\xa1"
               "a\x01\xa1z\x02");
    KEEPS(lab, "\x82\xa1z\x82\xa1y\x01\xa1x\x02\xa1"
               "a\x91\x82\xa1q\x01\xa1p\x02");
    KEEPS(lab, "\x80");
    KEEPS(lab, "\x83\xa7__index\x01\xabmetatable__\x02\xa0\x03");
}

/* A row inside a row has names of its own, some of them those of the row around it. */
static void a_row_inside_a_row_does_not_take_its_order(void **state)
{
    struct lab *lab = *state;
    KEEPS(lab, "\x92\x82\xa1z\x92\x82\xa1y\x01\xa1"
               "a\x02\x82\xa1y\x01\xa1"
               "a\x02\xa1"
               "a\x01\x82\xa1z\x91\x82\xa1"
               "b\x01\xa1"
               "a\x02\xa1"
               "a\x01");
}

static void what_a_script_adds_stands_behind_by_name(void **state)
{
    struct lab *lab = *state;
    UNPACK(lab, "\x83\xa1z\x01\xa1"
                "a\x02\xa1m\x03");
    lua_pushinteger(lab->vm->L, 7);
    lua_setfield(lab->vm->L, -2, "y");
    lua_pushinteger(lab->vm->L, 8);
    lua_setfield(lab->vm->L, -2, "b");
    lua_pushnil(lab->vm->L);
    lua_setfield(lab->vm->L, -2, "a");
    PACKS(lab, "\x84\xa1z\x01\xa1m\x03\xa1"
               "b\x08\xa1y\x07");
}

static void bytes_stay_bytes_as_long_as_they_are_those_that_came(void **state)
{
    struct lab *lab = *state;
    KEEPS(lab, "\x82\xa1z\xc4\x01"
               "a\xa1"
               "a\xa1x");
    KEEPS(lab, "\x81\xa1z\xc4\x00");
    KEEPS(lab, "\x93\xc4\x01"
               "a\xc0\xc4\x00");
    KEEPS(lab, "\x92\xc4\x01\xff\xa1"
               "a");
    UNPACK(lab, "\x82\xa1z\xc4\x01"
                "a\xa1y\xc4\x01"
                "b");
    lua_pushliteral(lab->vm->L, "text");
    lua_setfield(lab->vm->L, -2, "z");
    PACKS(lab, "\x82\xa1z\xa4text\xa1y\xc4\x01"
               "b");
}

/* What Lua cannot tell from a text is packed as one where it is one, and else as bytes. */
static void a_map_whose_keys_are_bytes_keeps_what_one_of_texts_keeps(void **state)
{
    struct lab *lab = *state;
    KEEPS(lab, "\x82\xc4\x01\xff\x01\xa0\xc4\x00");
    KEEPS(lab, "\x82\xa1z\xc4\x01"
               "a\xc4\x01\xfe\x02");
    KEEPS(lab, "\x91\x82\xc4\x01\xff\xc4\x01"
               "a\xc4\x01\xfe\xa1"
               "b");
    UNPACK(lab, "\x82\xa1\xff\x01\xc4\x01"
                "a\xc4\x01"
                "b");
    PACKS(lab, "\x82\xc4\x01\xff\x01\xa1"
               "a\xc4\x01"
               "b");
    UNPACK(lab, "\x93\x81\xa1z\xc4\x00\x81\xc4\x01z\xc4\x00\x81\xa1z\xc4\x00");
    PACKS(lab, "\x93\x81\xa1z\xc4\x00\x81\xa1z\xc4\x00\x81\xa1z\xc4\x00");
    UNPACK(lab, "\x82\xa1z\x01\xc4\x01z\x02");
    PACKS(lab, "\x81\xa1z\x02");
}

static void a_key_that_came_twice_is_packed_once(void **state)
{
    struct lab *lab = *state;
    UNPACK(lab, "\x83\xa1z\x01\xa1"
                "a\x02\xa1z\x03");
    PACKS(lab, "\x82\xa1z\x03\xa1"
               "a\x02");
}

static void scripts_do_not_see_it(void **state)
{
    struct lab *lab = *state;
    UNPACK(lab, "\x82\xa1z\xc4\x01"
                "a\xa1"
                "a\x02");
    lua_State *L = lab->vm->L;
    assert_int_equal(lua_getmetatable(L, 1), 1);
    lua_getfield(L, -1, "__metatable");
    assert_true(lua_isboolean(L, -1) && !lua_toboolean(L, -1));
}

/* A row as a query gives it, of so many columns; what: another thing is done to it. */
static void push_row(struct lab *lab, unsigned columns, unsigned what)
{
    lua_State *L = lab->vm->L;
    struct buf row;
    char name[16];
    buf_init(&row, 0);
    assert_int_equal(mpw_map(&row, columns), 0);
    for (unsigned i = 0; i < columns; i++) {
        snprintf(name, sizeof name, "c%u", columns - i);
        assert_int_equal(mpw_cstr(&row, name), 0);
        assert_int_equal(what == 1 && i == 0 ? mpw_bin(&row, slice_str("b"))
                         : i % 3 == 2        ? mpw_cstr(&row, "text")
                                             : mpw_int(&row, i),
                         0);
    }
    value_unpack(L, &lab->sandbox.marks, buf_slice(&row));
    buf_fini(&row);
    if (what == 2) { /* one more */
        lua_pushinteger(L, 1);
        lua_setfield(L, -2, "a");
    } else if (what == 3) { /* one less */
        lua_pushnil(L);
        lua_setfield(L, -2, "c1");
    } else if (what == 4) { /* another for one of them */
        lua_pushnil(L);
        lua_setfield(L, -2, "c1");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "x1");
    } else if (what == 5) { /* other values */
        lua_newtable(L);
        lua_setfield(L, -2, "c1");
    } else if (what == 6) { /* what cannot be packed */
        lua_pushcfunction(L, lua_error);
        lua_setfield(L, -2, "c1");
    }
}

/* Rows of one query are packed by what was learned of the one before: the bytes are those of each
 * alone, whatever was done to some of them. */
static void a_row_is_the_same_after_any_other(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    static const unsigned columns[] = {1, 2, 5, VALUE_NAMES, VALUE_NAMES + 1};
    uint64_t x = 88172645463325252;
    for (unsigned round = 0; round < 200; round++) {
        struct value_names names;
        memset(&names, 0, sizeof names);
        lua_settop(L, 0);
        for (unsigned i = 0; i < 12; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            unsigned what = (x >> 40) % 3 == 0 ? (x >> 20) % 7 : 0;
            push_row(lab, columns[round % 2 ? (x >> 30) % 5 : round % 5], what);
            struct buf alone, after;
            struct err first, second;
            int top = lua_gettop(L);
            buf_init(&alone, 0);
            buf_init(&after, 0);
            int rc = value_pack(L, &lab->sandbox.marks, top, "value", &alone, &first);
            assert_int_equal(
                value_pack_row(L, &lab->sandbox.marks, top, &names, "value", &after, &second), rc);
            assert_int_equal(lua_gettop(L), top);
            if (rc != 0)
                assert_string_equal(first.text, second.text);
            else if (after.size != alone.size || memcmp(after.data, alone.data, alone.size) != 0)
                fail_msg("round %u, row %u, %u", round, i, what);
            buf_fini(&alone);
            buf_fini(&after);
        }
    }
}

/* What makes the next one quick, up to as many columns as there is room for. */
static void the_columns_of_a_row_are_kept_where_there_is_room(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    for (unsigned columns = 2; columns <= VALUE_NAMES + 1; columns++) { /* one has no order */
        struct value_names names;
        struct buf out;
        struct err e;
        memset(&names, 0, sizeof names);
        lua_settop(L, 0);
        push_row(lab, columns, 0);
        buf_init(&out, 0);
        assert_int_equal(value_pack_row(L, &lab->sandbox.marks, 1, &names, "value", &out, &e), 0);
        buf_fini(&out);
        bool kept = columns <= VALUE_NAMES;
        assert_int_equal(names.columns, kept ? columns : 0);
        assert_int_equal(names.shape != NULL, kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(a_map_keeps_the_order_of_its_keys),
        LAB(a_row_inside_a_row_does_not_take_its_order),
        LAB(what_a_script_adds_stands_behind_by_name),
        LAB(bytes_stay_bytes_as_long_as_they_are_those_that_came),
        LAB(a_map_whose_keys_are_bytes_keeps_what_one_of_texts_keeps),
        LAB(a_key_that_came_twice_is_packed_once),
        LAB(scripts_do_not_see_it),
        LAB(a_row_is_the_same_after_any_other),
        LAB(the_columns_of_a_row_are_kept_where_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
