/*
 * pg_missed: where triggers leave word of what they could not tell: each has a sequence of its
 * owner's, which `rtcache watch-sql` makes. Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_MISSED_H
#define RTCACHE_BACKEND_PG_MISSED_H

/* An expression of one text, which changes when one of them moves. */
#define PG_MISSED                                                                                  \
    "(SELECT coalesce(sum(last_value), 0)::text || '/' || count(last_value)::text"                 \
    " FROM pg_catalog.pg_sequences WHERE sequencename = 'rtcache_missed')"
#define PG_MISSED_NONE "0/0"

#endif
