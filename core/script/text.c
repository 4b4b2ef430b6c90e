#include "script/text.h"

#include "script/pattern.h"

static bool overdue(void *vm)
{
    return vm_overdue(vm);
}

static struct slice check_slice(lua_State *L, int index)
{
    struct slice s;
    s.data = luaL_checklstring(L, index, &s.size);
    return s;
}

/* Where a search begins: init as in string.find, negative from the end. */
static const char *begin_of(lua_State *L, int index, struct slice s)
{
    lua_Number init = luaL_optnumber(L, index, 1);
    if (init < 0)
        init += (lua_Number)s.size + 1;
    if (!(init >= 1))
        init = 1;
    return init > (lua_Number)s.size ? s.data + s.size : s.data + (size_t)init - 1;
}

static void check_problem(lua_State *L, const struct pattern *p)
{
    if (p->problem)
        vm_fail(L, "%s", p->problem);
}

static void push_capture(lua_State *L, const struct pattern *p, int i)
{
    const struct pattern_capture *c = &p->capture[i];
    if (c->size == PATTERN_OPEN)
        vm_fail(L, "unfinished capture");
    if (c->size == PATTERN_POSITION)
        lua_pushnumber(L, (lua_Number)(c->at - p->subject.data + 1));
    else
        lua_pushlstring(L, c->at, (size_t)c->size);
}

/* The captures, or the whole match from..to where there are none; how many. */
static int push_captures(lua_State *L, const struct pattern *p, const char *from, const char *to)
{
    luaL_checkstack(L, PATTERN_CAPTURES + 4, "captures");
    if (p->captures == 0 && from) {
        lua_pushlstring(L, from, (size_t)(to - from));
        return 1;
    }
    for (int i = 0; i < p->captures; i++)
        push_capture(L, p, i);
    return p->captures;
}

/* Takes the anchor off the pattern. */
static bool take_anchor(struct slice *pattern)
{
    if (pattern->size == 0 || pattern->data[0] != '^')
        return false;
    pattern->data++;
    pattern->size--;
    return true;
}

static int search(lua_State *L, bool find)
{
    struct slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    const char *at = begin_of(L, 3, s), *end;
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(pattern))) {
        at = pattern_find_plain(slice_of(at, (size_t)(s.data + s.size - at)), pattern);
        end = at ? at + pattern.size : NULL;
    } else {
        struct pattern p;
        bool anchored = take_anchor(&pattern);
        pattern_init(&p, s, pattern, overdue, vm_of(L));
        at = pattern_search(&p, at, anchored, &end);
        check_problem(L, &p);
        if (at && !find)
            return push_captures(L, &p, at, end);
        if (at) {
            lua_pushnumber(L, (lua_Number)(at - s.data + 1));
            lua_pushnumber(L, (lua_Number)(end - s.data));
            return 2 + push_captures(L, &p, NULL, NULL);
        }
    }
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushnumber(L, (lua_Number)(at - s.data + 1));
    lua_pushnumber(L, (lua_Number)(end - s.data));
    return 2;
}

static int text_find(lua_State *L)
{
    return search(L, true);
}

static int text_match(lua_State *L)
{
    return search(L, false);
}

/* Upvalues: subject, pattern, offset of the next search. */
static int gmatch_next(lua_State *L)
{
    struct slice s, pattern;
    s.data = lua_tolstring(L, lua_upvalueindex(1), &s.size);
    pattern.data = lua_tolstring(L, lua_upvalueindex(2), &pattern.size);
    size_t offset = (size_t)lua_tonumber(L, lua_upvalueindex(3));
    if (offset > s.size)
        return 0;
    struct pattern p;
    const char *end;
    pattern_init(&p, s, pattern, overdue, vm_of(L));
    const char *at = pattern_search(&p, s.data + offset, false, &end);
    check_problem(L, &p);
    if (!at)
        return 0;
    lua_pushnumber(L, (lua_Number)(end - s.data) + (end == at));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, &p, at, end);
}

static int text_gmatch(lua_State *L)
{
    check_slice(L, 1);
    check_slice(L, 2);
    lua_settop(L, 2);
    lua_pushnumber(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* The replacement text with its %0 to %9. */
static void add_template(lua_State *L, luaL_Buffer *b, const struct pattern *p, const char *from,
                         const char *to)
{
    struct slice t;
    t.data = lua_tolstring(L, 3, &t.size);
    for (size_t i = 0; i < t.size; i++) {
        char c = t.data[i];
        if (c == '%' && i + 1 < t.size)
            c = t.data[++i];
        else if (c != '%') {
            luaL_addchar(b, c);
            continue;
        }
        if (c < '0' || c > '9') {
            luaL_addchar(b, c);
        } else if (c == '0' || (c == '1' && p->captures == 0)) {
            luaL_addlstring(b, from, (size_t)(to - from));
        } else {
            if (c - '1' >= p->captures)
                vm_fail(L, "invalid capture index in the replacement");
            push_capture(L, p, c - '1');
            luaL_addvalue(b);
        }
    }
}

/* What a table or a function says for the match. */
static void add_answer(lua_State *L, luaL_Buffer *b, const struct pattern *p, const char *from,
                       const char *to)
{
    if (lua_type(L, 3) == LUA_TTABLE) {
        if (p->captures == 0)
            lua_pushlstring(L, from, (size_t)(to - from));
        else
            push_capture(L, p, 0);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, p, from, to), 1);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, from, (size_t)(to - from));
    } else if (!lua_isstring(L, -1)) {
        vm_fail(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(b);
}

static int text_gsub(lua_State *L)
{
    struct slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    int type = lua_type(L, 3);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TTABLE && type != LUA_TFUNCTION)
        vm_fail(L, "string.gsub replaces by a string, a table or a function, not a %s",
                lua_typename(L, type == LUA_TNONE ? LUA_TNIL : type));
    lua_Number most = luaL_optnumber(L, 4, (lua_Number)s.size + 1);
    if (!vm_has_stack(vm_of(L)))
        vm_fail(L, "calls of string.gsub inside its own callbacks are nested too deep");
    lua_settop(L, 3);
    bool anchored = take_anchor(&pattern);
    struct pattern p;
    pattern_init(&p, s, pattern, overdue, vm_of(L));
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    const char *at = s.data, *stop = s.data + s.size;
    lua_Number done = 0;
    while (done < most) {
        const char *end = pattern_match(&p, at);
        check_problem(L, &p);
        if (end) {
            done++;
            if (type == LUA_TSTRING || type == LUA_TNUMBER)
                add_template(L, &b, &p, at, end);
            else
                add_answer(L, &b, &p, at, end);
        }
        if (end && end > at)
            at = end;
        else if (at < stop)
            luaL_addchar(&b, *at++);
        else
            break;
        if (anchored)
            break;
    }
    luaL_addlstring(&b, at, (size_t)(stop - at));
    luaL_pushresult(&b);
    lua_pushnumber(L, done);
    return 2;
}

void text_add(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", text_find}, {"match", text_match}, {"gmatch", text_gmatch}, {"gsub", text_gsub}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
}
