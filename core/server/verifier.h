/*
 * verifier: the passwords of all I/O threads' clients, verified one place for all.
 *
 *   auth_request --known digest?--> answered at once
 *                `--equal one in the air?--> waits for it
 *                `--> held back for a while after failures --> pool: argon2id --> answered
 *
 * A hash takes tens of milliseconds and megabytes by design, so it is computed by a few threads of
 * its own (auth_threads). Failures are counted by address and name, in a table in which the oldest
 * of four gives way; they are forgotten after VERIFIER_FORGET_MS. A password that was right is
 * recognized by a keyed digest of name, hash and password (BLAKE2b, a key of this process), so that
 * a pool that reconnects costs nothing; after VERIFIER_CACHE_FAILURES failures of an address and
 * name the digests are not asked any more, or guesses would be as fast as they are.
 * Thread: the main one. Limits: max_auth_queue attempts, an eighth of them of one address;
 * VERIFIER_STRIKES and VERIFIER_DIGESTS rows.
 */
#ifndef RTCACHE_SERVER_VERIFIER_H
#define RTCACHE_SERVER_VERIFIER_H

#include "base/err.h"
#include "sys/mailbox.h"

#define VERIFIER_STRIKES        4096
#define VERIFIER_DIGESTS        1024
#define VERIFIER_FORGET_MS      ((int64_t)10 * 60 * 1000)
#define VERIFIER_CACHE_FAILURES 10

struct server;
struct verifier;

int verifier_new(struct verifier **out, struct server *s, struct err *e) MUST_USE;
/* An I/O thread's auth_request; owner is the server. */
void verifier_recv(struct message *m, void *owner);
/* Answers what is in the air. The I/O threads are not freed yet. NULL is allowed. */
void verifier_free(struct verifier *v);

#endif
