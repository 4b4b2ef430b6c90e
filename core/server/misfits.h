/*
 * misfits: entries of keys that the types of a pattern take no more since a reload.
 *
 *   reload --become_due--> misfits_drop --all of them--> nothing is due
 *                               ^  `--no memory, or no place among the patterns
 *                               `------------- .1 s ---------'
 *
 * They were stored when the pattern had plain stars, or was none. Thread: the main one. Limits:
 * where many patterns of a reload are new and have types, every entry goes.
 */
#ifndef RTCACHE_SERVER_MISFITS_H
#define RTCACHE_SERVER_MISFITS_H

#include "conf/conf.h"

#include <ev.h>
#include <stdbool.h>

struct server;

struct misfits {
    struct server *server; /* borrowed */
    bool due;
    struct conf *of; /* shared: what they were stored by; NULL: of any configuration */
    size_t next;     /* loader of the configuration in force that is to be looked at */
    size_t count;    /* patterns that are done */
    ev_timer again;
};

void misfits_init(struct misfits *m, struct server *s);
/* before was in force until now. Where some are due still, they are of another one before it. */
void misfits_become_due(struct misfits *m, struct conf *before);
/* As the configuration in force has it; what cannot go now goes later. */
void misfits_drop(struct misfits *m);
void misfits_stop(struct misfits *m);
void misfits_fini(struct misfits *m);

#endif
