/*
 * sandbox: what scripts may see, and how their text gets into the VM.
 *
 * Shape: every script has an environment table of its own (prelude.lua makes it) with copies of the
 * allowed library tables; what it requires lives in that environment too. Only text is compiled.
 * Thread: the VM's. Limits: a file of SANDBOX_FILE_MAX bytes; modules from two directories.
 */
#ifndef RTCACHE_SCRIPT_SANDBOX_H
#define RTCACHE_SCRIPT_SANDBOX_H

#include "script/file_texts.h"
#include "script/value.h"

#define SANDBOX_FILE_MAX ((size_t)4 * 1024 * 1024)

struct sandbox {
    struct vm *vm;
    struct value_marks marks;
    char *scripts_dir, *lua_dir; /* owned; lua_dir may be NULL */
    struct file_texts *texts;    /* a reference */
    bool again;                  /* what is in texts is not read from its file */
    int new_env;                 /* a Lua function in the registry */
    bool jit;                    /* for what is compiled now; sandbox_jit_on */
    bool jit_is_open;
    uint64_t read; /* a hash of all texts that were read since it was set to 0 */
};

/* Opens libraries and the prelude in a new VM, which stays the caller's. before: what it has read
 * is read again as it was; NULL: nothing. */
int sandbox_init(struct sandbox *sb, struct vm *vm, const char *scripts_dir, const char *lua_dir,
                 const struct sandbox *before, struct err *e) MUST_USE;
void sandbox_fini(struct sandbox *sb);

/* What sandbox_load and `require` read between these two may become machine code, in which hooks do
 * not fire, so that nothing ends a loop without end. All else is interpreted. ERR_NOMEM. */
int sandbox_jit_on(struct sandbox *sb, struct err *e) MUST_USE;
void sandbox_jit_off(struct sandbox *sb);

/* Compiles scripts_dir/file into a function with a new environment, kept in the registry as *ref.
 * api: registry reference of what the function of sandbox_push_api returned, or LUA_NOREF.
 * ERR_SCRIPT with file:line, ERR_IO, ERR_NOMEM. */
int sandbox_load(struct sandbox *sb, const char *file, int api, int *ref, struct err *e) MUST_USE;

/* The runtime's own Lua text (api.lua) as a function on the stack. Raises. */
void sandbox_push_api(lua_State *L);
/* The text of sql_loader.lua as a function on the stack. Raises. */
void sandbox_push_sql_loader(lua_State *L);
/* What a waiting coroutine yields first. */
void sandbox_push_park(lua_State *L);
bool sandbox_is_park(lua_State *L, int index);

/* Adds raw.park, fail, rethrow and has_stack to the table on top. Raises. */
void sandbox_add_primitives(lua_State *L);

#endif
