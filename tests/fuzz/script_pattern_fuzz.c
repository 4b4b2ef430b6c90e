/*
 * script_pattern_fuzz: a pattern, a newline and a text: our matcher against the library's, by the
 * functions that scripts call. Run: ./dev fuzz script_pattern
 */
#include "script/pattern.h"
#include "script/text.h"
#include "script/vm.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

/* The library's matcher has no budget: what takes exponential time has to be short. */
#define PATTERN_SIZE_MAX 20
#define TEXT_SIZE_MAX    16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __lsan_is_turned_off(void);

/* LuaJIT tags the addresses in its values, where LeakSanitizer does not find them. */
int __lsan_is_turned_off(void)
{
    return 1;
}

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static const char program[] =
    "local ours = ...\n"
    "local function show(ok, ...)\n"
    "  if not ok then return 'error' end\n"
    "  local t = {}\n"
    "  for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end\n"
    "  return table.concat(t, '|')\n"
    "end\n"
    "local function all(lib, s, p)\n"
    "  local t = {}\n"
    "  for a, b in lib.gmatch(s, p) do t[#t + 1] = tostring(a) .. ',' .. tostring(b) end\n"
    "  return table.concat(t, ';')\n"
    "end\n"
    "return function(s, p)\n"
    "  for _, name in ipairs { 'find', 'match' } do\n"
    "    for init = -2, 3 do\n"
    "      local a = show(pcall(string[name], s, p, init))\n"
    "      local b = show(pcall(ours[name], s, p, init))\n"
    "      if a ~= b then return name .. ' gives ' .. b .. ' not ' .. a end\n"
    "    end\n"
    "  end\n"
    "  for _, with in ipairs { '<%0>', '%1%2', { a = 'b' }, function(x) return x .. '!' end } do\n"
    "    local a, b = show(pcall(string.gsub, s, p, with)), show(pcall(ours.gsub, s, p, with))\n"
    "    if a ~= b then return 'gsub gives ' .. b .. ' not ' .. a end\n"
    "  end\n"
    "  local a, b = show(pcall(all, string, s, p)), show(pcall(all, ours, s, p))\n"
    "  if a ~= b then return 'gmatch gives ' .. b .. ' not ' .. a end\n"
    "end\n";

static struct vm *vm;

static void make_world(void)
{
    struct err e;
    expect(vm_new(&vm, 256 << 20, &e) == 0);
    luaL_openlibs(vm->L);
    expect(luaL_loadstring(vm->L, program) == 0);
    lua_newtable(vm->L);
    text_add(vm->L);
    expect(lua_pcall(vm->L, 1, 1, 0) == 0);
}

static bool at_once(void *asked)
{
    ++*(int *)asked;
    return true;
}

/* Work without end is given up at the first look. */
static void expect_bounded(struct slice text, struct slice pattern)
{
    struct pattern p;
    const char *end;
    int asked = 0;
    pattern_init(&p, text, pattern, at_once, &asked);
    const char *at = pattern_search(&p, text.data, false, &end);
    expect(asked <= 1 && p.depth == 0);
    expect(asked == 0 || (!at && p.problem));
    expect(!at || (at >= text.data && end >= at && end <= text.data + text.size));
}

/* What the VM holds does not grow with the number of inputs. */
static void expect_no_leak(void)
{
    static unsigned inputs;
    if (++inputs % 4096 != 0)
        return;
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    expect(vm->used < 8 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!vm)
        make_world();
    expect_no_leak();
    const char *newline = memchr(data ? data : (const uint8_t *)"", '\n', size);
    if (!newline)
        return 0;
    struct slice pattern = slice_of((const char *)data, (size_t)(newline - (const char *)data));
    struct slice text = slice_of(newline + 1, size - pattern.size - 1);
    expect_bounded(text, pattern);
    if (pattern.size > PATTERN_SIZE_MAX || text.size > TEXT_SIZE_MAX)
        return 0;
    if (memchr(pattern.data ? pattern.data : "", '\0', pattern.size))
        return 0; /* the library's patterns end there, ours do not */
    lua_State *L = vm->L;
    lua_pushvalue(L, 1);
    lua_pushlstring(L, text.data, text.size);
    lua_pushlstring(L, pattern.data, pattern.size);
    vm_enter(vm, 10000000, 64 << 20);
    int status = lua_pcall(L, 2, 1, 0);
    vm_leave(vm);
    expect(status == 0);
    if (lua_isstring(L, -1)) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_pop(L, 1);
    return 0;
}
