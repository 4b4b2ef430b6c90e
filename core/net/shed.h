/*
 * shed: which connections of an I/O thread hold most, and what is to be done about them when all
 * together come near client_memory.
 *
 *   0        7/8                15/16            1          of client_memory
 *   |---------|-------------------|--------------|
 *    all read | who holds more    | the largest  | nothing more is taken that is large
 *             | than a fair share | is closed    |
 *             | is not read       |              |
 *
 * A fair share is client_memory over the open connections, and SHED_SMALL at least: small ones go
 * on whatever the others do. Where large ones stay unread for SHED_PATIENCE_MS and nothing is given
 * back, the largest of them is closed too, for nobody could send anything large any more.
 * Shape: a list for each power of two; a change is O(1), and so is finding one of the largest,
 * which holds at least half as much as the very largest. Thread: its I/O thread's. Time is a
 * parameter.
 */
#ifndef RTCACHE_NET_SHED_H
#define RTCACHE_NET_SHED_H

#include "base/list.h"
#include "serve/ledger.h"

#include <stdint.h>

#define SHED_BUCKETS     64
#define SHED_SMALL       ((size_t)64 * 1024)
#define SHED_PATIENCE_MS 250

/* One connection, embedded in it. */
struct shed_member {
    struct list link;   /* of its power of two */
    struct list unread; /* shed->unread; alone while it is read */
    size_t held;        /* bytes */
};

struct shed {
    struct list buckets[SHED_BUCKETS];
    uint64_t busy;      /* a bit per bucket: it may have members */
    struct list unread; /* those that are not read, in the order in which that began */
    int64_t since_ms;   /* since when it is near the limit, or one was closed for that */
};

enum shed_state { SHED_QUIET, SHED_NEAR, SHED_OVER, SHED_FULL };

void shed_init(struct shed *s);
void shed_enter(struct shed *s, struct shed_member *m);
void shed_leave(struct shed *s, struct shed_member *m);
/* Whether m stands in another list once it holds so much: whether the highest bits differ. */
static inline bool shed_moves(const struct shed_member *m, size_t held)
{
    return (held ^ m->held) > (held & m->held);
}
/* m holds so much from now on. */
void shed_move(struct shed *s, struct shed_member *m, size_t held);
/* One of the largest, or NULL. */
struct shed_member *shed_largest(struct shed *s);
/* The lower edge of the largest one's power of two; 0: there is none. */
size_t shed_edge(const struct shed *s);

/* Where `held` stands against `limit`. */
enum shed_state shed_state_of(size_t held, size_t limit);
/* Whether so many more bytes may be taken: what is large leaves the rest of the room to others. */
bool shed_admits(size_t held, size_t bytes, size_t limit);
/* That of a result of a load, which is counted by now, for any thread. ledger: a struct ledger.
 * While results are few it looks at nothing else: what they take then fits above what anything
 * large may take. */
bool shed_admits_result(const void *ledger, size_t bytes);
size_t shed_fair_share(size_t limit, size_t connections);

/* m is not read any more. */
void shed_pause(struct shed *s, struct shed_member *m);
/* The next one that may be read again, taken out of the list; NULL: there is none. */
struct shed_member *shed_resume(struct shed *s);
static inline bool shed_is_paused(const struct shed_member *m)
{
    return !list_empty(&m->unread);
}
/* It has come near the limit. */
void shed_begin(struct shed *s, int64_t now_ms);
/* Whether that has lasted so long that the largest has to go; if so, the time begins anew. */
bool shed_is_stuck(struct shed *s, int64_t now_ms);

#endif
