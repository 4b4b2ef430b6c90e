/*
 * run_many: a run for several keys at once: what load_many is given, and what it answers.
 *
 * Shape: one copy of the keys beside the run, O(bytes); an answer is read by looking each of them
 * up in the tables that came back. Thread: the loader loop's. Limits: as many keys as the caller
 * gives; value_max for each value.
 */
#ifndef RTCACHE_BIND_RUN_MANY_H
#define RTCACHE_BIND_RUN_MANY_H

#include "bind/runtime_priv.h"

struct run_many {
    unsigned count;
    const struct glob_star *stars; /* the request's */
    struct run_many_key {
        struct slice key; /* into the same allocation, as the next */
        const struct slice *captures;
        unsigned capture_count;
        struct entry *stored;
    } keys[];
};

struct run_many *run_many_new(const struct run_request *q); /* NULL: no memory */
void run_many_free(struct run_many *m);                     /* NULL is allowed */

/* The index of that key, or -1. O(count). */
int run_many_find(const struct run_many *m, struct slice key);

/* Pushes the array of keys. Raises. */
void run_many_push_keys(lua_State *L, const struct run_many *m);

/* Pushes ctx.match, which is made when it is asked for. Raises. */
void run_many_push_match(lua_State *L, const struct runtime *rt, const struct run_many *m);

/* Sets versions and values of the ctx on top. Raises. */
void run_many_set_context(lua_State *L, struct run *r, const struct run_request *q);

/* load_many's values at `first`, its options after them, read into out->many. May raise "not enough
 * memory"; what was read until then is out's. */
void run_many_read(lua_State *L, const struct run *r, int first, struct run_result *out);

/* rtcache.poison(key, err), with the runtime as upvalue. */
int run_many_lua_poison(lua_State *L);

#endif
