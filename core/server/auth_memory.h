/*
 * auth_memory: what is remembered of passwords that were right and wrong, in tables of digests.
 *
 *   failures   by name and network (or address, below): how often, until nothing failed for a while
 *   looks      by the same: how often the digests were asked in vain
 *   known      digests of name, hash and password that were right, until their time is over
 *   friends    names and addresses that have got in: these are counted for themselves, so that what
 *              a neighbour does is no burden to them
 *
 * The digests are BLAKE2b under a random key of this process. A row has four places that it may
 * stand in, of which the oldest gives way; each table has AUTH_MEMORY_ROWS of 48 bytes. Only a name
 * that exists makes a row of looks, and only a right password one of known and friends, so that
 * guesses do not push them out.
 * Time is a parameter. Thread: its owner's. Limits: the rows.
 */
#ifndef RTCACHE_SERVER_AUTH_MEMORY_H
#define RTCACHE_SERVER_AUTH_MEMORY_H

#include "base/slice.h"
#include "server/auth_queue.h"

#define AUTH_MEMORY_ROWS      4096
#define AUTH_MEMORY_FORGET_MS ((int64_t)10 * 60 * 1000)
#define AUTH_MEMORY_LOOKS     10

struct auth_memory;

int auth_memory_new(struct auth_memory **out, struct err *e) MUST_USE;
void auth_memory_free(struct auth_memory *m); /* NULL is allowed */

/* The digest of parts, in their order; none is taken for the end of another. */
struct auth_key auth_memory_key(const struct auth_memory *m, const struct slice *parts,
                                size_t count);
/* By what the failures of a name are counted, and of what one at a time is verified. */
struct auth_key auth_memory_who(const struct auth_memory *m, struct slice name,
                                struct slice address, struct slice network);

unsigned auth_memory_failures(const struct auth_memory *m, const struct auth_key *who,
                              int64_t now_ms);
void auth_memory_failed(struct auth_memory *m, const struct auth_key *who, int64_t now_ms);
/* Whether the digest is one that was right. */
bool auth_memory_knows(const struct auth_memory *m, const struct auth_key *digest, int64_t now_ms);
/* The same for whoever asks out of turn. After AUTH_MEMORY_LOOKS in vain nobody is told any
 * more: guesses would be as fast as digests are. */
bool auth_memory_look(struct auth_memory *m, const struct auth_key *who,
                      const struct auth_key *digest, int64_t now_ms);
/* The password was right: its digest is known until then, or as long as it is already; its look was
 * none in vain; and its address is a friend of the name. */
void auth_memory_right(struct auth_memory *m, const struct auth_key *digest, int64_t now_ms,
                       int64_t until_ms);
void auth_memory_looked_well(struct auth_memory *m, const struct auth_key *who);
void auth_memory_befriend(struct auth_memory *m, struct slice name, struct slice address,
                          int64_t now_ms);

#endif
