/*
 * tier_link: the database of the tier, as one loader thread reaches it, and whether it is well.
 *
 * Thread: its loader loop's. Limits: none of its own; who asks has its own.
 */
#ifndef RTCACHE_TIER_TIER_LINK_H
#define RTCACHE_TIER_TIER_LINK_H

#include "backend/backend.h"
#include "backend/sql.h"
#include "tier/tier.h"
#include "tier/tier_health.h"
#include "base/tier_sql.h"

struct tier_link {
    struct tier *tier; /* borrowed */
    struct ev_loop *loop;
    struct backend *backend; /* one reference; NULL: there is none */
    struct tier_sql sql;     /* where there is a backend */
    struct tier_health health;
};

/* Of another backend from now on, or of none; nothing may be in the air. A reference is taken. */
void tier_link_detach(struct tier_link *l);
int tier_link_attach(struct tier_link *l, struct backend *b, enum tier_dialect d,
                     struct err *e) MUST_USE;

/* Whether it may be asked now. */
bool tier_link_admits(struct tier_link *l);
void tier_link_submit(struct tier_link *l, struct call *q, int verb, struct slice sql,
                      struct slice params, void (*done)(struct call *q));
/* It has answered; it has not, for why. The log is told once of an outage, whichever thread meets
 * it first, and once of its end. */
void tier_link_well(struct tier_link *l);
void tier_link_failed(struct tier_link *l, const struct err *why);
/* The answer did not come in time. */
void tier_link_late(struct tier_link *l, const char *what, int64_t ms);

#endif
