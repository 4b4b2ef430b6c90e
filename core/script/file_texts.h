/*
 * file_texts: the texts of scripts and modules as they were read last, so that a VM that takes
 * another one's place reads what that one did, whatever has become of the files since.
 *
 * Shape: a list, searched from the first. Thread: the loader loop's. Limits: the files'.
 */
#ifndef RTCACHE_SCRIPT_FILE_TEXTS_H
#define RTCACHE_SCRIPT_FILE_TEXTS_H

#include "base/slice.h"

#include <stdbool.h>

struct file_texts;

struct file_texts *file_texts_new(void); /* NULL: no memory */
struct file_texts *file_texts_ref(struct file_texts *t);
void file_texts_unref(struct file_texts *t); /* NULL is allowed */

/* The text of dir/file; false where none is kept. Borrowed until the last file_texts_unref. */
bool file_texts_find(const struct file_texts *t, const char *dir, const char *file,
                     struct slice *text);
/* Keeps a copy, in place of one that is kept. false: no memory. */
bool file_texts_keep(struct file_texts *t, const char *dir, const char *file, struct slice text);

#endif
