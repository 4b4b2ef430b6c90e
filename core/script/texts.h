/*
 * texts: the texts of scripts and modules as they were read last, so that a VM that takes another
 * one's place reads what that one did, whatever has become of the files since.
 *
 * Shape: a list, searched from the first. Thread: the loader loop's. Limits: the files'.
 */
#ifndef RTCACHE_SCRIPT_TEXTS_H
#define RTCACHE_SCRIPT_TEXTS_H

#include "base/slice.h"

#include <stdbool.h>

struct texts;

struct texts *texts_new(void); /* NULL: no memory */
struct texts *texts_ref(struct texts *t);
void texts_unref(struct texts *t); /* NULL is allowed */

/* The text of dir/file; false where none is kept. Borrowed until the last texts_unref. */
bool texts_find(const struct texts *t, const char *dir, const char *file, struct slice *text);
/* Keeps a copy, in place of one that is kept. false: no memory. */
bool texts_keep(struct texts *t, const char *dir, const char *file, struct slice text);

#endif
