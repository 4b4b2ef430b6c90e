#include "script/lab.h"

#include "script/kept.h"

#define TABLE_LEAST 64

/* Bytes of one value, and what another one adds to them. */
struct counting {
    size_t first, second;
};

static int protected_count(lua_State *L)
{
    struct counting *c = lua_touserdata(L, 1);
    struct kept k;
    kept_init(L, &k);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    kept_skip(L, &k);
    lua_getfield(L, LUA_REGISTRYINDEX, "first");
    c->first = kept_count(L, &k);
    lua_getfield(L, LUA_REGISTRYINDEX, "second");
    c->second = kept_count(L, &k);
    kept_fini(L, &k);
    return 0;
}

/* Of the two elements of the list that the text returns. */
static struct counting count(struct lab *lab, const char *text)
{
    struct err e;
    struct counting c = {0};
    lab_get(lab, text);
    lua_State *L = lab->vm->L;
    lua_rawgeti(L, -1, 2);
    lua_setfield(L, LUA_REGISTRYINDEX, "second");
    lua_rawgeti(L, -1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "first");
    lua_settop(L, 0);
    assert_int_equal(vm_protect_past_max(lab->vm, protected_count, &c, &e), 0);
    return c;
}

static void counts_what_is_reached_in_any_way(void **state)
{
    struct lab *lab = *state;
    static const char *const ways[] = {
        "return { { ('x'):rep(1e6) } }",
        "return { { [('x'):rep(1e6)] = true } }",
        "return { { [{ ('x'):rep(1e6) }] = { 1 } } }",
        "local s = ('x'):rep(1e6) return { function() return s end }",
        "local t = {} t.t = t t.s = ('x'):rep(1e6) return { t }",
        "kept = ('x'):rep(1e6) return { function() end }", /* a global of its environment */
        "return { setmetatable({}, { __index = { ('x'):rep(1e6) } }) }",
        "local co = coroutine.create(function()\n"
        "  local function inner() local s = ('x'):rep(1e6) coroutine.yield() return s end\n"
        "  inner() end)\n"
        "coroutine.resume(co)\n"
        "return { co }",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        size_t bytes = count(lab, ways[i]).first;
        if (bytes < 1000000 || bytes > 1100000)
            fail_msg("%s: %zu", ways[i], bytes);
    }
}

static void counts_what_two_share_once(void **state)
{
    struct lab *lab = *state;
    struct counting c = count(lab, "local t = {} for i = 1, 1000 do t[i] = { i .. 'a' } end\n"
                                   "return { t, { t, ('x'):rep(1e5) } }");
    assert_true(c.first > 1000 * (TABLE_LEAST + 8) && c.first < 200000);
    assert_true(c.second >= 100000 && c.second < 101000);
}

static void counts_no_weak_references(void **state)
{
    struct lab *lab = *state;
    assert_true(count(lab, "local big = { ('x'):rep(1e6) }\n"
                           "return { setmetatable({ [big] = 1 }, { __mode = 'k' }), big }")
                    .first < 1000);
    assert_true(count(lab, "local big = { ('x'):rep(1e6) }\n"
                           "return { setmetatable({ big }, { __mode = 'v' }), big }")
                    .first < 1000);
}

static void takes_no_depth_from_the_stack(void **state)
{
    struct lab *lab = *state;
    size_t bytes =
        count(lab, "local list for i = 1, 1e5 do list = { list } end return { list }").first;
    assert_true(bytes >= 100000 * TABLE_LEAST);
    bytes = count(lab, "local f = print for i = 1, 1e4 do local g = f f = function() return g() "
                       "end end return { f }")
                .first;
    assert_true(bytes >= 10000 * 40);
}

/* As LuaJIT counts it itself, within the spare room of tables. */
static void comes_close_to_what_is_allocated(void **state)
{
    struct lab *lab = *state;
    struct err e;
    static const char *const texts[] = {
        "local t = {} for i = 1, 100000 do t[i] = {} end return { t }",
        "local t = {} for i = 1, 100000 do t[i] = 'text ' .. i end return { t }",
        "local t = {} for i = 1, 100000 do t['text ' .. i] = i end return { t }",
        "local t = {} for i = 1, 50000 do t[i] = function() return i end end return { t }",
        "local t = {} for i = 1, 50000 do t[i] = { a = i, b = { i } } end return { t }",
        "local t = {} for i = 1, 1e4 do t[i] = coroutine.create(function() end) end return { t }",
        "local t = {} for i = 1, 100000 do t[i] = 1LL * i end return { t }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(count(lab, "return {}").first, 0);
        assert_int_equal(vm_collect(lab->vm, &e), 0);
        size_t before = lab->vm->used;
        size_t bytes = count(lab, texts[i]).first;
        assert_int_equal(vm_collect(lab->vm, &e), 0);
        size_t taken = lab->vm->used - before;
        if (bytes > taken * 11 / 10 || bytes < taken / 2)
            fail_msg("%s: %zu, and %zu were allocated", texts[i], bytes, taken);
    }
}

/* So many more of them: what is counted, and what LuaJIT has allocated. */
static void counts_each_kind_to_the_byte(void **state)
{
    struct lab *lab = *state;
    static const struct {
        const char *make;
        size_t bytes;
    } kinds[] = {
        {"{}", 64},
        {"function() end", 40},
        {"function() return i end", 96},
        {"1LL * i", 24},
        {"('%%04d a text'):format(i)", 25 + 11},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t bytes[2], used[2];
        for (int more = 0; more < 2; more++) {
            char text[300], format[300];
            struct err e;
            snprintf(format, sizeof format,
                     "local t = {} for i = 1, 512 do t[i] = false end\n"
                     "for i = 1, %%d do t[i] = %s end return { t }",
                     kinds[i].make);
            snprintf(text, sizeof text, format, more ? 300 : 200);
            bytes[more] = count(lab, text).first;
            lua_pushnil(lab->vm->L);
            lua_setfield(lab->vm->L, LUA_REGISTRYINDEX, "second");
            for (int k = 0; k < 3; k++)
                assert_int_equal(vm_collect(lab->vm, &e), 0);
            used[more] = lab->vm->used;
        }
        if (bytes[1] - bytes[0] != 100 * kinds[i].bytes ||
            used[1] - used[0] != 100 * kinds[i].bytes)
            fail_msg("%s: %zu counted, %zu allocated", kinds[i].make, bytes[1] - bytes[0],
                     used[1] - used[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(counts_what_is_reached_in_any_way), LAB(counts_what_two_share_once),
        LAB(counts_no_weak_references),         LAB(takes_no_depth_from_the_stack),
        LAB(comes_close_to_what_is_allocated),  LAB(counts_each_kind_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
