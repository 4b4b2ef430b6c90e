/*
 * script_file: the files of scripts and of the modules that they require.
 *
 * Thread: any. Limits: the buf's maximum; regular files only.
 */
#ifndef RTCACHE_SCRIPT_SCRIPT_FILE_H
#define RTCACHE_SCRIPT_SCRIPT_FILE_H

#include "base/buf.h"

/* Whether dir/file is there, whatever it is. */
bool script_file_exists(const char *dir, const char *file);

/* Appends the bytes of dir/file. ERR_IO, ERR_TOO_LARGE, ERR_NOMEM, and ERR_SCRIPT for one
 * that is no plain UTF-8 text, name the file. */
int script_file_read(const char *dir, const char *file, struct buf *out, struct err *e) MUST_USE;

#endif
