/*
 * dispatch: from a message to the command it names.
 *
 * Shape: one table of methods with the number of arguments each takes. Thread: the connection's.
 */
#ifndef RTCACHE_NET_DISPATCH_H
#define RTCACHE_NET_DISPATCH_H

#include "net/answer.h"
#include "net/params.h"

/* Answers m, now or later. c may be broken afterwards, but is still there. */
void dispatch(struct conn *c, const struct rpc_msg *m);

/* Answers m with why nothing more is done, and does nothing of it: the server goes down. */
void dispatch_refuse(struct conn *c, const struct rpc_msg *m);
/* What is said to a request that comes while the server goes down, which is counted. */
void dispatch_refusal(struct io *io, struct err *e);

/* Of messages that will be dispatched one after the other: asks for the memory that their keys lead
 * to, all at once. */
void dispatch_ahead(const struct io *io, struct rpc_msg *msgs, unsigned count);

#endif
