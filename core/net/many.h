/*
 * many: one get_many: its items are gathered here, in any order, and answered in theirs.
 *
 *   items: | head of the answer | item | item | ...      in the order in which they came
 *
 * A small answer is copied to the connection's output. A large one becomes the output, once all
 * that is before it is sent; where its items came in another order they are put in theirs before,
 * in slices. Shape: one buffer of packed items, and where each of them lies. Thread: the
 * connection's. Limits: max_batch keys, max_output bytes.
 */
#ifndef RTCACHE_NET_MANY_H
#define RTCACHE_NET_MANY_H

#include "net/answer.h"

/* NULL: no memory. It waits for count items and is gone with the answer. */
struct many *many_new(const struct target *t, uint32_t count);
/* From before the first item is asked for until after the last: keeps it from ending in between. */
void many_hold(struct many *m);
void many_release(struct many *m);
/* It will wait: what it holds is written down from now on. */
void many_account(struct many *m);
void many_client_left(struct many *m);
/* So many of its items will not be asked for any more: its client has left. */
void many_cut(struct many *m, uint32_t count);

/* Whether it will be refused, whatever else comes. */
bool many_has_failed(const struct many *m);
/* Whether it has gathered so much that its keys are read in slices. */
bool many_is_large(const struct many *m);
/* All before them is sent: the first answer that is ready is what is sent next. false: there is
 * none.
 */
bool many_send_ready(struct conn *c);

/* Where items are packed, one at a time, and the word that one is there: from offset to the end. */
struct buf *many_items(struct many *m);
void many_item_done(struct many *m, uint32_t index, size_t offset, int rc);
const struct target *many_target(const struct many *m);

#endif
