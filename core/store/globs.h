/*
 * globs: the patterns by which the entries of a shard have still to be judged.
 *
 *   issued: 1 2 3 | 4 5 6       the last `count` of them are active; an entry keeps the low bits of
 *                 active        the number of the last one it has been judged by
 *
 * A pattern is in force at once, for a reader judges an entry that is behind; it is retired when a
 * scan of all entries that began after it has ended. What is stored while it is active has seen it.
 * Shape: the patterns are shared between the shards by reference, 8 bytes each here.
 * Thread: under the shard's lock. Limits: STORE_GLOBS_MAX active ones, which keeps an entry's 8
 * bits unambiguous.
 */
#ifndef RTCACHE_STORE_GLOBS_H
#define RTCACHE_STORE_GLOBS_H

#include "store/entry.h"

struct shared_glob {
    _Atomic int refs;
    bool soft;
    struct glob glob;
    char text[GLOB_MAX];
};

struct globs {
    uint8_t issued;
    unsigned count;
    unsigned in_pass; /* of them, those that the scan in progress retires; 0: no scan */
    size_t bucket;    /* where the scan goes on */
    struct shared_glob *active[STORE_GLOBS_MAX]; /* oldest first; one reference each */
};

/* One reference, the caller's; NULL: no memory. */
struct shared_glob *shared_glob_new(const struct glob *g, bool soft);
struct shared_glob *shared_glob_ref(struct shared_glob *g);
void shared_glob_unref(struct shared_glob *g);

void globs_fini(struct globs *gs);

/* Takes a reference of its own. The caller has seen that there is room. */
void globs_add(struct globs *gs, struct shared_glob *g);

static inline bool globs_behind(const struct globs *gs, const struct entry *e)
{
    return e->globs_seen != gs->issued;
}

/* The hardest of those that e is behind of and that match it; then it is not behind any more. */
enum mark globs_judge(const struct globs *gs, struct entry *e);

/* The scan has met every entry: what was active when it began is retired. */
void globs_pass_done(struct globs *gs);

#endif
