/*
 * script_value_fuzz: bytes as a value of Lua and back. What comes back means the same, packs to the
 * same bytes a second time, and leaves nothing on Lua's stack. Run: ./dev fuzz script_value
 */
#include "script/sandbox.h"
#include "wire/mp.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __lsan_is_turned_off(void);

/* LuaJIT tags the addresses in its values, where LeakSanitizer does not find them. */
int __lsan_is_turned_off(void)
{
    return 1;
}

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static struct vm *vm;
static struct sandbox sandbox;

static void make_world(void)
{
    struct err e;
    expect(vm_new(&vm, 256 << 20, &e) == 0);
    expect(sandbox_init(&sandbox, vm, "/nonexistent", NULL, NULL, &e) == 0);
}

static bool is_number(enum mp_type type)
{
    return type == MP_INT || type == MP_UINT || type == MP_FLOAT;
}

static double as_double(const struct mp_token *t)
{
    return t->type == MP_INT ? (double)t->i : t->type == MP_UINT ? (double)t->u : t->d;
}

static bool same_number(const struct mp_token *a, const struct mp_token *b)
{
    if (a->type == MP_INT && b->type == MP_INT)
        return a->i == b->i;
    if (a->type == MP_UINT && b->type == MP_UINT)
        return a->u == b->u;
    if (a->type != MP_FLOAT && b->type != MP_FLOAT)
        return false;
    double x = as_double(a), y = as_double(b);
    return x == y || (isnan(x) && isnan(y));
}

static struct slice take(struct mp_reader *r)
{
    struct slice value;
    expect(mp_take(r, &value) == MP_OK);
    return value;
}

static bool same(struct slice a, struct slice b);

/* Whether the map whose pairs begin at r has the value under the key; of two equal keys the last
 * one counts, as in Lua. */
static bool map_has(struct mp_reader r, uint32_t count, struct slice key, struct slice value)
{
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        struct slice k = take(&r), v = take(&r);
        if (same(k, key))
            found = same(v, value);
    }
    return found;
}

static bool same_map(struct mp_reader a, uint32_t a_count, struct mp_reader b, uint32_t b_count)
{
    struct mp_reader at = b;
    for (uint32_t i = 0; i < b_count; i++) {
        struct slice k = take(&at), v = take(&at);
        if (!map_has(a, a_count, k, v))
            return false;
    }
    at = a;
    for (uint32_t i = 0; i < a_count; i++) {
        struct slice k = take(&at);
        take(&at);
        struct mp_reader in_b = b;
        bool found = false;
        for (uint32_t j = 0; j < b_count && !found; j++) {
            found = same(take(&in_b), k);
            take(&in_b);
        }
        if (!found)
            return false;
    }
    return true;
}

static bool same(struct slice a, struct slice b)
{
    struct mp_reader ra = mp_reader_of(a), rb = mp_reader_of(b);
    struct mp_token ta, tb;
    expect(mp_next(&ra, &ta) == MP_OK && mp_next(&rb, &tb) == MP_OK);
    if (is_number(ta.type) && is_number(tb.type))
        return same_number(&ta, &tb);
    bool text =
        (ta.type == MP_STR || ta.type == MP_BIN) && (tb.type == MP_STR || tb.type == MP_BIN);
    if (text)
        return slice_eq(ta.bytes, tb.bytes);
    if (ta.type != tb.type)
        return false;
    if (ta.type == MP_BOOL)
        return ta.b == tb.b;
    if (ta.type == MP_MAP)
        return same_map(ra, ta.count, rb, tb.count);
    if (ta.type != MP_ARRAY)
        return true; /* nil */
    if (ta.count != tb.count)
        return false;
    for (uint32_t i = 0; i < ta.count; i++)
        if (!same(take(&ra), take(&rb)))
            return false;
    return true;
}

struct turn {
    struct slice in;
    struct buf out;
    int packed; /* value_pack's */
};

static int protected_turn(lua_State *L)
{
    struct turn *t = lua_touserdata(L, 1);
    struct err e;
    err_clear(&e);
    value_unpack(L, &sandbox.marks, t->in);
    int top = lua_gettop(L);
    t->packed = value_pack(L, &sandbox.marks, -1, "value", &t->out, &e);
    expect(lua_gettop(L) == top);
    expect(t->packed == 0 ||
           ((t->packed == ERR_BAD_VALUE || t->packed == ERR_TOO_LARGE) && e.text[0] != '\0'));
    return 0;
}

/* False: the bytes are no value, or the value cannot be packed. */
static bool turn_around(struct turn *t, struct slice in)
{
    struct err e;
    *t = (struct turn){.in = in};
    buf_init(&t->out, 1 << 20);
    vm_enter(vm, 10000000, 64 << 20);
    int rc = vm_protect(vm, protected_turn, t, &e);
    vm_leave(vm);
    expect(lua_gettop(vm->L) == 0);
    return rc == 0 && t->packed == 0;
}

/* What the VM holds does not grow with the number of inputs. */
static void expect_no_leak(void)
{
    static unsigned inputs;
    if (++inputs % 4096 != 0)
        return;
    lua_gc(vm->L, LUA_GCCOLLECT, 0);
    expect(vm->used < 8 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!vm)
        make_world();
    expect_no_leak();
    struct slice in = slice_of((const char *)data, size);
    struct turn first, second;
    struct err e;
    bool valid = mp_check(in, &e) == 0;
    if (turn_around(&first, in)) {
        expect(valid);
        expect(mp_check(buf_slice(&first.out), &e) == 0);
        if (size < 512)
            expect(same(in, buf_slice(&first.out)));
        expect(turn_around(&second, buf_slice(&first.out)));
        expect(first.out.size == second.out.size);
        if (size < 512)
            expect(same(buf_slice(&first.out), buf_slice(&second.out)));
        buf_fini(&second.out);
    }
    buf_fini(&first.out);
    return 0;
}
