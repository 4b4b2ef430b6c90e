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
    assert_true(cost.cpu_us >= 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(reports_what_protected_calls_throw),
        LAB(counts_bytes_and_time_between_enter_and_leave),
        LAB(charges_for_bytes_kept_elsewhere),
        cmocka_unit_test(frees_all_it_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
