/*
 * feed_places: where each feed stands in what its database keeps, as a text, by the name of its
 * backend.
 *
 *   the feeds' thread --set, clear--> places --get--> any thread
 *
 * Shape: a list under a lock; a look-up walks it. Thread: any. Limits: FEED_PLACE_MAX bytes of a
 * text; one for each feed.
 */
#ifndef RTCACHE_LOAD_FEED_PLACES_H
#define RTCACHE_LOAD_FEED_PLACES_H

#include "base/buf.h"
#include "base/list.h"

#include <pthread.h>

#define FEED_PLACE_MAX ((size_t)64 * 1024)

struct feed_places {
    pthread_mutex_t lock;
    struct list all;
};

void feed_places_init(struct feed_places *p);
void feed_places_fini(struct feed_places *p);

/* Both are copied. ERR_NOMEM, ERR_TOO_LARGE: the name has no text then. */
int feed_places_set(struct feed_places *p, const char *name, struct slice text) MUST_USE;
void feed_places_clear(struct feed_places *p, const char *name);
/* Appends. false: the name has no text, or there is no memory; out is as it was. */
bool feed_places_get(struct feed_places *p, const char *name, struct buf *out);

#endif
