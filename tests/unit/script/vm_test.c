#include "script/lab.h"

static int allocate_much(lua_State *L)
{
    lua_newuserdata(L, 100 << 20);
    return 0;
}

static int throw_text(lua_State *L)
{
    return luaL_error(L, "what it %s", "said");
}

static int throw_table(lua_State *L)
{
    lua_newtable(L);
    return lua_error(L);
}

static void reports_what_protected_calls_throw(void **state)
{
    struct lab *lab = *state;
    struct err e;
    int top = lua_gettop(lab->vm->L);
    assert_int_equal(vm_protect(lab->vm, allocate_much, NULL, &e), ERR_NOMEM);
    assert_int_equal(vm_protect(lab->vm, throw_text, NULL, &e), ERR_SCRIPT);
    assert_string_equal(e.text, "what it said");
    assert_int_equal(vm_protect(lab->vm, throw_table, NULL, &e), ERR_SCRIPT);
    assert_string_equal(e.text, "an error that is no text");
    assert_int_equal(lua_gettop(lab->vm->L), top);
}

static void counts_bytes_and_time_between_enter_and_leave(void **state)
{
    struct lab *lab = *state;
    lua_State *L = lab->vm->L;
    vm_enter(lab->vm, 1000000, 1 << 20);
    lua_newuserdata(L, 100000);
    struct vm_cost cost = vm_leave(lab->vm);
    assert_true(cost.bytes >= 100000 && cost.bytes < 110000);
    assert_false(cost.stopped);
    assert_false(cost.refused);
    assert_in_range(cost.cpu_us, 0, 1000);
    lua_settop(L, 0);
    assert_int_equal(luaL_loadstring(L, "while true do end"), 0);
    vm_enter(lab->vm, 5000, 1 << 20);
    assert_int_not_equal(lua_pcall(L, 0, 0, 0), 0);
    cost = vm_leave(lab->vm);
    assert_true(cost.stopped);
    assert_in_range(cost.cpu_us, 5000, 1000000);
}

static void charges_for_bytes_kept_elsewhere(void **state)
{
    struct vm *vm = ((struct lab *)*state)->vm;
    size_t used = vm->used;
    vm_enter(vm, 1000000, 1000);
    assert_true(vm_charge(vm, 900));
    assert_false(vm_charge(vm, 200));
    assert_false(vm_charge(vm, SIZE_MAX));
    struct vm_cost cost = vm_leave(vm);
    assert_true(cost.refused);
    assert_int_equal(cost.bytes, 900);
    vm_discharge(vm, 900);
    assert_int_equal(vm->used, used);
}

static void frees_all_it_counted(void **state)
{
    (void)state;
    struct vm *vm;
    struct err e;
    assert_int_equal(vm_new(&vm, 1000, &e), ERR_NOMEM);
    assert_null(vm);
    assert_int_equal(vm_new(&vm, 1 << 20, &e), 0);
    assert_true(vm->used > 1000 && vm->used < 100000);
    assert_ptr_equal(vm_of(vm->L), vm);
    vm_free(vm);
    vm_free(NULL);
}

/* Until no byte is left; what it held is garbage. */
static void fill(struct lab *lab, const char *piece)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "local keep, chain = {}\n"
        "for _ = 1, 3 do pcall(function() for i = 1, 1e9 do keep[#keep + 1] = %s end end) end\n"
        "pcall(function() for i = 1, 1e9 do chain = { chain } end end)",
        piece);
    lab->vm->max = 8 << 20;
    (void)lab_run(lab, text); /* there may be no memory for the next pcall either */
    assert_true(lab->vm->used > lab->vm->max - 100);
    lua_settop(lab->vm->L, 0);
}

/* The collector makes its table of strings smaller as it goes, for which it needs memory. */
static void collects_where_no_memory_is_left(void **state)
{
    struct lab *lab = *state;
    static const char *const pieces[] = {"'m' .. i", "('m'):rep(50) .. i", "('m'):rep(1000) .. i",
                                         "{}", "function() return i end"};
    struct err e;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        fill(lab, pieces[i]);
        if (vm_collect(lab->vm, &e) != 0)
            fail_msg("%s: %s", pieces[i], e.text);
        assert_true(lab->vm->used < 3 << 20);
        lab_expect(lab, "return ('x'):rep(3)", "xxx");
    }
}

static void tells_a_full_state_from_a_bound_of_its_own(void **state)
{
    struct vm *vm = ((struct lab *)*state)->vm;
    size_t left = vm->max - vm->used;
    vm_enter(vm, 1000000, 1000);
    assert_false(vm_charge(vm, 2000));
    struct vm_cost cost = vm_leave(vm);
    assert_true(cost.refused);
    assert_false(cost.full);
    assert_true(vm_charge(vm, left - 500));
    vm_enter(vm, 1000000, 1000);
    assert_false(vm_charge(vm, 600));
    cost = vm_leave(vm);
    assert_true(cost.refused && cost.full);
    vm_enter(vm, 1000000, 1000);
    assert_false(vm_charge(vm, 1600));
    cost = vm_leave(vm);
    assert_true(cost.refused && !cost.full);
    vm_discharge(vm, left - 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(reports_what_protected_calls_throw),
        LAB(counts_bytes_and_time_between_enter_and_leave),
        LAB(charges_for_bytes_kept_elsewhere),
        LAB(collects_where_no_memory_is_left),
        LAB(tells_a_full_state_from_a_bound_of_its_own),
        cmocka_unit_test(frees_all_it_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
