/*
 * identity: which history of commits a database server writes, and whether it is the one that was
 * seen before.
 *
 *   system     the cluster: what was copied from one beginning, standbys and backups included
 *   timeline   of the log that it writes; a promotion, or a restore to a moment, begins a new one
 *   wal_end    never goes back, but where something is gone that was there
 *   started    of the server: one that took writes keeps to one timeline until it ends
 *
 * Shape: texts and a number as a driver reads them (backend/postgres/pg_identity.h); each may be
 * unknown. Thread: any.
 */
#ifndef RTCACHE_BACKEND_IDENTITY_H
#define RTCACHE_BACKEND_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_TEXT 100

struct identity {
    char system[24], timeline[12], started[24]; /* "": unknown */
    uint64_t wal_end;                           /* 0: unknown */
};

/* Nothing is known of it. */
bool identity_empty(const struct identity *id);

/* Whether `now` is shown to have all that `before` had. What cannot be shown is not believed. */
bool identity_same(const struct identity *before, const struct identity *now);

/* For people: "system/timeline", with ? for what is unknown. */
void identity_show(const struct identity *id, char out[IDENTITY_TEXT]);

#endif
