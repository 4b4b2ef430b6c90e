#include "script/lab.h"

#include "script/text.h"

#include <lualib.h>

/* Ours against the library's, in a VM that has both. */
static void compare(const char *program)
{
    struct vm *vm;
    struct err e;
    assert_int_equal(vm_new(&vm, 64 << 20, &e), 0);
    lua_State *L = vm->L;
    luaL_openlibs(L);
    lua_newtable(L);
    text_add(L);
    lua_setglobal(L, "ours");
    vm_enter(vm, 60000000, 32 << 20);
    if (luaL_dostring(L, program) != 0)
        fail_msg("%s", lua_tostring(L, -1));
    vm_leave(vm);
    vm_free(vm);
}

#define SAME                                                                                       \
    "local function show(...)\n"                                                                   \
    "  local t = {}\n"                                                                             \
    "  for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end\n"                     \
    "  return table.concat(t, '|')\n"                                                              \
    "end\n"                                                                                        \
    "local function same(name, ...)\n"                                                             \
    "  local expected = { pcall(string[name], ...) }\n"                                            \
    "  local got = { pcall(ours[name], ...) }\n"                                                   \
    "  if not expected[1] and not got[1] then return end\n"                                        \
    "  local a, b = show(unpack(expected, 1, 40)), show(unpack(got, 1, 40))\n"                     \
    "  if a ~= b then error(name .. '(' .. show(...) .. '): ' .. b .. ' is not ' .. a) end\n"      \
    "end\n"

static void matches_like_the_library(void **state)
{
    (void)state;
    compare(
        SAME
        "for _, c in ipairs {\n"
        "  { 'hello world', 'o w' }, { 'hello', 'l+' }, { 'hello', '^h' }, { 'hello', '^e' },\n"
        "  { 'hello', 'o$' }, { 'hello', '' }, { '', '' }, { '', '^$' }, { 'a.b', '.', 2, true },\n"
        "  { 'key = value', '(%w+)%s*=%s*(%w+)' }, { 'THE (quick) fox', '%((%a+)%)' },\n"
        "  { 'f(a(b)c)d', '%b()' }, { 'f(a(b)c', '%b()' }, { 'hello', '()ll()' },\n"
        "  { 'x]y', '[]]' }, { 'x^y', '[%^]' }, { 'x-y', '[a%-z]' }, { 'abc123', '[^%a]+' },\n"
        "  { 'a,b,,c', '([^,]*)' }, { '\\0\\1\\0', '%z' }, { 'abcabc', '(abc)%1' },\n"
        "  { 'THE (quick) fox', '%f[%a]%a+%f[%A]' }, { 'aaa', 'a-b' }, { 'aaab', '.-b' },\n"
        "  { 'abc', 'b', -1 }, { 'abc', 'b', -2 }, { 'abc', '', 10 }, { 'abc', '', 4 },\n"
        "  { 'abc', '%' }, { 'abc', '[a' }, { 'abc', '(a' }, { 'abc', 'a)' }, { 'abc', '%1' },\n"
        "  { 'abc', '[a-' }, { 'abc', '[%' }, { 'abc', '%b' }, { 'abc', '%f' }, { 'a', '^' },\n"
        "  { 'ab', 'a?b?c?' }, { 'a$b', 'a$b' }, { 'x', '[%a-z]' }, { '-', '[%a-z]' },\n"
        "  { 'abb', '(a)(b)%2' }, { 'ab', '(a)(b)%3' }, { 'a', 'a%0' }, { 'a9', 'a%9' },\n"
        "  { 'abcdefghii', '(a)(b)(c)(d)(e)(f)(g)(h)(i)%9' }, { 'a:', 'a%:' }, { 'a/', 'a%/' },\n"
        "  { 'aXb', '%u' }, { 'a b', '%s' }, { 'a\\tb', '%c' }, { 'ff', '%x+' }, { '!', '%p' },\n"
        "} do\n"
        "  same('find', unpack(c, 1, 4)) same('match', unpack(c, 1, 3))\n"
        "  same('gsub', c[1], c[2], '<%0>') same('gsub', c[1], c[2], '%1%%')\n"
        "  same('gsub', c[1], c[2], {}) same('gsub', c[1], c[2], function(x) return x end)\n"
        "  same('gsub', c[1], c[2], 'x', 1) same('gsub', c[1], c[2], '%2')\n"
        "  same('gsub', c[1], c[2], true) same('gsub', c[1], c[2], function() return {} end)\n"
        "end\n");
}

static void walks_like_the_library(void **state)
{
    (void)state;
    compare(
        "for _, c in ipairs { { 'one two  three', '%a+' }, { 'k=v, x=y', '(%w+)=(%w+)' },\n"
        "  { 'abc', '' }, { '', '' }, { 'a,b', '[^,]*' }, { '^a^a', '^a' }, { 'aaa', '()' } } do\n"
        "  local a, b = {}, {}\n"
        "  for x, y in string.gmatch(unpack(c)) do a[#a + 1] = x .. '/' .. tostring(y) end\n"
        "  for x, y in ours.gmatch(unpack(c)) do b[#b + 1] = x .. '/' .. tostring(y) end\n"
        "  assert(table.concat(a, ';') == table.concat(b, ';'), c[2])\n"
        "end\n");
}

static void agrees_on_patterns_made_by_chance(void **state)
{
    (void)state;
    compare(
        SAME
        "math.randomseed(7)\n"
        "local atoms = { 'a', 'b', '.', '%a', '%d', '%s', '[ab]', '[^a]', '[a-c]', '(', ')', "
        "'()',\n"
        "  '%1', '%b()', '%f[%w]', '$', '^', '%%', '%.', '[%]]', '-', '1', ' ', '[', ']', '%' }\n"
        "local marks = { '', '', '', '*', '+', '-', '?' }\n"
        "local letters = { 'a', 'b', 'c', '1', ' ', '(', ')', '.', '%', '-' }\n"
        "for i = 1, 30000 do\n"
        "  local p, s = {}, {}\n"
        "  for j = 1, math.random(1, 5) do\n"
        "    p[j] = atoms[math.random(#atoms)] .. marks[math.random(#marks)]\n"
        "  end\n"
        "  for j = 1, math.random(0, 10) do s[j] = letters[math.random(#letters)] end\n"
        "  p, s = table.concat(p), table.concat(s)\n"
        "  same('find', s, p) same('match', s, p, math.random(-3, 5))\n"
        "  same('gsub', s, p, '[%0]')\n"
        "end\n");
}

static void gives_up_when_the_time_is_over(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    vm_enter(lab->vm, 5000, 32 << 20);
    lua_newtable(L);
    text_add(L);
    lua_getfield(L, -1, "find");
    lua_pushstring(L,
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    lua_pushstring(L, ".-.-.-.-.-.-.-.-.-.-.-.-b");
    assert_int_not_equal(lua_pcall(L, 2, 1, 0), 0);
    assert_non_null(strstr(lua_tostring(L, -1), "took too much time"));
    assert_true(vm_leave(lab->vm).stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_like_the_library),
        cmocka_unit_test(walks_like_the_library),
        cmocka_unit_test(agrees_on_patterns_made_by_chance),
        LAB(gives_up_when_the_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
