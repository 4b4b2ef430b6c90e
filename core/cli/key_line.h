/*
 * key_line: a key as one line of a list.
 *
 *   user:42                  a key of printable UTF-8 stands as it is
 *   "a\nb"                   one with control characters, or that begins with " or {, as JSON
 *   {"$bin":"/wA="}          one that is no UTF-8, as the tool prints binary
 *
 * Thread: any. Limits: the buf's.
 */
#ifndef RTCACHE_CLI_KEY_LINE_H
#define RTCACHE_CLI_KEY_LINE_H

#include "base/buf.h"

/* Appends the line with its line feed. ERR_NOMEM, ERR_TOO_LARGE; out is as before then. */
int key_line_write(struct buf *out, struct slice key) MUST_USE;

/* The key that a line without its line feed stands for, appended. It reads all that key_line_write
 * writes, a text with { at its beginning that is no such JSON, and any bytes of 0x80 and above.
 * ERR_BAD_VALUE with what is wrong and in which column; ERR_NOMEM, ERR_TOO_LARGE. */
int key_line_read(struct buf *key, struct slice line, struct err *e) MUST_USE;

#endif
