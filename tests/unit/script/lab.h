/*
 * lab: a VM with its sandbox, for tests: runs the text of a script and looks at what it returns.
 */
#ifndef RTCACHE_TESTS_SCRIPT_LAB_H
#define RTCACHE_TESTS_SCRIPT_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "script/sandbox.h"

struct lab {
    char dir[64];
    struct vm *vm;
    struct sandbox sandbox;
    int files;
};

static inline int with_lab(void **state)
{
    struct err e;
    struct lab *lab = calloc(1, sizeof *lab);
    strcpy(lab->dir, "/tmp/rtcache-script-XXXXXX");
    assert_non_null(mkdtemp(lab->dir));
    assert_int_equal(vm_new(&lab->vm, 64 << 20, &e), 0);
    assert_int_equal(sandbox_init(&lab->sandbox, lab->vm, lab->dir, NULL, NULL, &e), 0);
    *state = lab;
    return 0;
}

static inline int without_lab(void **state)
{
    struct lab *lab = *state;
    char command[128];
    vm_free(lab->vm);
    sandbox_fini(&lab->sandbox);
    snprintf(command, sizeof command, "rm -rf '%s'", lab->dir);
    assert_int_equal(system(command), 0);
    free(lab);
    return 0;
}

static inline void lab_write(struct lab *lab, const char *file, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", lab->dir, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Runs the text as a script of its own; its first result, or its error, is left on the stack. The
 * status of lua_pcall. */
static inline int lab_run(struct lab *lab, const char *text)
{
    struct err e;
    char file[32];
    int ref;
    lua_State *L = lab->vm->L;
    lua_settop(L, 0);
    snprintf(file, sizeof file, "t%d.lua", ++lab->files);
    lab_write(lab, file, text);
    if (sandbox_load(&lab->sandbox, file, LUA_NOREF, &ref, &e) != 0)
        fail_msg("%s", e.text);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    vm_enter(lab->vm, 5000000, 32 << 20);
    int status = lua_pcall(L, 0, 1, 0);
    vm_leave(lab->vm);
    return status;
}

/* Like lab_run, of a text that must succeed. */
static inline void lab_get(struct lab *lab, const char *text)
{
    if (lab_run(lab, text) != 0)
        fail_msg("%s: %s", text, lua_tostring(lab->vm->L, -1));
}

static inline void lab_expect(struct lab *lab, const char *text, const char *expected)
{
    lab_get(lab, text);
    const char *got = lua_tostring(lab->vm->L, -1);
    if (!got || strcmp(got, expected) != 0)
        fail_msg("%s: \"%s\" is not \"%s\"", text, got ? got : "(no string)", expected);
}

static inline void lab_expect_error(struct lab *lab, const char *text, const char *part)
{
    int status = lab_run(lab, text);
    const char *got = lua_tostring(lab->vm->L, -1);
    if (status == 0 || !got || !strstr(got, part))
        fail_msg("%s: \"%s\" has no \"%s\"", text, got ? got : "(no string)", part);
}

#define LAB(name) cmocka_unit_test_setup_teardown(name, with_lab, without_lab)

#endif
