/*
 * text: string.find, match, gmatch and gsub for scripts, over pattern.h.
 *
 * As in the Lua 5.1 manual. Thread: the VM's. Limits: a pattern ends with the CPU time of its run.
 */
#ifndef RTCACHE_SCRIPT_TEXT_H
#define RTCACHE_SCRIPT_TEXT_H

#include "script/vm.h"

/* Adds find, match, gmatch and gsub to the table on top. Raises. */
void text_add(lua_State *L);

#endif
