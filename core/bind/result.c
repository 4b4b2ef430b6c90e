#include "bind/result.h"

#include "bind/run_error.h"
#include "bind/run_many.h"
#include "conf/conf.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <math.h>
#include <stdio.h>

#define TTL_MAX_MS   (INT64_C(100) * 366 * 24 * 3600 * 1000) /* a hundred years */
#define TAGS_MAX     64
#define TAG_SIZE_MAX 255
#define KEPT_MAX     1024 /* bytes of a value's room that the next batch finds there */

void result_init(struct run_result *out, size_t value_max)
{
    memset(out, 0, offsetof(struct run_result, err)); /* the room for a text is left as it is */
    err_clear(&out->err);
    out->outcome = RUN_FAILED;
    out->ttl_ms = out->stale_ttl_ms = -1;
    buf_init(&out->value, value_max);
    buf_init(&out->tags, 0);
}

void result_drop_many(struct run_result *out)
{
    for (unsigned i = 0; i < out->many_count; i++) {
        struct run_result *key = &out->many[i];
        if (key->value.capacity > KEPT_MAX)
            buf_fini(&key->value);
        buf_fini(&key->tags);
    }
    out->many = NULL;
    out->many_count = 0;
}

void result_fini(struct run_result *out)
{
    result_drop_many(out);
    buf_fini(&out->value);
    buf_fini(&out->tags);
}

/* Fails the run for what it returned. */
int result_refuse(const struct run *r, struct run_result *out, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], position[VM_WHERE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    run_position(r, position, sizeof position);
    out->outcome = RUN_FAILED;
    out->retryable = false;
    return err_set(&out->err, ERR_SCRIPT, "%s: %s", position, text);
}

static int read_duration(lua_State *L, const struct run *r, const char *name, int64_t *ms,
                         struct run_result *out)
{
    if (lua_type(L, -1) == LUA_TNUMBER) {
        double seconds = lua_tonumber(L, -1);
        if (!(seconds >= 0 && seconds * 1000 <= (double)TTL_MAX_MS))
            return result_refuse(r, out, "option \"%s\": %.14g is no number of seconds from 0 on",
                                 name, seconds);
        *ms = (int64_t)(seconds * 1000);
        return 0;
    }
    struct err e;
    if (lua_type(L, -1) != LUA_TSTRING)
        return result_refuse(r, out, "option \"%s\" is a %s, not seconds or a text like \"60s\"",
                             name, luaL_typename(L, -1));
    if (conf_parse_duration(lua_tostring(L, -1), ms, &e) != 0)
        return result_refuse(r, out, "option \"%s\": %s", name, e.text);
    if (*ms < 0 || *ms > TTL_MAX_MS)
        return result_refuse(r, out, "option \"%s\": \"%s\" is out of bounds", name,
                             lua_tostring(L, -1));
    return 0;
}

int result_read_version(lua_State *L, const struct run *r, const char *column,
                        struct run_result *out)
{
    char what[96] = "option \"version\"", is[96];
    out->has_version = true;
    if (value_int(L, &r->rt->sandbox.marks, -1, &out->version))
        return 0;
    if (column)
        snprintf(what, sizeof what, "the version, column \"%.64s\",", column);
    if (value_is_null(L, &r->rt->sandbox.marks, -1))
        snprintf(is, sizeof is, "%s", column ? "NULL" : "rtcache.null");
    else if (lua_type(L, -1) == LUA_TNUMBER)
        return result_refuse(r, out,
                             column ? "%s is a float: %.17g is not an exact integer"
                                    : "%s: %.17g is not an exact integer",
                             what, lua_tonumber(L, -1));
    else if (lua_type(L, -1) == LUA_TSTRING)
        snprintf(is, sizeof is, "a string, \"%.32s\" (a numeric column comes as text)",
                 lua_tostring(L, -1));
    else
        snprintf(is, sizeof is, "a %s", luaL_typename(L, -1));
    return result_refuse(r, out, "%s is %s, not an integer", what, is);
}

static int read_tags(lua_State *L, const struct run *r, struct run_result *out)
{
    if (lua_type(L, -1) != LUA_TTABLE)
        return result_refuse(r, out, "option \"tags\" is a %s, not an array of strings",
                             luaL_typename(L, -1));
    size_t count = lua_objlen(L, -1);
    if (count > TAGS_MAX)
        return result_refuse(r, out, "option \"tags\": %zu tags, at most %d are taken", count,
                             TAGS_MAX);
    int tags = lua_gettop(L);
    out->has_tags = true;
    for (lua_pushnil(L); lua_next(L, tags); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TNUMBER)
            return result_refuse(r, out, "option \"tags\" is a map, not an array of strings");
    int rc = count > 0 ? mpw_array(&out->tags, (uint32_t)count) : 0;
    for (size_t i = 1; i <= count && rc == 0; i++) {
        lua_rawgeti(L, tags, (int)i);
        if (lua_type(L, -1) != LUA_TSTRING)
            return result_refuse(r, out, "option \"tags\": tag %zu is a %s, not a string", i,
                                 luaL_typename(L, -1));
        struct slice tag;
        tag.data = lua_tolstring(L, -1, &tag.size);
        if (tag.size == 0 || tag.size > TAG_SIZE_MAX || !mp_utf8_valid(tag))
            return result_refuse(r, out,
                                 "option \"tags\": tag %zu is not 1 to %d bytes of valid UTF-8", i,
                                 TAG_SIZE_MAX);
        rc = mpw_str(&out->tags, tag);
        lua_pop(L, 1);
    }
    if (rc != 0)
        return err_set(&out->err, rc, "not enough memory for the tags");
    return 0;
}

static int read_option(lua_State *L, const struct run *r, const char *name, struct run_result *out)
{
    static const char *const names[] = {"ttl", "stale_ttl", "version", "tags", "cache", "error"};
    if (r->many && strcmp(name, "error") == 0)
        return 1;
    if (strcmp(name, "ttl") == 0)
        return read_duration(L, r, name, &out->ttl_ms, out);
    if (strcmp(name, "stale_ttl") == 0)
        return read_duration(L, r, name, &out->stale_ttl_ms, out);
    if (strcmp(name, "version") == 0)
        return result_read_version(L, r, NULL, out);
    if (strcmp(name, "tags") == 0)
        return read_tags(L, r, out);
    if (strcmp(name, "cache") == 0) {
        if (!lua_isboolean(L, -1))
            return result_refuse(r, out, "option \"cache\" is a %s, not true or false",
                                 luaL_typename(L, -1));
        out->no_store = !lua_toboolean(L, -1);
        return 0;
    }
    const char *near = conf_nearest(name, names, sizeof names / sizeof *names - !r->many);
    if (near)
        return result_refuse(r, out, "unknown option \"%.64s\", did you mean \"%s\"?", name, near);
    return result_refuse(r, out, "unknown option \"%.64s\" beside the value", name);
}

int result_read_options(lua_State *L, const struct run *r, int options, struct run_result *out)
{
    if (lua_isnil(L, options))
        return 0;
    if (lua_type(L, options) != LUA_TTABLE)
        return result_refuse(r, out, "%s a %s, not a table of options",
                             r->many ? "its options are" : "the second result is",
                             luaL_typename(L, options));
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, options)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            return result_refuse(r, out, "the options have a key that is a %s, not a name",
                                 luaL_typename(L, -2));
        int rc = read_option(L, r, lua_tostring(L, -2), out);
        if (rc != 0)
            return rc;
        lua_settop(L, top + 1);
    }
    return 0;
}

/* save and remove may say no more than that it is done: nothing, nil or true. */
static bool read_done(lua_State *L, const struct run *r, int first, struct run_result *out)
{
    bool done = lua_isnil(L, first) || (lua_isboolean(L, first) && lua_toboolean(L, first));
    if (!done && r->what == RUN_REMOVE) {
        result_refuse(r, out, "remove returned a %s; it returns nothing, true, or nil and an error",
                      luaL_typename(L, first));
        return true;
    }
    if (!done && lua_isboolean(L, first)) {
        result_refuse(r, out,
                      "save returned false; it returns the row as it is now, nothing, true, or "
                      "nil and an error");
        return true;
    }
    if (!done && value_is_unchanged(L, &r->rt->sandbox.marks, first)) {
        result_refuse(r, out, "save returned rtcache.unchanged, which is for load");
        return true;
    }
    if (done && result_read_options(L, r, first + 1, out) == 0)
        out->outcome = RUN_DONE;
    return done;
}

void result_read_found(lua_State *L, const struct run *r, int value, struct value_names *names,
                       struct run_result *out)
{
    const struct value_marks *m = &r->rt->sandbox.marks;
    char position[VM_WHERE_MAX];
    if (value_is_unchanged(L, m, value)) {
        out->outcome = RUN_UNCHANGED;
        return;
    }
    if (value_pack_row(L, m, value, names, "value", &out->value, &out->err) != 0) {
        run_position(r, position, sizeof position);
        err_prefix(&out->err, "%s", position);
        out->retryable = err_retryable(out->err.code);
        return;
    }
    out->outcome = RUN_FOUND;
}

void result_taken(const struct run *r, int rc, struct run_result *out)
{
    char position[VM_WHERE_MAX];
    if (rc == 0) {
        out->outcome = RUN_FOUND;
        return;
    }
    run_position(r, position, sizeof position);
    if (rc == ERR_TOO_LARGE)
        err_set(&out->err, rc, "%s: value: the packed value passes %zu bytes", position,
                out->value.max);
    else
        err_set(&out->err, rc, "%s: value: not enough memory to pack it", position);
    out->retryable = err_retryable(rc);
}

void result_read(lua_State *L, const struct run *r, int count, struct run_result *out)
{
    int first = lua_gettop(L) - count + 1;
    lua_settop(L, first + 1); /* two results, nil where not given */
    luaL_checkstack(L, LUA_MINSTACK, "a result");
    if (lua_isnil(L, first) && !lua_isnil(L, first + 1)) {
        run_error_read_given(L, r, first + 1, out);
        return;
    }
    if (r->many) {
        run_many_read(L, r, first, out);
        return;
    }
    bool writes = r->what == RUN_SAVE || r->what == RUN_REMOVE;
    if (writes && read_done(L, r, first, out))
        return;
    if (lua_isnil(L, first)) {
        out->outcome = RUN_ABSENT;
        return;
    }
    if (result_read_options(L, r, first + 1, out) == 0)
        result_read_found(L, r, first, NULL, out);
}
