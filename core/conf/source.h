/*
 * source: the text of a configuration, with what it includes put in place, and where each line of
 * it came from.
 *
 *   rtcache.conf --+--> one text for libconfig (line n) --> place of n: file, line
 *   loaders.conf --'
 *
 * It reads `@include "file"` itself, relative to the file it stands in, because libconfig's own way
 * loses the names of files in errors and trips over folders. It also sees to what libconfig 1.5
 * would take silently wrong: integers above 32 bits (they get the suffix L), NUL bytes, and strings
 * that run over the end of their line. Thread: the one that loads. Limits: SOURCE_*.
 */
#ifndef RTCACHE_CONF_SOURCE_H
#define RTCACHE_CONF_SOURCE_H

#include "base/buf.h"
#include "conf/arena.h"
#include "conf/problems.h"

#define SOURCE_BYTES_MAX    ((size_t)8 << 20) /* all files together */
#define SOURCE_FILES_MAX    64
#define SOURCE_INCLUDES_MAX 10000
#define SOURCE_DEPTH_MAX    8  /* includes within includes */
#define SOURCE_NESTING_MAX  32 /* groups and lists within one another */

struct source_place {
    const char *file;
    int line;
};

struct source {
    struct buf text;
    struct source_place *places; /* owned; of each line of text */
    size_t place_count, place_capacity;
    const char *files[SOURCE_FILES_MAX]; /* absolute, each once */
    size_t file_count;
    struct arena *arena; /* borrowed: the names of files live there */
    struct problems *problems;
    unsigned nesting, includes;
};

void source_init(struct source *s, struct arena *arena, struct problems *problems);
void source_fini(struct source *s);

/* path is absolute. 0, or ERR_CONFIG with the reason among the problems, or ERR_NOMEM. The text is
 * NUL-terminated, past its size. */
int source_read(struct source *s, const char *path) MUST_USE;

/* Of line n of the text, from 1 on; n past the end is taken as the last one. */
struct source_place source_place(const struct source *s, size_t n);

/* Line n of the text, without blanks at its ends and cut short, for an error. */
struct slice source_line(const struct source *s, size_t n);

#endif
