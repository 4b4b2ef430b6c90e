#include "script/lab.h"

static void shows_the_allowed_globals_and_no_others(void **state)
{
    lab_expect(
        *state,
        "local names = {}\n"
        "for k in pairs(_G) do names[#names + 1] = k end\n"
        "table.sort(names)\n"
        "return table.concat(names, ' ')",
        "_G _VERSION assert bit coroutine error getmetatable ipairs math next os pairs pcall "
        "rawequal rawget rawlen rawset require select setmetatable string table tonumber "
        "tostring type unpack xpcall");
    lab_expect(*state,
               "local names = {}\n"
               "for _, lib in ipairs { 'string', 'table', 'os', 'coroutine' } do\n"
               "  local here = {}\n"
               "  for k in pairs(_G[lib]) do here[#here + 1] = k end\n"
               "  table.sort(here)\n"
               "  names[#names + 1] = table.concat(here, ' ')\n"
               "end\n"
               "return table.concat(names, ' | ')",
               "byte char find format gmatch gsub len lower match rep reverse sub upper | "
               "concat insert remove sort | clock date time | "
               "create resume running status wrap yield");
}

static void has_no_way_out(void **state)
{
    static const char *const bodies[] = {
        "return io",
        "return ffi",
        "return jit",
        "return debug",
        "return package",
        "return load",
        "return loadstring",
        "return loadfile",
        "return dofile",
        "return newproxy",
        "return collectgarbage",
        "return getfenv",
        "return setfenv",
        "return module",
        "return gcinfo",
        "return os.execute",
        "return os.exit",
        "return os.getenv",
        "return os.remove",
        "return os.rename",
        "return os.tmpname",
        "return os.setlocale",
        "return string.dump",
        "return (''):dump",
        "return table.foreach",
        "return math.huge.x",
        "return getmetatable('')",
        "return getmetatable(1LL)",
        "return getmetatable(print)",
        "return getmetatable(coroutine.create(function() end))",
    };
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "local ok, v = pcall(function() %s%s end) return ok and v ~= nil", bodies[i],
                 strstr(bodies[i], ":dump") ? "()" : "");
        lab_get(lab, text);
        if (lua_toboolean(lab->vm->L, -1))
            fail_msg("%s", bodies[i]);
    }
    lab_expect_error(lab, "setmetatable('', {})", "table expected");
    lab_expect_error(lab, "setmetatable(1LL, {})", "table expected");
    lab_expect_error(lab, "local f = 1LL; f.x = 1", "");
    lab_expect_error(lab, "return require 'ffi'", "there is no ffi.lua");
    lab_expect_error(lab, "return require '_G'", "there is no _G.lua");
    lab_expect_error(lab, "return require 'package'", "there is no package.lua");
    lab_expect_error(lab, "return require 'x/../../y'", "require takes a module's name");
    lab_expect_error(lab, "return require 'x.'", "require takes a module's name");
    lab_expect_error(lab, "return require 'x\\0y'", "require takes a module's name");
    lab_expect_error(lab, "return require {}", "require takes a module's name");
}

static void refuses_bytecode(void **state)
{
    struct lab *lab = *state;
    struct err e;
    int ref;
    lua_State *stock = luaL_newstate();
    assert_int_equal(luaL_loadstring(stock, "return 1"), 0);
    lab_write(lab, "code.lua", "\x1bLJ\x02");
    assert_int_equal(sandbox_load(&lab->sandbox, "code.lua", LUA_NOREF, &ref, &e), ERR_SCRIPT);
    assert_string_equal(e.text, "code.lua:1: this is bytecode; a script is text");
    lua_close(stock);
    lab_expect_error(lab, "return require 'code'", "code.lua:1: this is bytecode");
}

static void keeps_scripts_apart(void **state)
{
    struct lab *lab = *state;
    lab_get(lab,
            "leaked = 1 string.upper = nil table.x = 1 math.pi = 3 os.time = nil _G.leaked = 2\n"
            "pairs = nil coroutine.wrap = nil bit.band = nil rawset(_G, 'type', nil)");
    lab_expect(
        lab,
        "return tostring(leaked) .. type(string.upper) .. type(table.x) .. math.floor(math.pi * "
        "100) .. type(os.time) .. type(pairs) .. type(coroutine.wrap) .. type(bit.band)",
        "nilfunctionnil314functionfunctionfunctionfunction");
    lab_get(lab, "string.upper = function() return 'hijacked' end");
    lab_expect(lab, "return ('a'):upper()", "A");
    lab_write(lab, "shared.lua", "count = (count or 0) + 1 return { n = count }");
    lab_expect(lab, "require 'shared' require('shared').n = 7 return tostring(require('shared').n)",
               "7");
    lab_expect(lab, "return tostring(require('shared').n)", "1");
}

static void requires_again_what_was_left_in_the_middle(void **state)
{
    struct lab *lab = *state;
    lab_write(lab, "half.lua", "coroutine.yield() return 'whole'");
    lab_expect(lab,
               "local first = coroutine.create(function() return require 'half' end)\n"
               "coroutine.resume(first)\n"
               "local second = coroutine.wrap(function() return require 'half' end)\n"
               "second()\n"
               "return second() .. ' ' .. select(2, coroutine.resume(first))",
               "whole whole");
    lab_write(lab, "snake.lua", "return require 'tail'");
    lab_write(lab, "tail.lua", "return require 'snake'");
    lab_expect_error(lab, "return require 'snake'", "the module requires itself");
    lab_write(lab, "worm.lua", "return coroutine.wrap(function() return require 'worm' end)()");
    lab_expect_error(lab, "return require 'worm'", "nested too deep");
}

/* Nor does one state draw what another one drew. */
static void seeds_the_random_numbers_itself(void **state)
{
    void *other;
    char drawn[64];
    static const char draw[] = "return math.random(2^31) .. ' ' .. math.random(2^31)";
    assert_int_equal(with_lab(&other), 0);
    lab_get(other, draw);
    snprintf(drawn, sizeof drawn, "%s", lua_tostring(((struct lab *)other)->vm->L, -1));
    assert_int_equal(without_lab(&other), 0);
    lab_get(*state, draw);
    assert_string_not_equal(lua_tostring(((struct lab *)*state)->vm->L, -1), drawn);
    lab_expect_error(*state, "math.randomseed(1)", "t2.lua:1: math.randomseed: the generator");
    lab_expect(*state, "return tostring(math.random(1, 6) <= 6 and math.random() < 1)", "true");
}

static void has_an_xpcall_over_pcall(void **state)
{
    struct lab *lab = *state;
    lab_expect(
        lab,
        "local ok, v = xpcall(function(a, b) error(a .. b, 0) end, function(e) return e .. '!' "
        "end, 'x', 'y') return tostring(ok) .. v",
        "falsexy!");
    lab_expect(lab, "return select('#', xpcall(function() return 1, nil, nil end, print)) .. ''",
               "4");
}

static void keeps_metatables_of_the_runtime_out_of_reach(void **state)
{
    struct lab *lab = *state;
    lab_expect(lab,
               "local t = setmetatable({}, { __metatable = 'mine' })\n"
               "local ok, e = pcall(setmetatable, t, {})\n"
               "return getmetatable(t) .. tostring(ok) .. e",
               "minefalset1.lua:2: this table's metatable is protected");
    lab_expect(lab, "local mt = {} return tostring(getmetatable(setmetatable({}, mt)) == mt)",
               "true");
    lab_expect(lab, "return tostring(getmetatable(setmetatable(setmetatable({}, {}), nil)))",
               "nil");
}

static void sorts_and_shifts_like_lua(void **state)
{
    struct lab *lab = *state;
    lab_expect(lab, "local t = { 3, 1, 2, 5, 4 } table.sort(t) return table.concat(t)", "12345");
    lab_expect(lab,
               "local t = { 3, 1, 2, 5, 4 } table.sort(t, function(a, b) return a > b end) return "
               "table.concat(t)",
               "54321");
    lab_get(lab, "for n = 0, 70 do\n"
                 "  local t = {}\n"
                 "  for i = 1, n do t[i] = math.random(1, 20) end\n"
                 "  table.sort(t)\n"
                 "  for i = 2, n do assert(t[i - 1] <= t[i]) end\n"
                 "  assert(#t == n)\n"
                 "end");
    lab_get(
        lab,
        "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() return true end)\n"
        "assert(#t == 100)");
    lab_expect_error(lab, "table.sort({ 1, 'x' })", "attempt to compare");
    lab_expect_error(lab, "table.sort(1)", "table.sort takes a table, not a number");
    lab_expect_error(lab, "table.sort({}, 1)", "a function to compare with, not a number");
    lab_expect(
        lab,
        "local t = { 'a', 'b' } table.insert(t, 'c') table.insert(t, 1, 'z') table.insert(t, 3, "
        "'m') return table.concat(t)",
        "zambc");
    lab_expect(
        lab,
        "local t = { 'a', 'b', 'c', 'd' } local r = table.remove(t, 2) .. table.remove(t) .. "
        "tostring(table.remove(t, 9)) return r .. table.concat(t)",
        "bdnilac");
    lab_expect(lab, "return tostring((table.remove {}))", "nil");
    lab_expect(lab, "return ('ab'):rep(3) .. ('x'):rep(2, '-') .. ('y'):rep(-1)", "abababx-x");
}

static void runs_coroutines_like_lua(void **state)
{
    struct lab *lab = *state;
    lab_expect(
        lab,
        "local co = coroutine.create(function(a, b)\n"
        "  local c = coroutine.yield(a + b)\n"
        "  local d, e = coroutine.yield(c * 2)\n"
        "  return d .. e\n"
        "end)\n"
        "local function go(...) local ok, v = coroutine.resume(co, ...) return tostring(v) end\n"
        "return go(1, 2) .. ' ' .. go(10) .. ' ' .. go('x', 'y') .. ' ' .. go()",
        "3 20 xy cannot resume dead coroutine");
    lab_expect(
        lab,
        "local s = '' for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end "
        "end) do s = s .. v end return s",
        "123");
    lab_expect_error(lab, "coroutine.wrap(function() error('inside', 0) end)()", "inside");
    lab_expect_error(lab, "coroutine.yield(1)", "coroutine.yield outside");
    lab_expect_error(lab, "coroutine.create(1)", "made of a function, not of a number");
    lab_expect_error(lab, "coroutine.resume(1)", "takes a coroutine, not a number");
    lab_expect(lab,
               "local co co = coroutine.create(function() return coroutine.resume(co) end)\n"
               "local _, ok, e = coroutine.resume(co) return tostring(ok) .. e",
               "falsecannot resume running coroutine");
    lab_expect(lab,
               "local co co = coroutine.create(function() return coroutine.running() == co end)\n"
               "return tostring(select(2, coroutine.resume(co)))",
               "true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(shows_the_allowed_globals_and_no_others),
        LAB(has_no_way_out),
        LAB(refuses_bytecode),
        LAB(keeps_scripts_apart),
        LAB(requires_again_what_was_left_in_the_middle),
        LAB(seeds_the_random_numbers_itself),
        LAB(has_an_xpcall_over_pcall),
        LAB(keeps_metatables_of_the_runtime_out_of_reach),
        LAB(sorts_and_shifts_like_lua),
        LAB(runs_coroutines_like_lua),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
