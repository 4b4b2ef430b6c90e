/*
 * decimal: numbers as decimal text and back: integers, where printf and strtoll are too slow, and
 * floats in few digits.
 *
 * Shape: a division or a multiplication a digit. Thread: any.
 */
#ifndef RTCACHE_BASE_DECIMAL_H
#define RTCACHE_BASE_DECIMAL_H

#include "base/buf.h"

#include <stdint.h>

/* Appends v. ERR_NOMEM or ERR_TOO_LARGE, as buf_append. */
int decimal_print(struct buf *out, int64_t v) MUST_USE;

#define DECIMAL_FLOAT_MAX 32

/* The shortest text of 15 to 17 digits that reads back as d, which is finite. */
void decimal_print_float(double d, char out[DECIMAL_FLOAT_MAX]);

/* Whether text is an integer of 64 bits: digits, of which the first may be zeros, perhaps after a
 * '-', and nothing else; *out then is it. */
bool decimal_parse(struct slice text, int64_t *out);

/* The same, but in the one way in which decimal_print writes it: neither 007 nor -0. */
bool decimal_parse_printed(struct slice text, int64_t *out);

#endif
