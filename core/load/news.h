/*
 * news: what was invalidated, told to the I/O threads that have subscribers.
 *
 *   any thread -- news_tell --> one message per I/O thread with listeners --> its subscriptions
 *
 * Told after the change is in force and before it is acknowledged. Thread: tell, any; listen, the
 * I/O thread of that slot. Nothing is allocated, and no lock taken, where nobody listens.
 * Limits: queue_max messages on their way to one slot; past it, or without memory, they are dropped
 * and the slot gets one NEWS_ALL with CAUSE_LOST instead, so that its subscribers drop what they
 * hold.
 */
#ifndef RTCACHE_LOAD_NEWS_H
#define RTCACHE_LOAD_NEWS_H

#include "base/err.h"
#include "base/slice.h"
#include "sys/mailbox.h"

enum news_what {
    NEWS_KEY,   /* text is a key */
    NEWS_TAG,   /* a tag */
    NEWS_MATCH, /* a pattern (glob.h) */
    NEWS_ALL,   /* whatever a subscriber holds */
};

enum news_cause {
    CAUSE_INVALIDATE,
    CAUSE_EXPIRE, /* may be served stale until it is loaded again */
    CAUSE_SET,
    CAUSE_PUT,
    CAUSE_DELETE,
    CAUSE_FEED, /* the database told of it */
    CAUSE_GAP,  /* a feed may have missed changes */
    CAUSE_LOST, /* notifications were dropped */
};

struct news {
    enum news_what what;
    enum news_cause cause;
    struct slice text; /* borrowed during news_tell; NEWS_ALL: empty */
    bool has_version;
    int64_t version;
};

struct news_hub;

/* slots[i] receives messages with recv = news_recv's, on I/O thread i; the array and the mailboxes
 * are borrowed and have to be set before the first news_tell. */
int news_hub_new(struct news_hub **out, struct mailbox *const *slots, unsigned slot_count,
                 size_t queue_max, void (*recv)(struct message *m, void *owner),
                 struct err *e) MUST_USE;
void news_hub_free(struct news_hub *h); /* no message may be on its way; NULL is allowed */

/* Whether slot i has subscribers; told by that I/O thread. */
void news_listen(struct news_hub *h, unsigned slot, bool listening);

void news_tell(struct news_hub *h, const struct news *n); /* h NULL: nobody listens */

/* In recv: what came; then give the message back. */
const struct news *news_of(const struct message *m);
void news_done(struct news_hub *h, struct message *m);

const char *news_cause_name(enum news_cause cause);

#endif
