#include "bind/run_error.h"

#include "base/utf8.h"
#include "bind/run_many.h"

#include <stdio.h>
#include <string.h>

#define CLASSES_MAX 8 /* from an error object up */

/* ---- codes ---- */

/* Those of the server's that a script may give: what a query, a value or a request can be. */
static const int given[] = {
    ERR_LOAD_FAILED,      ERR_SCRIPT,       ERR_BAD_VALUE, ERR_TOO_LARGE,    ERR_BAD_REQUEST,
    ERR_BAD_KEY,          ERR_TIMEOUT,      ERR_BACKEND,   ERR_BACKEND_DOWN, ERR_OVERLOADED,
    ERR_VERSION_CONFLICT, ERR_LOAD_TIMEOUT, ERR_NOMEM,     ERR_CANCELLED,    ERR_SHUTDOWN,
};

/* Words that clients act on by themselves: Redis' (they redirect, wait, authenticate or load a
 * script again), and those that our own clients make on their side. */
static const char *const foreign[] = {
    "ASK",          "BUSY",     "BUSYGROUP", "BUSYKEY",    "CLUSTERDOWN", "CROSSSLOT", "ERR",
    "EXECABORT",    "FAILOVER", "INPROG",    "INVALIDOBJ", "IOERR",       "LOADING",   "MASTERDOWN",
    "MISCONF",      "MOVED",    "NOADDR",    "NOAUTH",     "NOGOODSLAVE", "NOGROUP",   "NOKEY",
    "NOMASTERLINK", "NOPERM",   "NOPROTO",   "NOQUORUM",   "NOREPLICAS",  "NOSCRIPT",  "NOSUB",
    "NOTBUSY",      "NOTREADY", "OOM",       "READONLY",   "REDIRECT",    "TRYAGAIN",  "UNBLOCKED",
    "UNKILLABLE",   "UNSTABLE", "WRONGPASS", "WRONGTYPE",
};
static const char *const ours[] = {"OK", "CLOSED", "UNKNOWN"};

static bool is_among(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

#define IS_AMONG(word, list) is_among(word, list, sizeof(list) / sizeof *(list))

/* 0: none of the server's. */
static int code_named(const char *word)
{
    for (int code = -1; code > -ERR_COUNT; code--)
        if (strcmp(err_name(code), word) == 0)
            return code;
    return 0;
}

static bool may_give(const struct run *r, int code, bool from_query)
{
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i] == code)
            return true;
    if (code == ERR_WRITE_UNKNOWN)
        return r->what == RUN_SAVE || r->what == RUN_REMOVE;
    return code == ERR_INTERNAL && from_query;
}

static bool is_word(struct slice s)
{
    if (s.size < 2 || s.size > ERR_WORD_MAX || s.data[0] < 'A' || s.data[0] > 'Z')
        return false;
    for (size_t i = 1; i < s.size; i++) {
        char c = s.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

/* Why a script may not give that code; NULL, and *code, where it may. */
static const char *judge(const struct run *r, struct slice word, bool from_query, int *code)
{
    if (!is_word(word))
        return "is no word of 2 to 32 capitals, digits and _";
    *code = code_named(word.data);
    if (IS_AMONG(word.data, foreign))
        return "is one that clients of Redis act on";
    if (IS_AMONG(word.data, ours) || (*code != 0 && !may_give(r, *code, from_query)))
        return "is the server's own";
    if (*code == 0)
        *code = ERR_OWN;
    return NULL;
}

/* ---- texts ---- */

/* Control characters become spaces: a message is one line, wherever it is shown. */
static void take_text(struct slice s, char *out, size_t room)
{
    size_t n = s.size < room ? s.size : utf8_cut(s.data, room - 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.data[i];
        out[i] = c < 0x20 || c == 0x7f ? ' ' : s.data[i];
    }
    out[n] = '\0';
}

/* The string or number at index. */
static struct slice text_at(lua_State *L, int index)
{
    struct slice s;
    s.data = lua_tolstring(L, index, &s.size);
    return s;
}

/* Whether the text begins with a position, "file.lua:12: ". */
static bool has_position(const char *text)
{
    const char *at = strstr(text, ".lua:");
    const char *space = strchr(text, ' ');
    if (!at || (space && space < at))
        return false;
    at += 5;
    size_t digits = strspn(at, "0123456789");
    return digits > 0 && at[digits] == ':';
}

/* Pushes the text that an object gives of itself. It is the script's code that runs: in a coroutine
 * of its own, within what is left of the run's bounds. One that waits, fails or gives something
 * else has no text. */
static bool push_own_text(lua_State *L, const struct run *r, int index)
{
    struct runtime *rt = r->rt;
    int top = lua_gettop(L);
    if (rt->reading_us <= 0 || !luaL_getmetafield(L, index, "__tostring"))
        return false;
    lua_State *co = lua_newthread(L);
    lua_insert(L, -2);
    lua_pushvalue(L, index);
    lua_xmove(L, co, 2);
    vm_enter(rt->vm, rt->reading_us, r->bytes_left > 0 ? (size_t)r->bytes_left : 0);
    int status = lua_resume(co, 1);
    struct vm_cost cost = vm_leave(rt->vm);
    rt->reading_us = cost.stopped ? 0 : rt->reading_us - cost.cpu_us;
    if (status != 0 || lua_gettop(co) == 0 || lua_type(co, -1) != LUA_TSTRING) {
        lua_settop(L, top);
        return false;
    }
    lua_xmove(co, L, 1);
    return true;
}

/* ---- tables ---- */

/* The field stays on the stack. */
static int push_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, index);
    return lua_type(L, -1);
}

/* The same of an object or of its classes: where an __index is a table, the field is looked for
 * there. No code of the script runs for it. */
static int push_inherited(lua_State *L, int index, const char *name)
{
    lua_pushvalue(L, index);
    int at = lua_gettop(L), type;
    for (int classes = 0;; classes++) {
        type = push_field(L, at, name);
        if (type != LUA_TNIL || classes == CLASSES_MAX || !luaL_getmetafield(L, at, "__index") ||
            !lua_istable(L, -1))
            break;
        lua_replace(L, at);
        lua_settop(L, at);
    }
    lua_settop(L, at + 1);
    lua_replace(L, at);
    return type;
}

/* The mark of rtcache.poison. */
static void read_poison(lua_State *L, const struct run *r, int index, struct run_result *out)
{
    int type = push_field(L, index, "poison");
    out->poisoned = r->many && lua_toboolean(L, -1);
    out->poison = -1;
    if (out->poisoned && type == LUA_TSTRING)
        out->poison = run_many_find(r->many, text_at(L, -1));
}

/* A table that the runtime made of a query's failure. */
static bool is_of_query(lua_State *L, const struct run *r, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->rt->error);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

static void read_message(lua_State *L, const struct run *r, int index, char *out, size_t room)
{
    int type = push_field(L, index, "message");
    bool found = type == LUA_TSTRING || type == LUA_TNUMBER || push_own_text(L, r, index);
    if (!found && type == LUA_TNIL) {
        type = push_inherited(L, index, "message");
        found = type == LUA_TSTRING || type == LUA_TNUMBER;
    }
    if (found)
        take_text(text_at(L, -1), out, room);
    else if (type != LUA_TNIL)
        snprintf(out, room, "the error's message is a %s, not a text", lua_typename(L, type));
    else if (push_inherited(L, index, "code") == LUA_TSTRING)
        take_text(text_at(L, -1), out, room);
    else
        snprintf(out, room, "an error table without a message");
}

/* The code at index, and in its place a refusal that names it. */
static void read_code(lua_State *L, const struct run *r, int index, struct run_result *out)
{
    char name[48], text[ERR_TEXT_MAX];
    int type = push_inherited(L, index, "code");
    int code = ERR_LOAD_FAILED;
    const char *refused = NULL;
    struct slice word = {0};
    if (type == LUA_TSTRING) {
        word = text_at(L, -1);
        refused = judge(r, word, is_of_query(L, r, index), &code);
        take_text(word, name, sizeof name);
    } else if (type != LUA_TNIL) {
        refused = "is no word";
        snprintf(name, sizeof name, "of type %s", lua_typename(L, type));
    }
    if (refused) {
        snprintf(text, sizeof text, "%s", out->err.text);
        err_set(&out->err, ERR_SCRIPT, "%s (the error's code \"%s\" %s: give it another)", text,
                name, refused);
        return;
    }
    out->err.code = code;
    if (code == ERR_OWN)
        snprintf(out->err.word, sizeof out->err.word, "%s", word.data);
}

/* Whether a query failed by what was in it, which one key of many may have put there: a text that
 * the column's type cannot take, a number out of its range, a result that is too large. */
static bool is_of_a_key(int code, const char *message)
{
    static const char *const starts[] = {"22", "21", "P0001", "parameter "}; /* SQLSTATE */
    if (code == ERR_BAD_VALUE || code == ERR_TOO_LARGE)
        return true;
    for (size_t i = 0; code == ERR_BACKEND && i < sizeof starts / sizeof *starts; i++)
        if (strncmp(message, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static void read_table(lua_State *L, const struct run *r, int index, const char *position,
                       struct run_result *out)
{
    char message[ERR_TEXT_MAX], where[VM_WHERE_MAX] = "";
    read_message(L, r, index, message, sizeof message);
    if (push_field(L, index, "where") == LUA_TSTRING)
        take_text(text_at(L, -1), where, sizeof where);
    if (where[0] || !has_position(message))
        err_set(&out->err, ERR_LOAD_FAILED, "%s: %s", where[0] ? where : position, message);
    else
        err_set(&out->err, ERR_LOAD_FAILED, "%s", message);
    read_code(L, r, index, out);
    out->divisible = is_of_a_key(out->err.code, message);
    if (out->err.code != ERR_SCRIPT && push_inherited(L, index, "retryable") == LUA_TBOOLEAN)
        out->err.retry = lua_toboolean(L, -1) ? 1 : -1;
}

static void read_text(lua_State *L, int index, const char *position, struct run_result *out)
{
    char text[ERR_TEXT_MAX];
    take_text(text_at(L, index), text, sizeof text);
    if (has_position(text))
        err_set(&out->err, ERR_LOAD_FAILED, "%s", text);
    else
        err_set(&out->err, ERR_LOAD_FAILED, "%s: %s", position, text);
}

/* ---- what the script gave ---- */

static void read_given(lua_State *L, const struct run *r, int index, const char *position,
                       struct run_result *out)
{
    int type = lua_type(L, index);
    luaL_checkstack(L, LUA_MINSTACK, "an error");
    out->outcome = RUN_FAILED;
    if (type == LUA_TTABLE) {
        read_table(L, r, index, position, out);
        read_poison(L, r, index, out);
    } else if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        lua_pushvalue(L, index); /* a number becomes a text where it stands */
        read_text(L, lua_gettop(L), position, out);
    } else if (push_own_text(L, r, index)) {
        read_text(L, lua_gettop(L), position, out);
    } else {
        err_set(&out->err, ERR_LOAD_FAILED, "%s: the error is a %s, not a text or a table",
                position, lua_typename(L, type));
    }
    out->retryable = err_may_retry(&out->err);
}

void run_error_read_given(lua_State *L, const struct run *r, int index, struct run_result *out)
{
    char position[VM_WHERE_MAX];
    run_position(r, position, sizeof position);
    read_given(L, r, index, position, out);
}

void run_error_read_thrown(lua_State *L, const struct run *r, struct run_result *out)
{
    int index = lua_gettop(L);
    char position[VM_WHERE_MAX];
    bool thrown = vm_was_thrown(L, index);
    if (thrown && r->rt->vm->thrown_where[0] != '\0')
        snprintf(position, sizeof position, "%s", r->rt->vm->thrown_where);
    else
        run_position(r, position, sizeof position);
    read_given(L, r, index, position, out);
    if (!thrown && lua_type(L, index) == LUA_TSTRING) {
        out->err.code = ERR_SCRIPT; /* Lua's own or the runtime's */
        out->retryable = false;
        out->divisible = true;
    }
}
