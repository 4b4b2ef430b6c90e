/*
 * write_entry: what becomes of the entry of a write that has ended: it is stored, dropped, or left.
 *
 * By the outcome of the script, what its queries may have done, and the binding's `write`.
 * Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_WRITE_ENTRY_H
#define RTCACHE_LOAD_WRITE_ENTRY_H

#include "load/write_run.h"

/* The script has succeeded with r: the write's outcome and the entry follow. */
void write_entry_succeeded(struct write_run *run, const struct run_result *r);
/* It has not: err says why. */
void write_entry_failed(struct write_run *run, const struct err *err, enum run_effect effect);

#endif
