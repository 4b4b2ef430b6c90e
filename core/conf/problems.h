/*
 * problems: all that is wrong with a configuration, collected and told in the order of the file.
 *
 * Shape: an array of texts with their places. Thread: the one that loads. Limits: PROBLEMS_MAX are
 * kept, the rest is counted; a text is cut as struct err cuts it; control characters become '?'.
 */
#ifndef RTCACHE_CONF_PROBLEMS_H
#define RTCACHE_CONF_PROBLEMS_H

#include "base/buf.h"
#include "base/err.h"

#define PROBLEMS_MAX 500

struct problem {
    const char *file;
    int line;     /* 0: the file as a whole */
    size_t order; /* lower is told first; among equals, what came first */
    size_t at;    /* of its text, in texts */
};

struct problems {
    struct problem *list; /* owned */
    size_t count, capacity;
    size_t more; /* not kept */
    bool nomem;  /* not all could be read, or kept, for want of memory */
    struct buf texts;
};

void problems_init(struct problems *p);
void problems_fini(struct problems *p);

/* file is borrowed until problems_fini. */
void problems_add(struct problems *p, const char *file, int line, size_t order, const char *fmt,
                  ...) __attribute__((format(printf, 5, 6)));

/* 0 where there is none. ERR_CONFIG: report (NULL is allowed) gets a line for each and e the first.
 * ERR_NOMEM: none is told. */
int problems_tell(struct problems *p, struct buf *report, struct err *e) MUST_USE;

#endif
