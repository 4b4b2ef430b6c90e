#include "script/pack_keys.h"
#include "script/packed.h"
#include "script/shape.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdio.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53 */
#define TRAIL_MAX 200
#define TOO_DEEP  "tables are nested too deep (more than 16)"

/* One step of the way from the root to the value that is packed now; on the C stack. */
struct step {
    const struct step *up;
    const void *table; /* where the step starts: finds cycles */
    int key;           /* its stack index; 0: the number is the key */
    lua_Number number;
};

struct packer {
    lua_State *L;
    const struct value_marks *m;
    const char *root;
    struct value_names *names; /* of the outermost map, or NULL */
    struct buf *out;
    struct err *e;
    bool copied; /* packed bytes stand inside a table: how deep they are nested was not counted */
};

/* Within 2^53, where every integer is exact. */
static bool is_integral(double d)
{
    return d >= -EXACT_MAX && d <= EXACT_MAX && d == (double)(int64_t)d;
}

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

static size_t print_key(struct packer *p, const struct step *s, char *out, size_t room)
{
    if (s->key == 0)
        return (size_t)snprintf(out, room, "[%.14g]", s->number);
    size_t size;
    const char *text;
    switch (lua_type(p->L, s->key)) {
    case LUA_TNUMBER: return (size_t)snprintf(out, room, "[%.14g]", lua_tonumber(p->L, s->key));
    case LUA_TSTRING:
        text = lua_tolstring(p->L, s->key, &size);
        if (is_name(text, size))
            return (size_t)snprintf(out, room, ".%s", text);
        return (size_t)snprintf(out, room, "[\"%.64s\"]", text);
    default: return (size_t)snprintf(out, room, "[%s]", lua_typename(p->L, lua_type(p->L, s->key)));
    }
}

static void print_path(struct packer *p, const struct step *at, char *out)
{
    const struct step *steps[MP_DEPTH_MAX + 2];
    int n = 0;
    for (const struct step *s = at; s && n < MP_DEPTH_MAX + 2; s = s->up)
        steps[n++] = s;
    size_t used = (size_t)snprintf(out, TRAIL_MAX, "%s", p->root);
    while (n > 0 && used < TRAIL_MAX - 1)
        used += print_key(p, steps[--n], out + used, TRAIL_MAX - used);
}

static int refuse(struct packer *p, const struct step *at, int code, const char *what)
{
    char path[TRAIL_MAX];
    print_path(p, at, path);
    return err_set(p->e, code, "%s: %s", path, what);
}

/* The buf's own failure. */
static int refuse_written(struct packer *p, const struct step *at, int rc)
{
    char what[96];
    if (rc == ERR_TOO_LARGE)
        snprintf(what, sizeof what, "the packed value passes %zu bytes", p->out->max);
    else
        snprintf(what, sizeof what, "not enough memory to pack it");
    return refuse(p, at, rc, what);
}

static inline int written(struct packer *p, const struct step *at, int rc)
{
    return rc == 0 ? 0 : refuse_written(p, at, rc);
}

static int pack_one(struct packer *p, int index, const struct step *at, int depth);

static int pack_text(struct packer *p, int index, const struct step *at)
{
    struct slice text;
    text.data = lua_tolstring(p->L, index, &text.size);
    return written(p, at, mpw_text(p->out, text));
}

static int pack_bytes(struct packer *p, int index, const struct step *at)
{
    struct slice bytes = {.size = 0};
    bytes.data = lua_tolstring(p->L, index, &bytes.size);
    return written(p, at, mpw_bin(p->out, bytes));
}

/* The key of a pair of a map, its place among them being that. */
static int pack_key(struct packer *p, int index, size_t place, const struct step *at)
{
    if (!p->names || at->up || place >= VALUE_NAMES)
        return pack_text(p, index, at);
    struct value_name *name = &p->names->name[place];
    const char *text = lua_tolstring(p->L, index, NULL);
    if (text == name->at)
        return written(p, at, mpw_raw(p->out, slice_of(name->packed, name->size)));
    size_t before = p->out->size;
    int rc = pack_text(p, index, at);
    size_t size = p->out->size - before;
    if (rc != 0 || size > VALUE_NAME_SIZE)
        return rc;
    name->at = text;
    name->size = size;
    memcpy(name->packed, p->out->data + before, size);
    return 0;
}

static int pack_number(struct packer *p, int index, const struct step *at)
{
    return written(p, at, mpw_number(p->out, lua_tonumber(p->L, index)));
}

static int pack_cdata(struct packer *p, int index, const struct step *at)
{
    int64_t v = 0;
    if (value_int(p->L, p->m, index, &v))
        return written(p, at, mpw_int(p->out, v));
    if (v < 0) /* value_int filled it: a uint64 above INT64_MAX */
        return written(p, at, mpw_uint(p->out, (uint64_t)v));
    return refuse(p, at, ERR_BAD_VALUE, "a cdata that is no 64-bit integer cannot be packed");
}

/* What the keys of a table are, however Lua keeps them: the border that lua_objlen reports is any
 * one where there are holes. */
struct keys {
    size_t count, places; /* all, and the integers from 1 on among them */
    lua_Number last;      /* the largest of those */
};

static bool is_place(lua_State *L, int index)
{
    lua_Number n = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
    return n >= 1 && is_integral(n);
}

static struct keys count_keys(lua_State *L, int index)
{
    struct keys k = {.count = 0};
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        k.count++;
        if (!is_place(L, -1))
            continue;
        k.places++;
        if (lua_tonumber(L, -1) > k.last)
            k.last = lua_tonumber(L, -1);
    }
    return k;
}

static bool is_sequence(struct keys k)
{
    return k.places == k.count && k.last == (lua_Number)k.count;
}

/* The first element that is missing, where not all of 1 to the last are there. */
static int print_hole(lua_State *L, int index, char *out, size_t size)
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
    struct keys k = count_keys(L, index);
    *count = k.count;
    if (is_sequence(k))
        return true;
    if (k.places == k.count)
        print_hole(L, index, why, size);
    else
        snprintf(why, size, "it has keys beside 1..n, as no array has");
    return false;
}

/* bytes: its strings are packed as such. */
static int pack_array(struct packer *p, int index, size_t count, bool bytes, const struct step *up,
                      int depth)
{
    int rc = written(p, up, mpw_array(p->out, (uint32_t)count));
    struct step at = {.up = up, .table = lua_topointer(p->L, index)};
    for (size_t i = 1; i <= count && rc == 0; i++) {
        lua_rawgeti(p->L, index, (int)i);
        at.number = (lua_Number)i;
        rc = bytes && lua_type(p->L, -1) == LUA_TSTRING
                 ? pack_bytes(p, -1, &at)
                 : pack_one(p, lua_gettop(p->L), &at, depth + 1);
        lua_pop(p->L, 1);
    }
    return rc;
}

/* Opens a map whose pairs stand from start + 1 on already. */
static int open_map(struct packer *p, size_t start, size_t count, const struct step *up)
{
    struct buf *b = p->out;
    if (count < 16) {
        b->data[start] = (char)(0x80 | count);
        return 0;
    }
    size_t size = b->size - start - 1, more = count <= UINT16_MAX ? 2 : 4;
    int rc = buf_grow(b, more);
    if (rc != 0)
        return written(p, up, rc);
    memmove(b->data + start + 1 + more, b->data + start + 1, size);
    b->size = start;
    rc = mpw_map(b, (uint32_t)count);
    b->size = start + 1 + more + size;
    return written(p, up, rc);
}

/* A table that is packed as a map. */
struct map {
    int index, known;   /* known: the index of its metatable where that is a shape's; or 0 */
    int shape;          /* the shape itself */
    bool marked, bytes; /* bytes: some of its strings were */
    uint32_t count;     /* of pairs that are packed */
};

/* The pair of the key that is on top of the stack, at `at`, where it has a value; takes the key
 * off. place: of the name among the shape's, from 1; or 0. */
static int pack_pair(struct packer *p, struct map *map, int place, const struct step *at, int depth)
{
    lua_State *L = p->L;
    int key = at->key;
    lua_pushvalue(L, key);
    lua_rawget(L, map->index);
    if (lua_isnil(L, -1)) {
        lua_settop(L, key - 1);
        return 0;
    }
    bool came = false; /* as bytes, and is still those */
    if (map->bytes && place > 0 && lua_type(L, -1) == LUA_TSTRING) {
        lua_rawgeti(L, map->known, place);
        came = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
    }
    int rc = place > 0 || lua_type(L, key) == LUA_TSTRING ? pack_key(p, key, map->count, at)
                                                          : pack_one(p, key, at, depth + 1);
    if (rc == 0)
        rc = came ? pack_bytes(p, key + 1, at) : pack_one(p, key + 1, at, depth + 1);
    map->count++;
    lua_settop(L, key - 1);
    return rc;
}

/* What came with the table, in the order in which it came. */
static int pack_known(struct packer *p, struct map *map, const struct step *up, int depth)
{
    lua_State *L = p->L;
    struct step at = {.up = up, .table = lua_topointer(L, map->index), .key = lua_gettop(L) + 1};
    int rc = 0;
    for (int place = 1; rc == 0; place++) {
        lua_rawgeti(L, map->shape, place);
        int type = lua_type(L, at.key);
        if (type == LUA_TSTRING)
            rc = pack_pair(p, map, place, &at, depth);
        else
            lua_pop(L, 1);
        if (type == LUA_TNIL)
            break;
    }
    return rc;
}

/* What the script put into it, in the order of the keys. */
static int pack_others(struct packer *p, struct map *map, int64_t count, const struct step *up,
                       int depth)
{
    struct pack_keys keys;
    int rc = 0;
    pack_keys_sort(&keys, p->L, map->index, count, map->shape);
    struct step at = {
        .up = up, .table = lua_topointer(p->L, map->index), .key = lua_gettop(p->L) + 1};
    for (uint32_t i = 0; rc == 0 && i < keys.count; i++) {
        pack_keys_push(&keys, i);
        rc = pack_pair(p, map, 0, &at, depth);
    }
    lua_settop(p->L, keys.base);
    return rc;
}

static int64_t count_pairs(lua_State *L, int index)
{
    int64_t count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    return count;
}

/* A row is mostly packed with the columns that it came with. *rest: whether there is more in it. */
static int pack_row(struct packer *p, struct map *map, const struct step *up, int depth, bool *rest)
{
    int rc = written(p, up, mpw_map(p->out, 0));
    if (rc == 0)
        rc = pack_known(p, map, up, depth);
    *rest = rc == 0 && map->count < count_pairs(p->L, map->index);
    return rc;
}

/* Packs the table as a map. *is_map false: a key is no string (where the table is marked: nor a
 * number or boolean), or it is not marked and has none, and nothing was written. */
static int pack_map(struct packer *p, struct map *map, const struct step *up, int depth,
                    bool *is_map)
{
    size_t start = p->out->size;
    bool rest = true;
    int rc = map->known ? pack_row(p, map, up, depth, &rest) : 0;
    *is_map = true;
    if (rc == 0 && rest) {
        int64_t count = pack_keys_count(p->L, map->index, map->marked);
        *is_map = count > 0 || (count == 0 && map->marked);
        if (!*is_map) {
            p->out->size = start;
            return 0;
        }
        if (!map->known)
            rc = written(p, up, mpw_map(p->out, 0));
        if (rc == 0)
            rc = pack_others(p, map, count, up, depth);
    }
    return rc == 0 ? open_map(p, start, map->count, up) : rc;
}

/* Names a key that does not fit: beside 1..n where there are any of those, else beside strings. */
static int refuse_mixed(struct packer *p, int index, bool marked, struct keys k,
                        const struct step *up)
{
    lua_State *L = p->L;
    struct step at = {.up = up, .table = lua_topointer(L, index), .key = lua_gettop(L) + 1};
    if (k.places == k.count) {
        char hole[VALUE_WHY];
        print_hole(L, index, hole, sizeof hole);
        return refuse(p, up, ERR_BAD_VALUE, hole);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!is_place(L, at.key) && (marked || k.places > 0 || lua_type(L, at.key) != LUA_TSTRING))
            break;
    }
    const char *what = "this key is neither a string nor in a sequence 1..n "
                       "(rtcache.map takes numbers and booleans as keys)";
    if (marked)
        what = "this key does not belong into an array of 1..n";
    else if (k.places > 0)
        what = "this key does not fit beside 1..n: a table is an array or a map, not both";
    int rc = refuse(p, &at, ERR_BAD_VALUE, what);
    lua_settop(L, at.key - 1);
    return rc;
}

/* Whether the table is a string that is to be packed as bytes (rtcache.bin). */
static bool is_bin(const struct packer *p, const void *mark)
{
    return mark && mark == p->m->bin;
}

static int pack_bin(struct packer *p, int index, const struct step *up)
{
    lua_rawgeti(p->L, index, 1);
    int rc = pack_bytes(p, -1, up);
    lua_pop(p->L, 1);
    return rc;
}

/* mark: the address of the metatable, which is on top of the stack; or NULL. */
static int pack_marked(struct packer *p, int index, const void *mark, const struct step *up,
                       int depth)
{
    lua_State *L = p->L;
    bool bytes = mark && mark == p->m->bin_array;
    bool array = bytes || (mark && mark == p->m->array);
    struct map map = {.index = index, .marked = mark && mark == p->m->map};
    if (mark && !array && !map.marked && shape_is(L, p->m)) {
        map.marked = true;
        map.known = lua_gettop(L);
        shape_open(L, &map.bytes);
        map.shape = lua_gettop(L);
    }
    if (!array) {
        bool is_map;
        int rc = pack_map(p, &map, up, depth, &is_map);
        if (is_map)
            return rc;
    }
    struct keys k = count_keys(L, index);
    if (is_sequence(k))
        return pack_array(p, index, k.count, bytes, up, depth);
    return refuse_mixed(p, index, array, k, up);
}

static int pack_table(struct packer *p, int index, const struct step *up, int depth)
{
    lua_State *L = p->L;
    const void *self = lua_topointer(L, index), *mark = NULL;
    int top = lua_gettop(L);
    for (const struct step *s = up; s; s = s->up)
        if (s->table == self)
            return refuse(p, up, ERR_BAD_VALUE, "a table that contains itself cannot be packed");
    luaL_checkstack(L, 16, "a value to pack");
    if (lua_getmetatable(L, index))
        mark = lua_topointer(L, -1);
    int rc;
    if (is_bin(p, mark))
        rc = pack_bin(p, index, up);
    else if (depth >= MP_DEPTH_MAX)
        rc = refuse(p, up, ERR_BAD_VALUE, TOO_DEEP);
    else
        rc = pack_marked(p, index, mark, up, depth);
    lua_settop(L, top);
    return rc;
}

static int pack_one(struct packer *p, int index, const struct step *at, int depth)
{
    lua_State *L = p->L;
    switch (lua_type(L, index)) {
    case LUA_TNIL: return written(p, at, mpw_nil(p->out));
    case LUA_TBOOLEAN: return written(p, at, mpw_bool(p->out, lua_toboolean(L, index)));
    case LUA_TNUMBER: return pack_number(p, index, at);
    case LUA_TSTRING: return pack_text(p, index, at);
    case LUA_TTABLE: return pack_table(p, index, at, depth);
    case VM_TCDATA: return pack_cdata(p, index, at);
    default: break;
    }
    struct slice packed;
    if (value_is_null(L, p->m, index))
        return written(p, at, mpw_nil(p->out));
    if (packed_get(L, p->m, index, &packed)) {
        p->copied |= depth > 0;
        return written(p, at, mpw_raw(p->out, packed));
    }
    if (value_is_unchanged(L, p->m, index))
        return refuse(p, at, ERR_BAD_VALUE,
                      "rtcache.unchanged stands for a whole answer, it is no value");
    if (value_is_absent(L, p->m, index))
        return refuse(p, at, ERR_BAD_VALUE,
                      "rtcache.absent stands for a whole answer, it is no value");
    char what[64];
    const char *type = lua_typename(L, lua_type(L, index));
    snprintf(what, sizeof what, "a %s cannot be packed", type);
    return refuse(p, at, ERR_BAD_VALUE, what);
}

int value_pack(lua_State *L, const struct value_marks *m, int index, const char *root,
               struct buf *out, struct err *e)
{
    return value_pack_row(L, m, index, NULL, root, out, e);
}

int value_pack_row(lua_State *L, const struct value_marks *m, int index, struct value_names *names,
                   const char *root, struct buf *out, struct err *e)
{
    struct packer p = {.L = L, .m = m, .root = root, .names = names, .out = out, .e = e};
    int top = lua_gettop(L);
    size_t start = out->size;
    int rc = pack_one(&p, index < 0 ? top + index + 1 : index, NULL, 0);
    lua_settop(L, top);
    if (rc == 0 && p.copied && mp_check(slice_of(out->data + start, out->size - start), NULL) != 0)
        rc = refuse(&p, NULL, ERR_BAD_VALUE, TOO_DEEP);
    return rc;
}
