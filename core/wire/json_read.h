/*
 * json_read: jansson's reader, which reads all of a text or nothing.
 *
 * Where it finds no memory for one more digit jansson goes on without it, or takes the gap for a
 * mistake in the text. So its allocations are watched, and what it read without one of them is
 * dropped.
 *
 * Thread: install the main one's, before any other; the rest any. Limits: those of the text.
 */
#ifndef RTCACHE_WIRE_JSON_READ_H
#define RTCACHE_WIRE_JSON_READ_H

#include "base/err.h"
#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>

void json_read_install(void);

/* As json_loadb: NULL where text is no JSON, or where there was no memory. */
json_t *json_read(struct slice text, size_t flags, json_error_t *fault) MUST_USE;
/* Which of the two it was. */
bool json_read_had_no_memory(const json_error_t *fault);

#endif
