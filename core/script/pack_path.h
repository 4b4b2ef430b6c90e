/*
 * pack_path: the way from the root of a value to the part of it that is packed now, for errors:
 * value.items[3].price.
 *
 * Shape: a chain of steps on the C stack, the innermost first. Thread: the VM's. Limits:
 * PACK_PATH_MAX bytes of text, the rest is cut.
 */
#ifndef RTCACHE_SCRIPT_PACK_PATH_H
#define RTCACHE_SCRIPT_PACK_PATH_H

#include <lua.h>

#define PACK_PATH_MAX 200

/* One step of the way from the root to the value that is packed now; on the C stack. */
struct pack_step {
    const struct pack_step *up;
    const void *table; /* where the step starts: finds cycles */
    int key;           /* its stack index; 0: the number is the key */
    lua_Number number;
};

void pack_path_print(lua_State *L, const char *root, const struct pack_step *at,
                     char out[PACK_PATH_MAX]);

#endif
