#include "script/file_texts.h"

#include "script/lab.h"

static void expect(const struct file_texts *t, const char *dir, const char *file, const char *text)
{
    struct slice got;
    assert_true(file_texts_find(t, dir, file, &got));
    assert_true(slice_eq_str(got, text));
}

static void keeps_what_was_read_last(void **state)
{
    (void)state;
    struct file_texts *t = file_texts_new();
    struct slice text;
    assert_false(file_texts_find(t, "scripts", "a.lua", &text));
    assert_true(file_texts_keep(t, "scripts", "a.lua", slice_str("one")));
    assert_true(file_texts_keep(t, "lua", "a.lua", slice_str("two")));
    assert_true(file_texts_keep(t, "scripts", "b.lua", (struct slice){0}));
    expect(t, "scripts", "a.lua", "one");
    expect(t, "lua", "a.lua", "two");
    expect(t, "scripts", "b.lua", "");
    assert_true(file_texts_keep(t, "scripts", "a.lua", slice_str("another")));
    expect(t, "scripts", "a.lua", "another");
    file_texts_unref(file_texts_ref(t));
    expect(t, "lua", "a.lua", "two");
    file_texts_unref(t);
    file_texts_unref(NULL);
}

static void evaluate(struct sandbox *sb, const char *expected)
{
    struct err e;
    int ref;
    lua_State *L = sb->vm->L;
    assert_int_equal(sandbox_load(sb, "main.lua", LUA_NOREF, &ref, &e), 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    assert_int_equal(lua_pcall(L, 0, 1, 0), 0);
    assert_string_equal(lua_tostring(L, -1), expected);
    lua_settop(L, 0);
}

/* Files that have changed, or are gone, are of the next reload. */
static void reads_in_another_state_what_was_read_in_the_first(void **state)
{
    struct lab *lab = *state;
    struct vm *vm;
    struct sandbox second;
    struct err e;
    char path[128];
    lab_write(lab, "main.lua", "return require 'part' .. (pcall(require, 'later') and 1 or 2)");
    lab_write(lab, "part.lua", "return 'first'");
    evaluate(&lab->sandbox, "first2");
    lab_write(lab, "main.lua", "this is no Lua");
    snprintf(path, sizeof path, "%s/part.lua", lab->dir);
    assert_int_equal(unlink(path), 0);
    lab_write(lab, "later.lua", "return 'what nobody has read is read'");
    assert_int_equal(vm_new(&vm, 64 << 20, &e), 0);
    assert_int_equal(sandbox_init(&second, vm, lab->dir, NULL, &lab->sandbox, &e), 0);
    evaluate(&second, "first1");
    vm_free(vm);
    sandbox_fini(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_read_last),
        LAB(reads_in_another_state_what_was_read_in_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
