/*
 * show: a key as people read it, inside an error's text.
 *
 * UTF-8 and printable ASCII stay, other bytes become \xNN, after SHOW_KEY_MAX bytes comes "...".
 * Thread: any.
 */
#ifndef RTCACHE_BASE_SHOW_H
#define RTCACHE_BASE_SHOW_H

#include "base/slice.h"

#define SHOW_KEY_MAX  64
#define SHOW_KEY_TEXT (SHOW_KEY_MAX * 4 + 8)

/* Returns text, which holds SHOW_KEY_TEXT bytes. */
const char *show_key(char *text, struct slice key);

#endif
