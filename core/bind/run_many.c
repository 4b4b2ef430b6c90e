#include "bind/run_many.h"

#include "base/show.h"
#include "bind/result.h"
#include "bind/run_answer.h"
#include "bind/run_error.h"
#include "bind/run_match.h"
#include "script/packed.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_SHOWN 64 /* bytes of a key in a message */

static struct slice copy(char **at, struct slice s)
{
    struct slice out = slice_of(*at, s.size);
    if (s.size)
        memcpy(*at, s.data, s.size);
    *at += s.size;
    return out;
}

/* One block: the keys, what their stars matched, and the bytes of both. */
struct run_many *run_many_new(const struct run_request *q)
{
    size_t bytes = 0, captures = 0;
    for (unsigned i = 0; i < q->key_count; i++) {
        const struct run_key *k = &q->keys[i];
        bytes += k->key.size;
        captures += k->capture_count;
        for (unsigned j = 0; j < k->capture_count; j++)
            bytes += k->captures[j].size;
    }
    struct run_many *m = malloc(sizeof *m + q->key_count * sizeof m->keys[0] +
                                captures * sizeof(struct slice) + bytes);
    if (!m)
        return NULL;
    m->count = q->key_count;
    m->stars = q->stars;
    struct slice *capture = (struct slice *)(m->keys + m->count);
    char *at = (char *)(capture + captures);
    for (unsigned i = 0; i < m->count; i++) {
        const struct run_key *k = &q->keys[i];
        m->keys[i] = (struct run_many_key){.key = copy(&at, k->key),
                                           .captures = capture,
                                           .capture_count = k->capture_count,
                                           .stored = k->stored ? entry_ref(k->stored) : NULL};
        for (unsigned j = 0; j < k->capture_count; j++)
            *capture++ = copy(&at, k->captures[j]);
    }
    return m;
}

void run_many_free(struct run_many *m)
{
    for (unsigned i = 0; m && i < m->count; i++)
        entry_unref(m->keys[i].stored);
    free(m);
}

int run_many_find(const struct run_many *m, struct slice key)
{
    for (unsigned i = 0; i < m->count; i++)
        if (slice_eq(m->keys[i].key, key))
            return (int)i;
    return -1;
}

static void push_slice(lua_State *L, struct slice s)
{
    lua_pushlstring(L, s.size ? s.data : "", s.size);
}

/* ---- what the function is given ---- */

void run_many_push_keys(lua_State *L, const struct run_many *m)
{
    lua_createtable(L, (int)m->count, 0);
    for (unsigned i = 0; i < m->count; i++) {
        push_slice(L, m->keys[i].key);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* ctx.values[key]: decoded when it is asked for first. Upvalues: the runtime, and the table
 * key -> index. */
static int values_index(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    const struct run *r = rt->current;
    lua_settop(L, 2);
    if (!r || lua_topointer(L, 1) != r->values || lua_isnil(L, 2)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    if (lua_isnil(L, -1))
        return 1;
    value_unpack(L, &rt->sandbox.marks, entry_value(r->many->keys[lua_tointeger(L, -1)].stored));
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

static void set_values(lua_State *L, struct run *r, unsigned stored)
{
    lua_newtable(L);
    r->values = lua_topointer(L, -1);
    if (stored > 0) {
        lua_createtable(L, 0, 2);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pushlightuserdata(L, r->rt);
        lua_createtable(L, 0, (int)stored);
        for (unsigned i = 0; i < r->many->count; i++) {
            if (!r->many->keys[i].stored)
                continue;
            push_slice(L, r->many->keys[i].key);
            lua_pushinteger(L, (lua_Integer)i);
            lua_rawset(L, -3);
        }
        lua_pushcclosure(L, values_index, 2);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
    }
    lua_setfield(L, -2, "values");
}

static void set_versions(lua_State *L, struct run *r, const struct run_request *q,
                         unsigned versioned)
{
    lua_createtable(L, 0, (int)versioned);
    for (unsigned i = 0; i < q->key_count && versioned > 0; i++) {
        if (!q->keys[i].has_version)
            continue;
        push_slice(L, q->keys[i].key);
        value_push_int(L, &r->rt->sandbox.marks, q->keys[i].version);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "versions");
}

void run_many_push_match(lua_State *L, const struct runtime *rt, const struct run_many *m)
{
    lua_createtable(L, (int)m->count, 0);
    for (unsigned i = 0; i < m->count; i++) {
        const struct run_many_key *k = &m->keys[i];
        run_match_push(L, &rt->sandbox.marks, k->captures, k->capture_count, m->stars);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void run_many_set_context(lua_State *L, struct run *r, const struct run_request *q)
{
    unsigned stored = 0, versioned = 0;
    for (unsigned i = 0; i < q->key_count; i++) {
        stored += q->keys[i].stored != NULL;
        versioned += q->keys[i].has_version;
    }
    set_versions(L, r, q, versioned);
    set_values(L, r, stored);
}

/* ---- what it answers ---- */

static bool is_option(struct slice name)
{
    static const char *const names[] = {"ttl", "stale_ttl", "version", "tags", "cache", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_str(name, names[i]))
            return true;
    return false;
}

/* Fails the run for a key, on top of L, that can be no key: the script means another shape. */
static void refuse_shape(lua_State *L, const struct run *r, bool options, struct run_result *out)
{
    const char *what = options ? "options" : "a value";
    struct slice asked = r->many->keys[0].key;
    int shown = asked.size > KEY_SHOWN ? KEY_SHOWN : (int)asked.size;
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    char at[32] = "";
    if (lua_type(L, -1) == LUA_TNUMBER)
        snprintf(at, sizeof at, " %.14g", lua_tonumber(L, -1));
    if (name)
        result_refuse(r, out,
                      "load_many returned the option \"%s\" where a key should be; its options are "
                      "by key, as in options[keys[i]] = {%s = ...}",
                      name, name);
    else
        result_refuse(r, out,
                      "load_many returned %s under a %s%s; it returns them by key, as in "
                      "result[keys[i]] = ...; the first key is \"%.*s\"",
                      what, luaL_typename(L, -1), at, shown, asked.data);
}

/* What a script said of keys that nobody asked for: of which, the first of them. */
struct others {
    char first[SHOW_KEY_TEXT + 96]; /* "" where there is none */
};

/* Looks for such in the table at index, of whose keys so many were asked for. False: the run is
 * refused. */
static bool find_others(lua_State *L, const struct run *r, int index, bool options, unsigned found,
                        struct others *others, struct run_result *out)
{
    unsigned all = 0;
    char text[SHOW_KEY_TEXT];
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        all++;
    if (all == found)
        return true;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        struct slice key = {.size = 0};
        if (lua_type(L, -2) == LUA_TSTRING)
            key.data = lua_tolstring(L, -2, &key.size);
        if (key.data && run_many_find(r->many, key) >= 0)
            continue;
        if (!key.data || (options && is_option(key))) {
            lua_pop(L, 1);
            refuse_shape(L, r, options, out);
            return false;
        }
        if (others->first[0] == '\0')
            snprintf(others->first, sizeof others->first, "%s for \"%s\"",
                     options ? "options" : "a value", show_key(text, key));
    }
    return true;
}

/* The keys of which there was no word may be those that the others stand for, or absent: nobody
 * knows, so it fails them, as keys to be asked for apart. */
static void set_apart(const struct run *r, const struct others *others, struct run_result *out)
{
    for (unsigned i = 0; others->first[0] != '\0' && i < r->many->count; i++) {
        struct run_result *key = &out->many[i];
        char text[SHOW_KEY_TEXT];
        if (!key->unsaid)
            continue;
        result_refuse(r, key,
                      "load_many returned %s, which was not asked for, and nothing for \"%s\"%s",
                      others->first, show_key(text, r->many->keys[i].key),
                      result_is_shortened(slice_str(others->first))
                          ? ": string.format(\"%d\", id) writes all digits of an integer"
                          : "");
        key->apart = true;
    }
}

/* A result for a key, in the room of the one that was there. */
static void begin_result(struct run_result *key, size_t value_max)
{
    struct buf room = key->value;
    result_init(key, value_max);
    room.max = value_max;
    room.size = 0;
    key->value = room;
}

/* Key i's value and options are on top; a: a packed row of it is the value instead. An error among
 * the options goes before all else. */
static void read_key(lua_State *L, const struct run *r, const struct answer *a, unsigned i,
                     struct value_names *names, struct run_result *out)
{
    int options = lua_gettop(L), value = options - 1;
    int rc = result_read_options(L, r, options, out);
    if (rc == 0 && a && a->packed) {
        run_answer_take(a, i, out);
        out->unsaid = out->outcome == RUN_ABSENT && lua_isnil(L, options);
    } else if (rc == 0 && lua_isnil(L, value)) {
        out->outcome = RUN_ABSENT;
        out->unsaid = lua_isnil(L, options);
    } else if (rc == 0) {
        result_read_found(L, r, value, names, out);
    } else if (lua_type(L, options) == LUA_TTABLE) {
        lua_pushliteral(L, "error");
        lua_rawget(L, options);
        if (lua_isnil(L, -1))
            return;
        buf_fini(&out->tags);
        begin_result(out, r->rt->value_max);
        run_error_read_given(L, r, lua_gettop(L), out);
        memset(names, 0, sizeof *names); /* a script may have run, for its text */
    }
}

static bool check_tables(lua_State *L, const struct run *r, int first, struct run_result *out)
{
    struct slice bytes;
    if (lua_isnil(L, first))
        result_refuse(r, out,
                      "load_many returned nothing; it returns a table of values by key, which may "
                      "be empty, or nil and an error");
    else if (value_is_unchanged(L, &r->rt->sandbox.marks, first))
        result_refuse(r, out,
                      "load_many returned rtcache.unchanged, which stands for one key, as in "
                      "values[key] = rtcache.unchanged");
    else if (value_is_absent(L, &r->rt->sandbox.marks, first))
        result_refuse(r, out,
                      "load_many returned rtcache.absent, which stands for one key, as in "
                      "values[key] = rtcache.absent");
    else if (packed_get(L, &r->rt->sandbox.marks, first, &bytes))
        result_refuse(r, out,
                      "load_many returned packed rows, not a table of values by key: give each row "
                      "to its key, as in values[key] = rows[i], or ctx:answer(rows, \"id\")");
    else if (lua_type(L, first) != LUA_TTABLE)
        result_refuse(r, out, "load_many returned a %s, not a table of values by key",
                      luaL_typename(L, first));
    else if (!lua_isnil(L, first + 1) && lua_type(L, first + 1) != LUA_TTABLE)
        result_refuse(r, out, "the second result is a %s, not a table of options by key",
                      luaL_typename(L, first + 1));
    else
        return true;
    return false;
}

static bool make_room(struct runtime *rt, unsigned count)
{
    if (count <= rt->many_room)
        return true;
    struct run_result *many = realloc(rt->many, count * sizeof *many);
    if (!many)
        return false;
    rt->many = many;
    while (rt->many_room < count)
        buf_init(&many[rt->many_room++].value, 0);
    return true;
}

/* What was found so far, where each key is looked up in tables. */
struct tables {
    int values, options; /* indexes; options may be nil */
    bool with_options;
    unsigned values_found, options_found;
};

/* Pushes a key's value and its options. a: where its value is, else in a table. */
static void push_key(lua_State *L, const struct run_many *m, unsigned i, struct tables *t,
                     const struct answer *a)
{
    if (a)
        run_answer_push(a, i);
    if (a && !t->with_options) {
        lua_pushnil(L);
        return;
    }
    push_slice(L, m->keys[i].key);
    if (!a) {
        lua_pushvalue(L, -1);
        lua_rawget(L, t->values);
        t->values_found += !lua_isnil(L, -1);
        lua_insert(L, -2); /* the value below the key */
    }
    if (t->with_options) {
        lua_rawget(L, t->options);
        t->options_found += !lua_isnil(L, -1);
    } else {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

static void read_keys(lua_State *L, const struct run *r, struct tables *t, const struct answer *a,
                      struct run_result *out)
{
    struct value_names names;
    memset(&names, 0, sizeof names);
    out->many = r->rt->many;
    for (unsigned i = 0; i < r->many->count; i++) {
        struct run_result *key = &out->many[i];
        begin_result(key, r->rt->value_max);
        out->many_count = i + 1;
        push_key(L, r->many, i, t, a);
        read_key(L, r, a, i, &names, key);
        if (a)
            run_answer_version(a, i, key);
        lua_settop(L, t->options);
    }
}

void run_many_read(lua_State *L, const struct run *r, int first, struct run_result *out)
{
    struct tables t = {.values = first, .options = first + 1};
    struct answer a;
    lua_settop(L, t.options);
    if (!check_tables(L, r, first, out))
        return;
    if (!make_room(r->rt, r->many->count)) {
        err_set(&out->err, ERR_NOMEM, "no memory for %u results", r->many->count);
        out->retryable = true;
        return;
    }
    bool is_answer = run_answer_is(L, r, first);
    t.with_options = !lua_isnil(L, t.options);
    if (is_answer && !run_answer_open(&a, L, r, first, out))
        return;
    if (is_answer) { /* the options stay on top */
        lua_pushvalue(L, t.options);
        t.options = lua_gettop(L);
    }
    read_keys(L, r, &t, is_answer ? &a : NULL, out);
    struct others others = {.first = ""};
    if (is_answer && a.other != 0)
        run_answer_other(&a, others.first, sizeof others.first);
    if (!is_answer && !find_others(L, r, first, false, t.values_found, &others, out))
        return;
    if (t.with_options && !find_others(L, r, t.options, true, t.options_found, &others, out))
        return;
    set_apart(r, &others, out);
    out->outcome = RUN_DONE;
}

/* ---- rtcache.poison ---- */

/* Copies a field of the error at index 2 into the table on top. */
static void copy_field(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    lua_rawget(L, 2);
    lua_rawset(L, -3);
}

int run_many_lua_poison(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    char where[VM_WHERE_MAX];
    lua_settop(L, 2);
    if (!lua_isnil(L, 1) && lua_type(L, 1) != LUA_TSTRING)
        vm_fail(L, "rtcache.poison takes the key that it suspects, or nothing, not a %s",
                luaL_typename(L, 1));
    lua_createtable(L, 0, 5);
    if (lua_type(L, 2) == LUA_TTABLE) {
        copy_field(L, "code");
        copy_field(L, "message");
        copy_field(L, "retryable");
        copy_field(L, "where");
    } else {
        lua_pushliteral(L, "LOAD_FAILED");
        lua_setfield(L, -2, "code");
        if (!lua_isnil(L, 2))
            lua_pushfstring(L, "%s", luaL_checkstring(L, 2));
        else if (lua_isnil(L, 1))
            lua_pushliteral(L, "the script suspects one of the keys");
        else
            lua_pushfstring(L, "the script suspects the key \"%s\"", lua_tostring(L, 1));
        lua_setfield(L, -2, "message");
        if (vm_where(L, where, sizeof where)) {
            lua_pushstring(L, where);
            lua_setfield(L, -2, "where");
        }
    }
    if (lua_isnil(L, 1))
        lua_pushboolean(L, 1);
    else
        lua_pushvalue(L, 1);
    lua_setfield(L, -2, "poison");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->error);
    lua_setmetatable(L, -2);
    return 1;
}
