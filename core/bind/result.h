/*
 * result: what a function of a script returned, read into a run_result; errors: run_error.
 *
 * Thread: the loader loop's. Limits: value_max of the runtime.
 */
#ifndef RTCACHE_BIND_RESULT_H
#define RTCACHE_BIND_RESULT_H

#include "bind/runtime_priv.h"

void result_init(struct run_result *out, size_t value_max);
void result_fini(struct run_result *out);

/* The count values on top of L are what the run's function returned. May raise "not enough
 * memory". */
void result_read(lua_State *L, const struct run *r, int count, struct run_result *out);

/* The parts of it, for answers that hold several. Value and options: absolute indexes, the options
 * nil or a table. result_refuse and result_read_options give 0 or the error's code; of a run for
 * many keys 1 where the options have an error. names: as value_pack_row takes them, or NULL. */
int result_refuse(const struct run *r, struct run_result *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int result_read_options(lua_State *L, const struct run *r, int options, struct run_result *out);
void result_read_found(lua_State *L, const struct run *r, int value, struct value_names *names,
                       struct run_result *out);
/* The same for a row that was packed into out's value already; rc: how that went. */
void result_taken(const struct run *r, int rc, struct run_result *out);
/* The version is on top: of a column, or (NULL) of the option. 0 or the error's code. */
int result_read_version(lua_State *L, const struct run *r, const char *column,
                        struct run_result *out);
/* Whether a text holds an integer of 15 or 16 digits as Lua's `..` writes it, which is with an
 * exponent and without its last digits. */
bool result_is_shortened(struct slice text);

/* The results of keys end, which the runtime keeps the room of. */
void result_drop_many(struct run_result *out);

#endif
