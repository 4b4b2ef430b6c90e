/*
 * change: the verbs that alter what is cached, whoever asks for them (a client, a script's write, a
 * database's feed): each takes effect, is counted, noted for the journal and told to subscribers
 * before it returns.
 *
 * Thread: any. Errors: of the flights and marks below. Limits: theirs.
 */
#ifndef RTCACHE_LOAD_CHANGE_H
#define RTCACHE_LOAD_CHANGE_H

#include "load/flight.h"
#include "load/news.h"
#include "state/journal.h"
#include "store/marks.h"
#include "tier/tier.h"

struct changes {
    struct store *store; /* borrowed, all of them */
    struct flights *flights;
    struct marks *marks;
    struct news_hub *news;   /* NULL: nobody is told */
    struct journal *journal; /* NULL: there is none, or not yet */
    struct tier *tier;       /* NULL: there is none */
    /* What a thread has for its own (changes_of_thread). NULL: its changes are not journaled. */
    const struct changes *all;
    struct journal_lane *lane;
};

/* A thread's own, where changes are journaled: they are noted in lane, which it has to flush before
 * it acknowledges them. all: borrowed. A feed has none of these: it goes on where it was, or says
 * that something is missing. */
void changes_of_thread(struct changes *own, const struct changes *all, struct journal_lane *lane);
/* Where lanes are written to from now on; before the first client comes. j: borrowed, or NULL. */
void changes_journal(struct changes *all, struct journal *j);

/* One key. *dropped: whether an entry was. */
int change_invalidate(const struct changes *c, const struct invalidation *i, enum news_cause cause,
                      bool *dropped, struct err *e) MUST_USE;

/* Soft: what carries it is served as stale until it is loaded again. */
int change_tag(const struct changes *c, struct slice tag, bool soft, enum news_cause cause,
               struct err *e) MUST_USE;
/* Every tag that there is. */
void change_all_tags(const struct changes *c, bool soft, enum news_cause cause);
int change_match(const struct changes *c, struct slice pattern, bool soft, enum news_cause cause,
                 struct err *e) MUST_USE;

/* Of a pattern with typed stars, that a loader has now: drops what its shape matches and its types
 * do not, which was stored before it came. */
int change_misfits(const struct changes *c, struct slice pattern, struct err *e) MUST_USE;

/* As flights_expire. */
bool change_expire(const struct changes *c, struct slice key, uint64_t hash, int64_t now_ms);

/* Whose floors are lifted: one key's, those of a pattern, or all. */
struct lift {
    struct slice key, match; /* one of them, or neither: all */
    uint64_t hash;           /* of the key */
    int64_t now_ms;
};
/* As flights_lift and flights_lift_match; *had: the key had a floor. */
int change_lift(const struct changes *c, const struct lift *what, bool *had,
                struct err *e) MUST_USE;

/* Before the source is asked: where the server is killed before it has the answer, the next start
 * knows that the key's write may have taken place, or still may for so long. */
void change_write_begins(const struct changes *c, struct slice key, int64_t timeout_ms);
/* As flights_write and flights_doubt. */
int change_write(const struct changes *c, const struct written *w, bool *stored) MUST_USE;
int change_doubt(const struct changes *c, const struct invalidation *i, int64_t until_ms) MUST_USE;

/* As flights_set. */
int change_set(const struct changes *c, const struct put *p, int64_t now_ms,
               struct err *e) MUST_USE;

#endif
