/*
 * show: bytes as people read them, inside an error's text or a line of the log.
 *
 * UTF-8 and printable ASCII stay, control characters and all other bytes become \xNN. Of a key
 * comes "..." after SHOW_KEY_MAX bytes. Thread: any.
 */
#ifndef RTCACHE_BASE_SHOW_H
#define RTCACHE_BASE_SHOW_H

#include "base/slice.h"

#define SHOW_KEY_MAX  64
#define SHOW_KEY_TEXT (SHOW_KEY_MAX * 4 + 8)

/* Returns text, which holds SHOW_KEY_TEXT bytes. */
const char *show_key(char *text, struct slice key);

/* As much of s as fits into text with its NUL, in whole characters; a backslash comes before each
 * of `quoted`. room: at least 1. Returns the bytes written, without the NUL. */
size_t show_bytes(char *text, size_t room, struct slice s, const char *quoted);

#endif
