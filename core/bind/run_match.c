#include "bind/run_match.h"

static void push_text(lua_State *L, struct slice s)
{
    lua_pushlstring(L, s.size ? s.data : "", s.size);
}

void run_match_push(lua_State *L, const struct value_marks *m, const struct slice *captures,
                    unsigned count, const struct glob_star *stars)
{
    lua_createtable(L, (int)count, 0);
    for (unsigned i = 0; i < count; i++) {
        push_text(L, captures[i]);
        lua_rawseti(L, -2, (int)i + 1);
        if (!stars || stars[i].type == GLOB_ANY)
            continue;
        push_text(L, stars[i].name);
        if (stars[i].type == GLOB_INT)
            value_push_int(L, m, glob_int(captures[i]));
        else
            lua_rawgeti(L, -2, (int)i + 1);
        lua_rawset(L, -3);
    }
}
