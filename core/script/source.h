/*
 * source: the files of scripts and of the modules that they require.
 *
 * Thread: any. Limits: the buf's maximum; regular files only.
 */
#ifndef RTCACHE_SCRIPT_SOURCE_H
#define RTCACHE_SCRIPT_SOURCE_H

#include "base/buf.h"

/* Whether dir/file is there, whatever it is. */
bool source_exists(const char *dir, const char *file);

/* Appends the bytes of dir/file. ERR_IO, ERR_TOO_LARGE, ERR_NOMEM name the file. */
int source_read(const char *dir, const char *file, struct buf *out, struct err *e) MUST_USE;

#endif
