/* The bounds of a VM, to the microsecond of a clock of the test's own, and to the byte. */
#include "script/lab.h"

#include "clock_mine.h"

static struct vm *vm_in(void **state)
{
    return ((struct lab *)*state)->vm;
}

/* The first look cannot know when the CPU was begun with: it charges a millisecond at most. */
static void time_counts_from_the_first_look_and_a_millisecond_before_it(void **state)
{
    struct vm *vm = vm_in(state);
    vm_enter(vm, 5000, 1 << 20);
    clock_now_us += 3000;
    assert_false(vm_overdue(vm));
    clock_now_us += 3999; /* 1,000 and 3,999 */
    assert_false(vm_overdue(vm));
    clock_now_us += 1;
    assert_true(vm_overdue(vm));
    assert_true(vm_overdue(vm));
    assert_int_equal(vm_leave(vm).cpu_us, 5000);
    vm_enter(vm, 5000, 1 << 20);
    clock_now_us += 400;
    assert_false(vm_overdue(vm));
    clock_now_us += 4599;
    assert_false(vm_overdue(vm));
    clock_now_us += 1;
    assert_true(vm_overdue(vm));
    struct vm_cost cost = vm_leave(vm);
    assert_int_equal(cost.cpu_us, 5000);
    assert_true(cost.stopped);
}

static void what_nobody_looked_at_costs_a_millisecond_at_most(void **state)
{
    struct vm *vm = vm_in(state);
    static const int64_t took_us[] = {0, 999, 1000, 1001, 90000};
    for (size_t i = 0; i < sizeof took_us / sizeof *took_us; i++) {
        vm_enter(vm, 5000, 1 << 20);
        clock_now_us += took_us[i];
        struct vm_cost cost = vm_leave(vm);
        assert_int_equal(cost.cpu_us, took_us[i] < 1000 ? took_us[i] : 1000);
        assert_int_equal(cost.bytes, 0);
        assert_false(cost.stopped || cost.refused || cost.full);
    }
    clock_now_us += 1000000;
    assert_false(vm_overdue(vm)); /* nothing runs */
}

/* Large blocks are alive: one instruction may scan one, so the hook looks more often. */
static void the_larger_a_block_the_more_often_time_is_looked_at(void **state)
{
    static const struct {
        size_t bytes;
        int every;
    } cases[] = {
        {65000, 1000}, {66000, 512},  {130000, 512}, {132000, 256}, {1000000, 64},
        {1100000, 32}, {16700000, 4}, {16800000, 2}, {33500000, 2}, {33600000, 1},
    };
    struct vm *vm = vm_in(state);
    assert_int_equal(vm->hook_every, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        vm_enter(vm, 5000000, 60 << 20);
        lua_newuserdata(vm->L, cases[i].bytes);
        if (vm->hook_every != cases[i].every)
            fail_msg("%zu bytes: %d", cases[i].bytes, vm->hook_every);
        vm_leave(vm);
        lua_settop(vm->L, 0);
        assert_int_equal(vm_collect(vm, &e), 0);
        vm_enter(vm, 5000000, 60 << 20); /* it is gone again */
        assert_int_equal(vm->hook_every, 1000);
        vm_leave(vm);
    }
    for (int i = 0; i < VM_BIG_KINDS; i++)
        assert_int_equal(vm->big[i], 0);
}

static int new_block(lua_State *L)
{
    lua_newuserdata(L, *(size_t *)lua_touserdata(L, 1));
    return 0;
}

static void one_block_has_a_bound_of_its_own(void **state)
{
    struct vm *vm = vm_in(state);
    struct err e;
    size_t head = 0, size = 100000;
    vm->block_max = size;
    while (vm_protect(vm, new_block, &size, &e) != 0) { /* what Lua adds to it */
        size--;
        head++;
    }
    assert_true(head > 0 && head < 100);
    size++;
    vm->refused = false;
    assert_int_equal(vm_protect(vm, new_block, &size, &e), ERR_NOMEM);
    assert_true(vm->refused);
    assert_false(vm->full); /* the state has room */
    char want[100];
    snprintf(want, sizeof want, "not enough memory: the Lua state holds %zu of %d bytes", vm->used,
             64 << 20);
    assert_string_equal(e.text, want);
    assert_int_equal(vm_protect_past_max(vm, new_block, &size, &e), 0);
    assert_int_equal(vm->block_max, 100000);
    assert_int_equal(vm->limit, 64 << 20);
}

static void what_is_charged_ends_at_the_limit(void **state)
{
    struct vm *vm = vm_in(state);
    size_t used = vm->used;
    vm_enter(vm, 1000, 1000);
    assert_int_equal(vm->limit, used + 1000);
    assert_true(vm_charge(vm, 1000));
    assert_false(vm_charge(vm, 1));
    vm_discharge(vm, 1);
    assert_true(vm_charge(vm, 1));
    struct vm_cost cost = vm_leave(vm);
    assert_int_equal(cost.bytes, 1000);
    assert_true(cost.refused);
    assert_false(cost.full);
    assert_int_equal(vm->limit, vm->max);
    vm_discharge(vm, 1000);
    vm_enter(vm, 1000, SIZE_MAX); /* whatever the state has */
    assert_int_equal(vm->limit, vm->max);
    assert_true(vm_charge(vm, vm->max - vm->used));
    assert_false(vm_charge(vm, 1));
    cost = vm_leave(vm);
    assert_true(cost.refused && cost.full);
    vm_discharge(vm, vm->max - used);
    assert_int_equal(vm->used, used);
    vm_enter(vm, 1000, 0); /* what came before is forgotten */
    cost = vm_leave(vm);
    assert_false(cost.refused || cost.full || cost.stopped);
}

static void a_stop_is_armed_and_then_forgotten(void **state)
{
    struct vm *vm = vm_in(state);
    vm_enter(vm, 1000000, 1 << 20);
    assert_int_equal(luaL_loadstring(vm->L, "local n = 0 while true do n = n + 1 end"), 0);
    vm_stop(vm);
    assert_int_not_equal(lua_pcall(vm->L, 0, 0, 0), 0);
    assert_string_equal(lua_tostring(vm->L, -1), "stopped: its CPU time is over");
    struct vm_cost cost = vm_leave(vm);
    assert_true(cost.stopped);
    assert_false(vm->stopped);
    lua_settop(vm->L, 0);
    assert_int_equal(luaL_dostring(vm->L, "local n = 0 for i = 1, 5000 do n = n + i end"), 0);
}

static void a_position_is_the_innermost_of_a_script(void **state)
{
    struct lab *lab = *state;
    char out[VM_WHERE_MAX];
    struct vm_position p = {.file = "x.lua", .line = 7};
    vm_print_position(&p, out, sizeof out);
    assert_string_equal(out, "x.lua:7");
    p.line = 0;
    vm_print_position(&p, out, sizeof out);
    assert_string_equal(out, "x.lua");
    assert_false(vm_position(lab->vm->L, &p)); /* no script runs */
    assert_false(vm_where(lab->vm->L, out, sizeof out));
}

static void what_was_thrown_is_known_again(void **state)
{
    lua_State *L = vm_in(state)->L;
    lua_pushstring(L, "one");
    assert_false(vm_was_thrown(L, 1));
    vm_note_thrown(L, 1);
    assert_true(vm_was_thrown(L, 1));
    lua_pushstring(L, "two");
    assert_false(vm_was_thrown(L, 2));
    lua_newtable(L);
    lua_newtable(L);
    vm_note_thrown(L, 3);
    assert_true(vm_was_thrown(L, 3));
    assert_false(vm_was_thrown(L, 4));
    assert_false(vm_was_thrown(L, 1));
    lua_pushnumber(L, 5);
    vm_note_thrown(L, 5); /* has no identity */
    assert_false(vm_was_thrown(L, 5));
    lua_settop(L, 0);
}

static void a_reserve_is_taken_in_parts_of_sixteen_bytes(void **state)
{
    struct vm *vm = vm_in(state);
    struct err e;
    assert_null(vm->reserve);
    assert_int_equal(vm_reserve(vm, &e), 0);
    assert_true(vm->reserve_open);
    assert_int_equal(vm_reserve(vm, &e), 0); /* once more changes nothing */
    assert_int_equal(vm->reserve_used, 0);
    vm_reserve_end(vm);
    assert_false(vm->reserve_open);
    assert_null(vm->reserve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(time_counts_from_the_first_look_and_a_millisecond_before_it),
        LAB(what_nobody_looked_at_costs_a_millisecond_at_most),
        LAB(the_larger_a_block_the_more_often_time_is_looked_at),
        LAB(one_block_has_a_bound_of_its_own),
        LAB(what_is_charged_ends_at_the_limit),
        LAB(a_stop_is_armed_and_then_forgotten),
        LAB(a_position_is_the_innermost_of_a_script),
        LAB(what_was_thrown_is_known_again),
        LAB(a_reserve_is_taken_in_parts_of_sixteen_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
