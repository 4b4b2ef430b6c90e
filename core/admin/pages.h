/*
 * pages: what the admin port answers: one row of a table for each path.
 *
 * Thread: admin's own. Limits: PAGE_MAX bytes of an answer.
 */
#ifndef RTCACHE_ADMIN_PAGES_H
#define RTCACHE_ADMIN_PAGES_H

#include "admin/admin_priv.h"
#include "base/buf.h"

#define PAGE_MAX (64 << 20)

/* An answer as it is made. */
struct page {
    unsigned code; /* of HTTP */
    const char *type;
    struct buf body;
};

struct page_row {
    const char *path;
    bool open; /* for everybody: it tells nothing but what its code says */
    /* accept: the request's Accept, "" where it has none. a has a snapshot, unless open. */
    int (*make)(const struct admin *a, const char *accept, struct page *p);
};

/* NULL: there is none of that path. */
const struct page_row *page_find(const char *path);

#endif
