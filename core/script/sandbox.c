#include "script/sandbox.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "script/packed.h"
#include "script/script_file.h"
#include "script/shape.h"
#include "script/text.h"

#include "embed_api.h"
#include "embed_prelude.h"
#include "embed_sql_loader.h"

#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

static const char park_key;

void sandbox_push_park(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&park_key);
}

bool sandbox_is_park(lua_State *L, int index)
{
    return lua_touserdata(L, index) == (const void *)&park_key;
}

static struct sandbox *self(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int raw_fail(lua_State *L)
{
    vm_fail(L, "%s", luaL_checkstring(L, 1));
}

static int raw_rethrow(lua_State *L)
{
    lua_settop(L, 1);
    return lua_error(L);
}

static int raw_has_stack(lua_State *L)
{
    lua_pushboolean(L, vm_has_stack(vm_of(L)));
    return 1;
}

/* Calls a function with the rest of the arguments, through C: what it runs cannot wait. */
static int raw_call(lua_State *L)
{
    if (!vm_has_stack(vm_of(L)))
        vm_fail(L, "calls through C functions are nested too deep");
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* An integer that Lua would write with an exponent, of which it keeps 14 digits. */
static bool is_long(double d)
{
    double size = d < 0 ? -d : d;
    return size >= 1e14 && size <= 9007199254740992.0 && d == (double)(int64_t)d;
}

/* string.format, which is the upvalue. The library's calls a __tostring from C, as deep as Lua's
 * stack goes, which is deeper than C's. Its %s of a long integer would lose digits: a text of them
 * is taken as the number by all that wants one. */
static int guarded_format(lua_State *L)
{
    bool calls = false;
    for (int i = lua_gettop(L); i > 1; i--) {
        calls = calls || lua_type(L, i) == LUA_TTABLE;
        if (lua_type(L, i) != LUA_TNUMBER || !is_long(lua_tonumber(L, i)))
            continue;
        char digits[32];
        snprintf(digits, sizeof digits, "%lld", (long long)lua_tonumber(L, i));
        lua_pushstring(L, digits);
        lua_replace(L, i);
    }
    if (calls && !vm_has_stack(vm_of(L)))
        vm_fail(L, "calls of string.format inside its own __tostring are nested too deep");
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* In place of the library's, for the prelude and the runtime too. */
static void guard_format(lua_State *L)
{
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, guarded_format, 1);
    lua_setfield(L, -2, "format");
    lua_pop(L, 1);
}

static int raw_look(lua_State *L)
{
    vm_overdue(vm_of(L));
    return 0;
}

static int raw_length(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)lua_objlen(L, 1));
    return 1;
}

/* error() of scripts. */
static int raw_throw(lua_State *L)
{
    int level = luaL_optint(L, 2, 1);
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
        luaL_where(L, level);
        lua_insert(L, 1);
        lua_concat(L, 2);
    }
    vm_note_thrown(L, 1);
    return lua_error(L);
}

/* assert() of scripts. */
static int raw_assert(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 1))
        return lua_gettop(L);
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushliteral(L, "assertion failed!");
    }
    lua_settop(L, 2);
    vm_note_thrown(L, 2);
    return lua_error(L);
}

/* The integer of 64 bits that a text of digits is, or nothing. */
static int raw_integer(lua_State *L)
{
    struct slice text;
    int64_t v;
    text.data = luaL_checklstring(L, 1, &text.size);
    if (!decimal_parse(text, &v))
        return 0;
    value_push_int(L, &self(L)->marks, v);
    return 1;
}

/* (cdata, tostring, concat): what all cdata have for those from now on. The tostring they had. */
static int raw_teach_cdata(lua_State *L)
{
    lua_settop(L, 3);
    if (lua_type(L, 1) != VM_TCDATA || !lua_getmetatable(L, 1))
        return luaL_error(L, "no cdata");
    lua_insert(L, 2);
    lua_setfield(L, 2, "__concat");
    lua_getfield(L, 2, "__tostring");
    lua_insert(L, 3);
    lua_setfield(L, 2, "__tostring");
    return 1;
}

/* The length of an array, or nil and what keeps it from being one. */
static int raw_elements(lua_State *L)
{
    char why[VALUE_WHY];
    size_t count;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (value_is_array(L, 1, &count, why, sizeof why)) {
        lua_pushnumber(L, (lua_Number)count);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* Of the metatable on top of the stack. */
static bool is_mark(lua_State *L, const struct value_marks *m)
{
    const void *metatable = lua_topointer(L, -1);
    return metatable == m->array || metatable == m->map || metatable == m->bin ||
           metatable == m->bin_array || shape_is(L, m);
}

/* Metatables of tables only: those of strings and of the runtime's objects are out of reach. */
static int raw_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1) || is_mark(L, &self(L)->marks)) {
        lua_pushnil(L);
        return 1;
    }
    lua_getfield(L, -1, "__metatable");
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    return 1;
}

static int raw_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_getmetatable(L, 1)) {
        bool mark = is_mark(L, &self(L)->marks);
        lua_pushliteral(L, "__metatable");
        lua_rawget(L, -2);
        if (!mark && !lua_isnil(L, -1))
            vm_fail(L, "this table's metatable is protected");
        lua_settop(L, 2);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* The string library behind ("x"):method(): a table that no script can reach. */
static int raw_freeze_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    return 0;
}

/* Compiles text into a function, which is pushed, and with it all functions inside. */
static int compile(lua_State *L, const char *text, size_t size, const char *chunk, bool jit)
{
    int status = luaL_loadbufferx(L, text, size, chunk, "t");
    if (status == 0)
        luaJIT_setmode(L, -1, LUAJIT_MODE_ALLFUNC | (jit ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
    return status;
}

/* The text as it was before, where that is to be read again; else as it is now. */
static int read_text(struct sandbox *sb, const char *dir, const char *file, struct slice *text,
                     struct err *e)
{
    if (sb->again && file_texts_find(sb->texts, dir, file, text))
        return 0;
    struct buf b;
    buf_init(&b, SANDBOX_FILE_MAX);
    int rc = script_file_read(dir, file, &b, e);
    if (rc == 0 && !file_texts_keep(sb->texts, dir, file, buf_slice(&b)))
        rc = err_set(e, ERR_NOMEM, "%s: no memory for it", file);
    if (rc == 0)
        (void)file_texts_find(sb->texts, dir, file, text);
    buf_fini(&b);
    return rc;
}

/* Reads and compiles; pushes the function. An error's text is in e. */
static int load_file(lua_State *L, struct sandbox *sb, const char *dir, const char *file,
                     struct err *e)
{
    struct slice text = {0};
    char chunk[256];
    int rc = read_text(sb, dir, file, &text, e);
    if (rc != 0)
        return rc;
    sb->read = hash_slice(text, sb->read);
    if (text.size != 0 && text.data[0] == LUA_SIGNATURE[0])
        return err_set(e, ERR_SCRIPT, "%s:1: this is bytecode; a script is text", file);
    snprintf(chunk, sizeof chunk, "@%s", file);
    int status = compile(L, text.data, text.size, chunk, sb->jit);
    if (status == LUA_ERRMEM)
        return err_set(e, ERR_NOMEM, "%s: not enough memory to compile it", file);
    return status == 0 ? 0 : err_set(e, ERR_SCRIPT, "%s", lua_tostring(L, -1));
}

/* Where the module is, or was when it is to be read again; NULL: nowhere. */
static const char *folder_of(const struct sandbox *sb, const char *file)
{
    const char *const dirs[] = {sb->scripts_dir, sb->lua_dir};
    struct slice text;
    for (int i = 0; i < 2 && sb->again; i++)
        if (dirs[i] && file_texts_find(sb->texts, dirs[i], file, &text))
            return dirs[i];
    for (int i = 0; i < 2; i++)
        if (dirs[i] && script_file_exists(dirs[i], file))
            return dirs[i];
    return NULL;
}

static int raw_load_module(lua_State *L)
{
    struct sandbox *sb = self(L);
    char file[160];
    const char *name = luaL_checkstring(L, 1);
    size_t n = 0;
    for (; n < sizeof file - 5 && name[n] != '\0'; n++)
        file[n] = name[n] == '.' ? '/' : name[n];
    strcpy(file + n, ".lua");
    struct err e;
    const char *dir = folder_of(sb, file);
    if (dir) {
        if (load_file(L, sb, dir, file, &e) != 0)
            vm_fail(L, "require \"%s\": %s", name, e.text);
    } else if (lua_toboolean(L, 2)) {
        lua_pushnil(L);
    } else {
        vm_fail(L, "require \"%s\": there is no %s in scripts or lua", name, file);
    }
    return 1;
}

void sandbox_push_api(lua_State *L)
{
    if (compile(L, embed_api, embed_api_size, "=rtcache", false) != 0)
        lua_error(L);
}

void sandbox_push_sql_loader(lua_State *L)
{
    if (compile(L, embed_sql_loader, embed_sql_loader_size, "=rtcache", false) != 0)
        lua_error(L);
}

void sandbox_add_primitives(lua_State *L)
{
    sandbox_push_park(L);
    lua_setfield(L, -2, "park");
    lua_pushcfunction(L, raw_fail);
    lua_setfield(L, -2, "fail");
    lua_pushcfunction(L, raw_rethrow);
    lua_setfield(L, -2, "rethrow");
    lua_pushcfunction(L, raw_has_stack);
    lua_setfield(L, -2, "has_stack");
    lua_pushcfunction(L, raw_elements);
    lua_setfield(L, -2, "elements");
}

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
}

static void push_primitives(lua_State *L, struct sandbox *sb)
{
    static const luaL_Reg with_self[] = {
        {"getmetatable", raw_getmetatable},
        {"setmetatable", raw_setmetatable},
        {"load_module", raw_load_module},
        {"integer", raw_integer},
    };
    static const luaL_Reg plain[] = {
        {"call", raw_call},
        {"throw", raw_throw},
        {"assert", raw_assert},
        {"length", raw_length},
        {"look", raw_look},
        {"freeze_strings", raw_freeze_strings},
        {"teach_cdata", raw_teach_cdata},
    };
    lua_newtable(L);
    sandbox_add_primitives(L);
    text_add(L);
    for (size_t i = 0; i < sizeof with_self / sizeof *with_self; i++) {
        lua_pushlightuserdata(L, sb);
        lua_pushcclosure(L, with_self[i].func, 1);
        lua_setfield(L, -2, with_self[i].name);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        lua_pushcfunction(L, plain[i].func);
        lua_setfield(L, -2, plain[i].name);
    }
    lua_pushcfunction(L, luaopen_ffi);
    lua_pushstring(L, LUA_FFILIBNAME);
    lua_call(L, 1, 1);
    lua_setfield(L, -2, "ffi");
}

static int protected_open(lua_State *L)
{
    struct sandbox *sb = lua_touserdata(L, 1);
    open_library(L, "", luaopen_base);
    open_library(L, LUA_TABLIBNAME, luaopen_table);
    open_library(L, LUA_STRLIBNAME, luaopen_string);
    guard_format(L);
    open_library(L, LUA_MATHLIBNAME, luaopen_math);
    open_library(L, LUA_BITLIBNAME, luaopen_bit);
    open_library(L, LUA_OSLIBNAME, luaopen_os);
    lua_getglobal(L, LUA_MATHLIBNAME);
    lua_getfield(L, -1, "randomseed");
    lua_pushnumber(L, (lua_Number)clock_us());
    lua_call(L, 1, 0);
    push_primitives(L, sb); /* opens ffi, which the prelude's literals would open a second time */
    if (compile(L, embed_prelude, embed_prelude_size, "=rtcache", false) != 0)
        return lua_error(L);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "new_env");
    sb->new_env = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "make_integer");
    lua_getfield(L, -2, "integer_kind");
    int top = lua_gettop(L);
    value_setup(L, &sb->marks, top - 1, top);
    packed_setup(L, &sb->marks);
    return 0;
}

int sandbox_init(struct sandbox *sb, struct vm *vm, const char *scripts_dir, const char *lua_dir,
                 const struct sandbox *before, struct err *e)
{
    *sb = (struct sandbox){.vm = vm};
    sb->scripts_dir = strdup(scripts_dir);
    sb->lua_dir = lua_dir ? strdup(lua_dir) : NULL;
    sb->again = before != NULL;
    sb->texts = before ? file_texts_ref(before->texts) : file_texts_new();
    int rc = 0;
    if (!sb->scripts_dir || !sb->texts || (lua_dir && !sb->lua_dir))
        rc = err_set(e, ERR_NOMEM, "no memory for the sandbox");
    if (rc == 0)
        rc = vm_reserve(vm, e);
    if (rc == 0)
        rc = vm_protect(vm, protected_open, sb, e);
    vm_reserve_end(vm);
    if (rc != 0)
        sandbox_fini(sb);
    return rc;
}

void sandbox_fini(struct sandbox *sb)
{
    free(sb->scripts_dir);
    free(sb->lua_dir);
    sb->scripts_dir = sb->lua_dir = NULL;
    file_texts_unref(sb->texts);
    sb->texts = NULL;
}

/* From then on it is each function's own mark that keeps it interpreted. */
static int protected_open_jit(lua_State *L)
{
    open_library(L, LUA_JITLIBNAME, luaopen_jit); /* finds out what the processor can */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    return 0;
}

int sandbox_jit_on(struct sandbox *sb, struct err *e)
{
    int rc = sb->jit_is_open ? 0 : vm_protect(sb->vm, protected_open_jit, NULL, e);
    sb->jit = sb->jit_is_open = rc == 0;
    return rc;
}

void sandbox_jit_off(struct sandbox *sb)
{
    sb->jit = false;
}

struct loading {
    struct sandbox *sb;
    const char *file;
    int api, ref, rc;
    struct err *e;
};

static int protected_load(lua_State *L)
{
    struct loading *l = lua_touserdata(L, 1);
    l->rc = load_file(L, l->sb, l->sb->scripts_dir, l->file, l->e);
    if (l->rc != 0)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, l->sb->new_env);
    if (l->api == LUA_NOREF)
        lua_pushnil(L);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, l->api);
    lua_call(L, 1, 1);
    lua_setfenv(L, -2);
    l->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int sandbox_load(struct sandbox *sb, const char *file, int api, int *ref, struct err *e)
{
    struct loading l = {.sb = sb, .file = file, .api = api, .e = e};
    int rc = vm_protect(sb->vm, protected_load, &l, e);
    *ref = l.ref;
    return rc != 0 ? rc : l.rc;
}
