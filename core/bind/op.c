#include "bind/op.h"

#include "bind/run_bytes.h"
#include "script/packed.h"

#include <stdio.h>
#include <stdlib.h>

enum op_kind { OP_CALL, OP_SLEEP };

struct op {
    struct list link; /* of its run */
    struct run *run;
    enum op_kind kind;
    bool settled, packed;
    int backend;
    uint32_t slot, serial;
    size_t charged;
    struct vm_position where; /* that asked */
    ev_timer timer;
    struct call call;
    struct buf params;
    char text[];
};

void op_fail_at(lua_State *L, const struct op_asker *a, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], where[VM_WHERE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!a->placed)
        vm_fail(L, "%s", text);
    vm_print_position(&a->where, where, sizeof where);
    lua_pushfstring(L, "%s: %s", where, text);
    lua_error(L);
    abort(); /* lua_error does not return */
}

void op_check_may_wait(lua_State *L, struct runtime *rt, const struct op_asker *a)
{
    if (!rt->current)
        op_fail_at(L, a, "%s%s cannot be called while the script is read, only while a load runs",
                   a->prefix, a->what);
    if (!lua_isyieldable(L))
        op_fail_at(L, a,
                   "%s%s cannot wait here: inside a function that string.gsub, table.sort or a "
                   "__tostring calls back",
                   a->prefix, a->what);
}

static struct op *find(lua_State *L, struct runtime *rt)
{
    double number = luaL_checknumber(L, 1);
    uint64_t bits = (uint64_t)number;
    uint32_t slot = (uint32_t)(bits % OP_MAX);
    struct op *op = slot < rt->op_room ? rt->ops[slot].op : NULL;
    return op && op->serial == bits / OP_MAX ? op : NULL;
}

/* What a call that has ended, or is given up, may have done to its source. */
static void note_effect(struct op *op, bool ended)
{
    const struct call *q = &op->call;
    enum call_fate fate = ended && q->code == 0 ? CALL_DONE : q->fate;
    enum run_effect effect = EFFECT_SOME;
    if (fate == CALL_UNSENT || fate == CALL_UNDONE)
        effect = EFFECT_NONE;
    else if (fate == CALL_SENT)
        effect = EFFECT_UNKNOWN;
    if (effect > op->run->effect)
        op->run->effect = effect;
}

/* What a call that has ended, or was given up while it was waited for, says of its source's
 * health. */
static void note_health(struct op *op, bool ended)
{
    const struct call *q = &op->call;
    enum run_health health = HEALTH_GOOD;
    if (!ended || (q->code != 0 && err_is_sick(&q->err)))
        health = HEALTH_BAD;
    else if (q->code != 0 && q->code != ERR_BACKEND && q->fate == CALL_UNSENT)
        health = HEALTH_UNKNOWN; /* the source was not asked */
    if (health > op->run->health)
        op->run->health = health;
}

static void op_free(struct op *op)
{
    struct runtime *rt = op->run->rt;
    if (op->kind == OP_SLEEP) {
        ev_timer_stop(rt->loop, &op->timer);
    } else if (!op->settled) {
        backend_cancel(rt->backends[op->backend], &op->call);
        note_effect(op, false);
    }
    if (op->kind == OP_CALL)
        buf_fini(&op->call.result);
    buf_fini(&op->params);
    list_remove(&op->link);
    rt->ops[op->slot] = (struct op_slot){.next = rt->op_free};
    rt->op_free = op->slot;
    vm_discharge(rt->vm, op->charged);
    free(op);
}

void op_out_of_time(struct run *r)
{
    list_for_each (link, &r->ops) {
        struct op *op = container_of(link, struct op, link);
        if (op->kind == OP_CALL && !op->settled)
            note_health(op, false);
    }
}

void op_drop_all(struct run *r)
{
    while (!list_empty(&r->ops))
        op_free(container_of(r->ops.next, struct op, link));
}

static bool grow_slots(struct runtime *rt)
{
    uint32_t room = rt->op_room ? rt->op_room * 2 : 64;
    if (room > OP_MAX)
        return false;
    struct op_slot *ops = realloc(rt->ops, room * sizeof *ops);
    if (!ops)
        return false;
    for (uint32_t i = rt->op_room; i < room; i++)
        ops[i] = (struct op_slot){.next = i + 1};
    rt->ops = ops;
    rt->op_free = rt->op_room;
    rt->op_room = room;
    return true;
}

/* NULL: out of memory, of slots, or past the VM's limit. */
static struct op *op_new(struct runtime *rt, enum op_kind kind, size_t text_size, size_t more)
{
    size_t charged = sizeof(struct op) + text_size + more;
    if (!vm_charge(rt->vm, charged))
        return NULL;
    struct op *op = calloc(1, sizeof *op + text_size);
    if (!op || (rt->op_free == rt->op_room && !grow_slots(rt))) {
        free(op);
        vm_discharge(rt->vm, charged);
        return NULL;
    }
    op->run = rt->current;
    op->kind = kind;
    op->charged = charged;
    op->slot = rt->op_free;
    op->serial = ++rt->op_serial;
    rt->op_free = rt->ops[op->slot].next;
    rt->ops[op->slot].op = op;
    list_push_back(&op->run->ops, &op->link);
    return op;
}

static void op_settle(struct op *op)
{
    op->settled = true;
    run_wake(op->run);
}

static void op_call_done(struct call *q)
{
    struct op *op = container_of(q, struct op, call);
    if (q->code == ERR_BAD_REQUEST) /* what is asked is the script's, and no client's */
        q->code = q->err.code = ERR_SCRIPT;
    note_effect(op, true);
    note_health(op, true);
    op_settle(op);
}

static void op_timer_fired(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    op_settle(container_of(w, struct op, timer));
}

static void push_number(lua_State *L, struct op *op)
{
    lua_pushnumber(L, (lua_Number)((uint64_t)op->serial * OP_MAX + op->slot));
}

bool op_call(lua_State *L, struct runtime *rt, const struct op_request *q)
{
    struct op *op = op_new(rt, OP_CALL, q->text.size, q->params->capacity);
    if (!op)
        return false;
    memcpy(op->text, q->text.data, q->text.size);
    op->params = *q->params;
    buf_init(q->params, q->params->max);
    op->backend = q->backend;
    op->packed = q->of->packed;
    op->where = *q->where;
    op->call.verb = q->verb;
    op->call.text = slice_of(op->text, q->text.size);
    op->call.params = buf_slice(&op->params);
    op->call.shape = q->of->shape;
    op->call.done = op_call_done;
    push_number(L, op);
    struct backend *b = rt->backends[q->backend];
    op->settled = q->of->at_once && backend_answer(b, &op->call);
    if (!op->settled)
        backend_submit(b, &op->call);
    return true;
}

bool op_sleep(lua_State *L, struct runtime *rt, double seconds)
{
    struct op *op = op_new(rt, OP_SLEEP, 0, 0);
    if (!op)
        return false;
    push_number(L, op);
    ev_now_update(rt->loop);
    ev_timer_init(&op->timer, op_timer_fired, seconds, 0.);
    ev_timer_start(rt->loop, &op->timer);
    return true;
}

int op_lua_settled(lua_State *L)
{
    struct op *op = find(L, runtime_upvalue(L));
    lua_pushboolean(L, !op || op->settled);
    return 1;
}

int op_lua_drop(lua_State *L)
{
    struct op *op = find(L, runtime_upvalue(L));
    if (op)
        op_free(op);
    return 0;
}

/* {code, message, retryable, where}, printed as "where: message". */
static int raise_call_error(lua_State *L, struct runtime *rt, struct op *op)
{
    char where[VM_WHERE_MAX];
    lua_createtable(L, 0, 5);
    lua_pushstring(L, err_name(op->call.code));
    lua_setfield(L, -2, "code");
    lua_pushstring(L, op->call.err.text);
    lua_setfield(L, -2, "message");
    lua_pushboolean(L, err_may_retry(&op->call.err));
    lua_setfield(L, -2, "retryable");
    vm_print_position(&op->where, where, sizeof where);
    lua_pushstring(L, where);
    lua_setfield(L, -2, "where");
    if (op->call.err.retry_after_ms >= 0 && op->call.err.code != 0) {
        lua_pushinteger(L, op->call.err.retry_after_ms);
        lua_setfield(L, -2, "retry_after_ms");
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->error);
    lua_setmetatable(L, -2);
    op_free(op);
    return lua_error(L);
}

int op_lua_take(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    struct op *op = find(L, rt);
    if (!op)
        vm_fail(L, "what this coroutine waited for was given up");
    if (op->kind == OP_SLEEP) {
        op_free(op);
        return 0;
    }
    if (op->call.code != 0)
        return raise_call_error(L, rt, op);
    bool maybe =
        op->call.shape == CALL_ROW || op->call.shape == CALL_VALUE || op->call.shape == CALL_TYPES;
    if (maybe && !op->call.found)
        lua_pushnil(L);
    else if (op->packed && op->call.shape == CALL_ROW)
        packed_push_row(L, &rt->sandbox.marks, buf_slice(&op->call.result));
    else if (op->packed)
        packed_push_rows(L, &rt->sandbox.marks, buf_slice(&op->call.result));
    else
        value_unpack(L, &rt->sandbox.marks, buf_slice(&op->call.result));
    if (op->call.shape == CALL_VALUE && op->call.found)
        run_bytes_note(L, op->run, buf_slice(&op->call.result));
    op_free(op);
    return 1;
}
