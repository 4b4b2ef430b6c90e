/*
 * nemesis: what goes wrong during a run, one thing after the other, by the number of operations.
 *
 *   reload with another script; the feed's connection is killed; a connection of the pools is
 * killed; the feed's backend is stopped until its heartbeats are missed; the feed is cut past its
 * grace (the postmaster stands still, so that nobody can connect); types of columns change and
 * columns come and go; the server is killed (kill -9) and started again by who runs it;
 * once, in the middle: the primary ends and its standby is promoted
 *   With a folder of state: ends of all kinds (lives.h), and every fourth time a reload, a
 * connection that is killed, or a change of types.
 *
 * Thread: the loop's. It waits for what the server says, never for a time.
 */
#ifndef HISTORY_NEMESIS_H
#define HISTORY_NEMESIS_H

#include "peer.h"

struct nemesis_options {
    struct peer *peers; /* those that choose; they and the subscriber are connected again */
    unsigned peer_count;
    struct peer *listener;
    void (*subscribe)(void); /* on the listener; waits for the answer */
    bool restarts;           /* somebody starts the server again */
    const char *pid_file;    /* of a server with a folder of state (lives.h); NULL: it has none */
    const char *script;      /* gets a comment at its end, and is read again */
    int postmaster;
    const char *standby; /* its url; NULL: there is none */
    int standby_postmaster;
    uint64_t every; /* operations */
};

enum { RESTORED_PROVEN, RESTORED_STALE, RESTORED_CANDIDATES, RESTORED_DROPPED, RESTORED_KINDS };

struct nemesis_counts {
    unsigned reloads, feeds_killed, pools_killed, feeds_stopped, cuts, restarts, changes, failovers;
    uint64_t restored[RESTORED_KINDS]; /* entries, over all lives */
};

/* control: a peer that chooses nothing itself; borrowed. */
void nemesis_init(struct run *run, struct peer *control, const struct nemesis_options *o);
void nemesis_turn(struct run *run);
/* Everything runs again. */
void nemesis_end(struct run *run);
/* What the server said last of its feed; each call asks it again. */
bool nemesis_feed_is_up(struct run *run);
const struct nemesis_counts *nemesis_counts(void);

#endif
