/*
 * many: what a get_many gathered (gather.h) becomes its answer.
 *
 * A small answer is copied to the connection's output. A large one becomes the output, once all
 * that is before it is sent; where its items came in another order they are put in theirs before,
 * in slices. Thread: the connection's. Limits: max_batch keys, max_output bytes.
 */
#ifndef RTCACHE_NET_MANY_H
#define RTCACHE_NET_MANY_H

#include "net/gather.h"

/* NULL: no memory. It waits for count items, and is gone with the answer. */
struct gather *many_new(const struct target *t, uint32_t count);
/* All before them is sent: the first answer that is ready is what is sent next. false: there is
 * none.
 */
bool many_send_ready(struct conn *c);

#endif
