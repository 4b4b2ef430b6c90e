/*
 * tier_words: the words of `rtcache tier-sql`, and the SQL that they ask for (base/tier_sql.h).
 *
 * Thread: any. Limits: sql_name.h's.
 */
#ifndef RTCACHE_CLI_TIER_WORDS_H
#define RTCACHE_CLI_TIER_WORDS_H

#include "base/tier_sql.h"

struct tier_words {
    const char *table; /* NAME or SCHEMA.NAME */
    bool sqlite;
};

/* The command's name first; w borrows them. ERR_BAD_REQUEST says what is wrong. */
int tier_words_parse(struct tier_words *w, int argc, char **argv, struct err *e) MUST_USE;
/* ERR_BAD_REQUEST names what is wrong. */
int tier_words_write(struct buf *out, const struct tier_words *w, struct err *e) MUST_USE;

#endif
