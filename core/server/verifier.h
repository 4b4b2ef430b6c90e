/*
 * verifier: the passwords of all I/O threads' clients, verified one place for all.
 *
 *   auth_request --known digest?--> answered at once
 *                `--equal one of its address in the air?--> waits for it
 *                `--> auth_queue: its turn, one of a name at a time
 *                         `--> pool: argon2id --> answered, and all equal ones with it
 *
 * A hash takes tens of milliseconds and megabytes by design, so it is computed by a few threads of
 * its own (auth_threads), which get one attempt at a time: whose turn it is, server/auth_queue
 * says. After a failure the next attempt of the same name is held back; what is remembered of those
 * and of passwords that were right is server/auth_memory's. Thread: the main one. Limits:
 * max_auth_queue attempts, with shares for an address and a network.
 */
#ifndef RTCACHE_SERVER_VERIFIER_H
#define RTCACHE_SERVER_VERIFIER_H

#include "base/err.h"
#include "sys/mailbox.h"

struct server;
struct verifier;

int verifier_new(struct verifier **out, struct server *s, struct err *e) MUST_USE;
/* An I/O thread's auth_request; owner is the server. */
void verifier_recv(struct message *m, void *owner);
/* The client of an auth_request (its `left`) has left: an attempt that nobody else waits for, and
 * whose turn has not come, leaves the queue. */
void verifier_recv_left(struct message *m, void *owner);
/* The server drains: nobody waits for a turn any more. */
void verifier_drain(struct verifier *v);
/* Answers what is in the air. The I/O threads are not freed yet. NULL is allowed. */
void verifier_free(struct verifier *v);

#endif
