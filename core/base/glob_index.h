/*
 * glob_index: which of many patterns match a key, without comparing each of them.
 *
 *   key --its first bytes--> anchor "user:" --> node user:*:name --> item, item, ...
 *       --its last bytes---> anchor ":name" --> node *:name, ...
 *       --any 1 to 4 of its bytes, where there are such anchors--> node *:42:*, ...
 *       ----------------------> the nodes of stars alone, which are 11 at most
 *
 * A node is a pattern as it is compiled: patterns that differ by the names of their stars share it,
 * and so do those of many owners. It hangs on one anchor, literal bytes that all keys have which it
 * matches: its literal beginning, its end, or, where those have several nodes already, a gram of
 * what is between; of these the one with the fewest nodes. So a key is compared with the nodes of
 * the anchors that it has, and with no others.
 * Shape: a node takes 100 bytes and its literals, an anchor 64 and its literal; adding and removing
 * are O(pattern bytes), a walk O(key bytes) and one comparison for each node that it meets.
 * Thread: its owner's. Limits: one walk at a time.
 */
#ifndef RTCACHE_BASE_GLOB_INDEX_H
#define RTCACHE_BASE_GLOB_INDEX_H

#include "base/glob.h"
#include "base/list.h"

struct glob_index;
struct glob_node;

/* One owner's place; embedded in it. */
struct glob_item {
    struct list link;
    struct glob_node *node; /* NULL: it is in no index */
};

struct glob_index *glob_index_new(uint64_t seed); /* NULL: no memory */
void glob_index_free(struct glob_index *ix);      /* empty; NULL is allowed */

/* pattern has passed glob_check, and is read, not kept. ERR_NOMEM. */
int glob_index_add(struct glob_index *ix, struct glob_item *item, struct slice pattern) MUST_USE;
void glob_index_remove(struct glob_index *ix, struct glob_item *item);

/* The pattern of an item that is in an index, compiled. */
const struct glob *glob_item_glob(const struct glob_item *item);

/* A walk over the items whose patterns match the key, which is borrowed until its end. Items may
 * come and go between its steps: who is there all the time is met once. */
void glob_index_walk(struct glob_index *ix, struct slice key);
/* One step, of a few hundred nanoseconds where patterns and keys are short: a comparison, some
 * bytes of the key, or an item, which is then in *item, else NULL. false: the walk is over. */
bool glob_index_step(struct glob_index *ix, struct glob_item **item);

/* How often a key was compared with a pattern so far. */
uint64_t glob_index_compared(const struct glob_index *ix);

#endif
