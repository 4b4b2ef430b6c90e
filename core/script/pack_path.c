#include "script/pack_path.h"

#include "wire/mp.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_name(const char *s, size_t size)
{
    if (size == 0 || size > 64 || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

static size_t print_key(lua_State *L, const struct pack_step *s, char *out, size_t room)
{
    if (s->key == 0)
        return (size_t)snprintf(out, room, "[%.14g]", s->number);
    size_t size;
    const char *text;
    switch (lua_type(L, s->key)) {
    case LUA_TNUMBER: return (size_t)snprintf(out, room, "[%.14g]", lua_tonumber(L, s->key));
    case LUA_TSTRING:
        text = lua_tolstring(L, s->key, &size);
        if (is_name(text, size))
            return (size_t)snprintf(out, room, ".%s", text);
        return (size_t)snprintf(out, room, "[\"%.64s\"]", text);
    default: return (size_t)snprintf(out, room, "[%s]", lua_typename(L, lua_type(L, s->key)));
    }
}

void pack_path_print(lua_State *L, const char *root, const struct pack_step *at,
                     char out[PACK_PATH_MAX])
{
    const struct pack_step *steps[MP_DEPTH_MAX + 2];
    int n = 0;
    for (const struct pack_step *s = at; s && n < MP_DEPTH_MAX + 2; s = s->up)
        steps[n++] = s;
    size_t used = (size_t)snprintf(out, PACK_PATH_MAX, "%s", root);
    while (n > 0 && used < PACK_PATH_MAX - 1)
        used += print_key(L, steps[--n], out + used, PACK_PATH_MAX - used);
}
