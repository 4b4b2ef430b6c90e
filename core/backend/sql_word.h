/*
 * sql_word: the word that a text of SQL begins with, which tells its kind.
 *
 * Thread: any.
 */
#ifndef RTCACHE_BACKEND_SQL_WORD_H
#define RTCACHE_BACKEND_SQL_WORD_H

#include "base/slice.h"

/* After white space, comments (which nest), semicolons and opening parentheses; it may be empty.
 * Borrowed from sql. O(bytes before it). */
struct slice sql_word_first(struct slice sql);
/* Whether it is one of the words, of which NULL is the end; letters count in either case. */
bool sql_word_is_one_of(struct slice word, const char *const *words);

#endif
