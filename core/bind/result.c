#include "bind/result.h"

#include "bind/run_bytes.h"
#include "bind/run_error.h"
#include "bind/run_many.h"
#include "conf/conf_units.h"
#include "conf/options.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <math.h>
#include <stdio.h>

#define TINY_MS      1e-3 /* what is left of one where doubles were added and taken away */
#define YEAR_2000_S  946684800.
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

/* Whole milliseconds that a number of seconds is, or -1. */
static int64_t whole_ms(double seconds)
{
    double ms = round(seconds * 1000);
    bool whole = fabs(seconds * 1000 - ms) <= TINY_MS && (ms > 0 || seconds == 0);
    return whole ? (int64_t)ms : -1;
}

/* The text on top; false where it has a NUL byte, at which C would end it. */
static bool read_text(lua_State *L, const char **text)
{
    size_t size;
    *text = lua_tolstring(L, -1, &size);
    return strlen(*text) == size;
}

static int check_longest(const struct run *r, const char *name, double seconds,
                         struct run_result *out)
{
    char most[CONF_SHOWN_MAX];
    const struct option *o = options_find(GROUP_POLICY, name);
    if (seconds * 1000 <= (double)o->most)
        return 0;
    conf_units_show_duration(o->most, most);
    return result_refuse(r, out, "option \"%s\": %.14g s is more than %s, the most there is%s",
                         name, seconds, most,
                         seconds >= YEAR_2000_S
                             ? ": a time since 1970? It is how long from now, as in at - os.time()"
                             : "");
}

static int read_seconds(lua_State *L, const struct run *r, const char *name, int64_t *ms,
                        struct run_result *out)
{
    double seconds = lua_tonumber(L, -1);
    if (!(seconds >= 0))
        return result_refuse(r, out, "option \"%s\": %.14g is no number of seconds from 0 on", name,
                             seconds);
    int rc = check_longest(r, name, seconds, out);
    if (rc != 0)
        return rc;
    *ms = whole_ms(seconds);
    if (*ms < 0)
        return result_refuse(r, out,
                             "option \"%s\": %.14g s is no whole number of milliseconds: round it, "
                             "as in math.ceil(x * 1000) / 1000",
                             name, seconds);
    return 0;
}

static int read_duration(lua_State *L, const struct run *r, const char *name, int64_t *ms,
                         struct run_result *out)
{
    const char *text;
    struct err e;
    if (lua_type(L, -1) == LUA_TNUMBER)
        return read_seconds(L, r, name, ms, out);
    if (lua_type(L, -1) != LUA_TSTRING)
        return result_refuse(r, out, "option \"%s\" is a %s, not seconds or a text like \"60s\"",
                             name, luaL_typename(L, -1));
    if (!read_text(L, &text))
        return result_refuse(r, out, "option \"%s\": a text with a NUL byte", name);
    if (conf_parse_duration(text, ms, &e) != 0)
        return result_refuse(r, out, "option \"%s\": %s", name, e.text);
    return check_longest(r, name, (double)*ms / 1000, out);
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
        snprintf(is, sizeof is, "%s", column ? "NULL (rtcache.null)" : "rtcache.null");
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

bool result_is_shortened(struct slice text)
{
    static const char exponent[] = "e+1";
    const size_t size = sizeof exponent - 1;
    for (size_t i = 1; i + size < text.size; i++) {
        const char *at = text.data + i;
        bool digit = at[-1] >= '0' && at[-1] <= '9';
        if (digit && memcmp(at, exponent, size) == 0 && (at[size] == '4' || at[size] == '5'))
            return true;
    }
    return false;
}

static int read_tags(lua_State *L, const struct run *r, struct run_result *out)
{
    char why[VALUE_WHY];
    size_t count;
    int tags = lua_gettop(L);
    if (lua_type(L, -1) != LUA_TTABLE)
        return result_refuse(r, out, "option \"tags\" is a %s, not an array of strings",
                             luaL_typename(L, -1));
    if (!value_is_array(L, tags, &count, why, sizeof why))
        return result_refuse(r, out, "option \"tags\": %s", why);
    if (count > TAGS_MAX)
        return result_refuse(r, out, "option \"tags\": %zu tags, at most %d are taken", count,
                             TAGS_MAX);
    out->has_tags = true;
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
        if (result_is_shortened(tag))
            return result_refuse(r, out,
                                 "option \"tags\": tag %zu, \"%s\", has lost digits of an integer: "
                                 "string.format(\"%%d\", id) writes all of them",
                                 i, tag.data);
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
        if (lua_type(L, -2) != LUA_TSTRING || strlen(lua_tostring(L, -2)) != lua_objlen(L, -2))
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
    bool unchanged = value_is_unchanged(L, &r->rt->sandbox.marks, first);
    if (!done && (unchanged || value_is_absent(L, &r->rt->sandbox.marks, first))) {
        result_refuse(r, out, "save returned rtcache.%s, which is for load",
                      unchanged ? "unchanged" : "absent");
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
    if (value_is_unchanged(L, m, value) || value_is_absent(L, m, value)) {
        out->outcome = value_is_absent(L, m, value) ? RUN_ABSENT : RUN_UNCHANGED;
        return;
    }
    if (run_bytes_has(L, r, value)) {
        struct slice bytes;
        bytes.data = lua_tolstring(L, value, &bytes.size);
        result_taken(r, mpw_bin(&out->value, bytes), out);
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
    luaL_checkstack(L, LUA_MINSTACK, "a result");
    if (count > 2 && !lua_isnil(L, first + 2)) {
        result_refuse(r, out,
                      "a third result, a %s: there are two, and the second is a table of %s",
                      luaL_typename(L, first + 2),
                      lua_isnil(L, first) ? "the error (for an absence with options: return "
                                            "rtcache.absent, {...})"
                                          : "options");
        return;
    }
    lua_settop(L, first + 1); /* two results, nil where not given */
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
