/* From Lua values to MessagePack bytes: the packing half of value.h; value.c has the other. */
#include "script/pack_keys.h"
#include "script/pack_path.h"
#include "script/pack_places.h"
#include "script/packed.h"
#include "script/shape.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdio.h>

#define TOO_DEEP "tables are nested too deep (more than 16)"

struct packer {
    lua_State *L;
    const struct value_marks *m;
    const char *root;
    struct value_names *names; /* of the outermost map, or NULL */
    struct buf *out;
    struct err *e;
    bool copied; /* packed bytes stand inside a table: how deep they are nested was not counted */
};

static int refuse(struct packer *p, const struct pack_step *at, int code, const char *what)
{
    char path[PACK_PATH_MAX];
    pack_path_print(p->L, p->root, at, path);
    return err_set(p->e, code, "%s: %s", path, what);
}

/* The buf's own failure. */
static int refuse_written(struct packer *p, const struct pack_step *at, int rc)
{
    char what[96];
    if (rc == ERR_TOO_LARGE)
        snprintf(what, sizeof what, "the packed value passes %zu bytes", p->out->max);
    else
        snprintf(what, sizeof what, "not enough memory to pack it");
    return refuse(p, at, rc, what);
}

static inline int written(struct packer *p, const struct pack_step *at, int rc)
{
    return rc == 0 ? 0 : refuse_written(p, at, rc);
}

static int pack_one(struct packer *p, int index, const struct pack_step *at, int depth);

static int pack_text(struct packer *p, int index, const struct pack_step *at)
{
    struct slice text;
    text.data = lua_tolstring(p->L, index, &text.size);
    return written(p, at, mpw_text(p->out, text));
}

static int pack_bytes(struct packer *p, int index, const struct pack_step *at)
{
    struct slice bytes = {.size = 0};
    bytes.data = lua_tolstring(p->L, index, &bytes.size);
    return written(p, at, mpw_bin(p->out, bytes));
}

/* The key of a pair of a map, its place among them being that. */
static int pack_key(struct packer *p, int index, size_t place, const struct pack_step *at)
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
    p->names->shape = NULL; /* the names are no longer those of its row */
    if (rc != 0 || size > VALUE_NAME_SIZE)
        return rc;
    name->at = text;
    name->size = size;
    memcpy(name->packed, p->out->data + before, size);
    return 0;
}

static int pack_number(struct packer *p, int index, const struct pack_step *at)
{
    return written(p, at, mpw_number(p->out, lua_tonumber(p->L, index)));
}

static int pack_cdata(struct packer *p, int index, const struct pack_step *at)
{
    int64_t v = 0;
    if (value_int(p->L, p->m, index, &v))
        return written(p, at, mpw_int(p->out, v));
    if (v < 0) /* value_int filled it: a uint64 above INT64_MAX */
        return written(p, at, mpw_uint(p->out, (uint64_t)v));
    return refuse(p, at, ERR_BAD_VALUE, "a cdata that is no 64-bit integer cannot be packed");
}

/* bytes: its strings are packed as such. */
static int pack_array(struct packer *p, int index, size_t count, bool bytes,
                      const struct pack_step *up, int depth)
{
    int rc = written(p, up, mpw_array(p->out, (uint32_t)count));
    struct pack_step at = {.up = up, .table = lua_topointer(p->L, index)};
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
static int open_map(struct packer *p, size_t start, size_t count, const struct pack_step *up)
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
static int pack_pair(struct packer *p, struct map *map, int place, const struct pack_step *at,
                     int depth)
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
static int pack_known(struct packer *p, struct map *map, const struct pack_step *up, int depth)
{
    lua_State *L = p->L;
    struct pack_step at = {
        .up = up, .table = lua_topointer(L, map->index), .key = lua_gettop(L) + 1};
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
static int pack_others(struct packer *p, struct map *map, int64_t count, const struct pack_step *up,
                       int depth)
{
    struct pack_keys keys;
    int rc = 0;
    pack_keys_sort(&keys, p->L, map->index, count, map->shape);
    struct pack_step at = {
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

/* ---- rows of one query ---- */

/* Remembers in which order a walk over such a row meets its columns. */
static void learn_row(const struct packer *p, const struct map *map)
{
    lua_State *L = p->L;
    struct value_names *n = p->names;
    uint32_t met = 0;
    n->shape = NULL;
    for (lua_pushnil(L); lua_next(L, map->index); met++) {
        lua_pop(L, 1);
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        uint32_t place = 0;
        while (place < map->count && n->name[place].at != text)
            place++;
        if (!text || place == map->count || met == map->count) {
            lua_pop(L, 1);
            return;
        }
        n->step[met] = (struct value_step){lua_topointer(L, -1), place};
    }
    n->columns = map->count;
    n->shape = met == map->count ? lua_topointer(L, map->shape) : NULL;
}

/* The row's columns, each in its place on the stack from base + 1 on. False: it is not as the one
 * before it, which the stack then shows no trace of. */
static bool spread_row(const struct packer *p, int index, int base)
{
    lua_State *L = p->L;
    const struct value_names *n = p->names;
    uint32_t met = 0;
    lua_settop(L, base + (int)n->columns);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (met == n->columns || lua_topointer(L, -2) != n->step[met].name) {
            lua_settop(L, base);
            return false;
        }
        lua_replace(L, base + 1 + (int)n->step[met++].place);
    }
    if (met < n->columns)
        lua_settop(L, base);
    return met == n->columns;
}

/* Packs a row that is as the one before it, whose shape it has: the same columns and no more, found
 * by one walk. False: it is not, or cannot be packed; nothing was written. */
static bool pack_like(struct packer *p, int index)
{
    lua_State *L = p->L;
    const struct value_names *n = p->names;
    int base = lua_gettop(L);
    size_t start = p->out->size;
    luaL_checkstack(L, (int)n->columns + 16, "a row to pack");
    if (!spread_row(p, index, base))
        return false;
    struct pack_step at = {.up = NULL, .table = lua_topointer(L, index)};
    int rc = mpw_map(p->out, n->columns);
    for (uint32_t i = 0; rc == 0 && i < n->columns; i++) {
        const struct value_name *name = &n->name[i];
        rc = mpw_raw(p->out, slice_of(name->packed, name->size));
        if (rc == 0)
            rc = pack_one(p, base + 1 + (int)i, &at, 1);
    }
    lua_settop(L, base);
    if (rc != 0)
        p->out->size = start; /* the longer way says why */
    return rc == 0;
}

/* A row is mostly packed with the columns that it came with. *rest: whether there is more in it. */
static int pack_row(struct packer *p, struct map *map, const struct pack_step *up, int depth,
                    bool *rest)
{
    int rc = written(p, up, mpw_map(p->out, 0));
    if (rc == 0)
        rc = pack_known(p, map, up, depth);
    *rest = rc == 0 && map->count < count_pairs(p->L, map->index);
    return rc;
}

/* Packs the table as a map. *is_map false: a key is no string (where the table is marked: nor a
 * number or boolean), or it is not marked and has none, and nothing was written. */
static int pack_map(struct packer *p, struct map *map, const struct pack_step *up, int depth,
                    bool *is_map)
{
    size_t start = p->out->size;
    bool rest = true, first = p->names && !up && map->known && !map->bytes;
    *is_map = true;
    int rc = map->known ? pack_row(p, map, up, depth, &rest) : 0;
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
    if (rc == 0 && first && !rest && map->count <= VALUE_NAMES)
        learn_row(p, map);
    return rc == 0 ? open_map(p, start, map->count, up) : rc;
}

/* Names a key that does not fit: beside 1..n where there are any of those, else beside strings. */
static int refuse_mixed(struct packer *p, int index, bool marked, struct pack_places k,
                        const struct pack_step *up)
{
    lua_State *L = p->L;
    struct pack_step at = {.up = up, .table = lua_topointer(L, index), .key = lua_gettop(L) + 1};
    if (k.places == k.count) {
        char hole[VALUE_WHY];
        pack_places_print_hole(L, index, hole, sizeof hole);
        return refuse(p, up, ERR_BAD_VALUE, hole);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!pack_places_has(L, at.key) &&
            (marked || k.places > 0 || lua_type(L, at.key) != LUA_TSTRING))
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

static int pack_bin(struct packer *p, int index, const struct pack_step *up)
{
    lua_rawgeti(p->L, index, 1);
    int rc = pack_bytes(p, -1, up);
    lua_pop(p->L, 1);
    return rc;
}

/* mark: the address of the metatable, which is on top of the stack; or NULL. */
static int pack_marked(struct packer *p, int index, const void *mark, const struct pack_step *up,
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
    struct pack_places k = pack_places_count(L, index);
    if (pack_places_are_all(k))
        return pack_array(p, index, k.count, bytes, up, depth);
    return refuse_mixed(p, index, array, k, up);
}

static int pack_table(struct packer *p, int index, const struct pack_step *up, int depth)
{
    lua_State *L = p->L;
    const void *self = lua_topointer(L, index), *mark = NULL;
    int top = lua_gettop(L);
    for (const struct pack_step *s = up; s; s = s->up)
        if (s->table == self)
            return refuse(p, up, ERR_BAD_VALUE, "a table that contains itself cannot be packed");
    luaL_checkstack(L, 16, "a value to pack");
    if (lua_getmetatable(L, index))
        mark = lua_topointer(L, -1);
    int rc = 0;
    if (mark && !up && p->names && mark == p->names->shape && pack_like(p, index)) {
        lua_settop(L, top);
        return 0;
    }
    if (is_bin(p, mark))
        rc = pack_bin(p, index, up);
    else if (depth >= MP_DEPTH_MAX)
        rc = refuse(p, up, ERR_BAD_VALUE, TOO_DEEP);
    else
        rc = pack_marked(p, index, mark, up, depth);
    lua_settop(L, top);
    return rc;
}

static int pack_one(struct packer *p, int index, const struct pack_step *at, int depth)
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
