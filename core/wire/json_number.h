/*
 * json_number: JSON's numbers, which have no bounds, before a reader that knows int64 and double.
 *
 *   9223372036854775808 (uint64)          -> a string that json_number_is knows, exact
 *   1e25, or that with all its zeros      -> a float: its digits are the number's
 *   123456789012345678901234567890, 1e400 -> refused by name, since a float would be another number
 *
 * Shape: one walk over the text, O(bytes); only for texts that the reader refused for a number.
 * Fractions stay what they are: the double next to them.
 * Thread: any. Limits: the buf's maximum.
 */
#ifndef RTCACHE_WIRE_JSON_NUMBER_H
#define RTCACHE_WIRE_JSON_NUMBER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Copies JSON text into out, its numbers written so that the reader takes them. *marked: some of
 * them are strings now. ERR_BAD_VALUE with a text that shows the number; ERR_NOMEM and
 * ERR_TOO_LARGE as buf_append, without one. */
int json_number_settle(struct slice text, struct buf *out, bool *marked, struct err *e) MUST_USE;

/* Whether a string of a text in which numbers are marked is one of those. */
bool json_number_is(struct slice string, uint64_t *v);

#endif
