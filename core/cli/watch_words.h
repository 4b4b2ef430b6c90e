/*
 * watch_words: the words of `rtcache watch-sql`.
 *
 * Thread: any. Limits: watch_sql.h's.
 */
#ifndef RTCACHE_CLI_WATCH_WORDS_H
#define RTCACHE_CLI_WATCH_WORDS_H

#include "cli/watch_sql.h"

/* The command's name first; w borrows them. ERR_BAD_REQUEST says what is wrong. */
int watch_words_parse(struct watch_sql *w, int argc, char **argv, struct err *e) MUST_USE;

#endif
