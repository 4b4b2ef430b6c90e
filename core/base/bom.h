/*
 * bom: the byte order mark that some editors put in front of a text, where no screen shows it.
 *
 * Our files are UTF-8 without one (Unicode 15.0, section 23.8). A reader that meets it says so by
 * name, for "syntax error" in a line that looks right helps nobody. Thread: any.
 */
#ifndef RTCACHE_BASE_BOM_H
#define RTCACHE_BASE_BOM_H

#include "base/slice.h"

/* What stands in front of the text and what to do about it; NULL: nothing does. */
const char *bom_of(struct slice text);

#endif
