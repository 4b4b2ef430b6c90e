#include "script/pack_places.h"

#include "script/value.h"

#include <stdio.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

/* Within 2^53, where every integer is exact. */
static bool is_integral(double d)
{
    return d >= -EXACT_MAX && d <= EXACT_MAX && d == (double)(int64_t)d;
}

/* The place that a key is of; 0: of none. */
static inline lua_Number place_of(lua_State *L, int index)
{
    lua_Number n = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
    return n >= 1 && is_integral(n) ? n : 0;
}

bool pack_places_has(lua_State *L, int index)
{
    return place_of(L, index) > 0;
}

struct pack_places pack_places_count(lua_State *L, int index)
{
    struct pack_places k = {.count = 0};
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        lua_Number place = place_of(L, -1);
        k.count++;
        k.places += place > 0;
        if (place > k.last)
            k.last = place;
    }
    return k;
}

bool pack_places_are_all(struct pack_places k)
{
    return k.places == k.count && k.last == (lua_Number)k.count;
}

/* The first element that is missing, where not all of 1 to the last are there. */
int pack_places_print_hole(lua_State *L, int index, char *out, size_t size)
{
    int i = 0;
    bool there = true;
    while (there) {
        lua_rawgeti(L, index, ++i);
        there = !lua_isnil(L, -1);
        lua_pop(L, 1);
    }
    return snprintf(out, size, "the array has no element %d: rtcache.null stands for nothing", i);
}

bool value_is_array(lua_State *L, int index, size_t *count, char *why, size_t size)
{
    struct pack_places k = pack_places_count(L, index);
    *count = k.count;
    if (pack_places_are_all(k))
        return true;
    if (k.places == k.count)
        pack_places_print_hole(L, index, why, size);
    else
        snprintf(why, size, "it has keys beside 1..n, as no array has");
    return false;
}
