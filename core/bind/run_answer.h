/*
 * run_answer: ctx.ids and ctx:answer, for a load_many that is one query by the keys' ids.
 *
 *   local rows = ctx.db:rows("SELECT ... WHERE id = ANY($1)", ctx.ids)
 *   return ctx:answer(rows, "id", "version")
 *
 * An id is what the pattern's one star matched. Each row goes to the keys of its id, found by a
 * hash of the ids (open addressing) that is made when the answer is read, O(keys + rows); no table
 * by key is made. A packed row is taken over as it is. Thread: the loader loop's. Limits: those of
 * load_many.
 */
#ifndef RTCACHE_BIND_RUN_ANSWER_H
#define RTCACHE_BIND_RUN_ANSWER_H

#include "bind/runtime_priv.h"

/* An integer as it is printed, else a text. */
struct answer_id {
    bool whole;
    int64_t number;
    struct slice text;
};

/* A key in the hash. */
struct answer_key {
    struct answer_id id; /* placed: its row's columns, and how many, without the first */
    uint32_t row;        /* from 1; 0: none has come */
    uint32_t same;       /* another key of this id, from 1; 0: none */
};

/* An answer that is being read; lives on the stack of whoever reads. */
struct answer {
    lua_State *L;
    const struct run *r;
    int rows;            /* their stack index */
    bool packed, placed; /* placed: by place */
    uint32_t count;
    struct slice id, version; /* the columns' names; version may be empty */
    struct answer_key *keys;
    uint32_t *slots; /* a key, from 1; 0: free */
    uint32_t mask;
    uint32_t other; /* the first row that is for no key, from 1; 0: there is none */
};

/* Sets up rt->answer. Raises. */
void run_answer_setup(lua_State *L, struct runtime *rt);

/* Pushes ctx.ids: the integers of 64 bits among the ids, as scripts have them. Raises. */
void run_answer_push_ids(lua_State *L, const struct run *r);

/* ctx:answer(rows, id, version), with the runtime as upvalue. */
int run_answer_lua(lua_State *L);
/* For sql_loader.lua: (ctx, rows, version), by place, and (ctx, n) -> what star n matched in each
 * key. */
int run_answer_lua_placed(lua_State *L);
int run_answer_lua_captures(lua_State *L);

/* Whether the value at index is what ctx:answer gave. */
bool run_answer_is(lua_State *L, const struct run *r, int index);

/* Opens the one at index; pushes what it needs. False: it was refused, in out. May raise. */
bool run_answer_open(struct answer *a, lua_State *L, const struct run *r, int index,
                     struct run_result *out);
/* Prints which row is for no key, and what its id is. Call it where there is one. */
const char *run_answer_other(const struct answer *a, char *out, size_t size);
/* Pushes key i's row, or nil; nil where they are packed. */
void run_answer_push(const struct answer *a, unsigned i);
/* Takes key i's row, where they are packed. */
void run_answer_take(const struct answer *a, unsigned i, struct run_result *out);
/* Takes the version from key i's row, where one was found and its options had none. */
void run_answer_version(const struct answer *a, unsigned i, struct run_result *out);

#endif
