/*
 * out_values: values of the store in a connection's output, sent from where they lie.
 *
 *   own bytes:  [1, 7, nil, | [1, 8, nil, | [1, 9, nil, 42
 *                           '- value       '- value            each with a reference
 *
 * A value longer than STORE_COPY_MAX is not copied: it stands between two of the output's own
 * bytes, and both are sent with one call (writev, IEEE Std 1003.1; here sendmsg, for it can do
 * without SIGPIPE). Its entry is held until it is sent, whatever becomes of its key. Shape: 16
 * bytes a value, in an array that is there while there are any. Adding is O(1), what was sent is
 * taken out in O(rest). Thread: the connection's. Limits: the connection's max_output, which counts
 * their bytes.
 */
#ifndef RTCACHE_NET_OUT_VALUES_H
#define RTCACHE_NET_OUT_VALUES_H

#include "store/store.h"

#include <sys/uio.h>

struct out_value {
    struct entry *entry; /* one reference */
    size_t at;           /* of the own bytes, so many are before it */
};

struct out_values {
    struct out_value *all; /* owned; in the order in which they are sent */
    unsigned count, room;
    size_t bytes;   /* of them, not sent yet */
    size_t sent;    /* bytes of the first one */
    size_t outside; /* bytes of those that are in no store, as a whole */
};

/* The value goes behind the first `at` of the own bytes; the reference is taken over. ERR_NOMEM: it
 * is not. */
int out_values_add(struct out_values *s, size_t at, struct entry *e) MUST_USE;

/* What is to be sent next, of values and of the own bytes from `from` on, in at most `most` pieces;
 * how many. */
int out_values_pieces(const struct out_values *s, struct slice own, size_t from,
                      struct iovec *pieces, int most);

/* So many bytes were sent; how many of them were own ones. */
size_t out_values_sent(struct out_values *s, size_t from, size_t own_size, size_t n);
/* The first n own bytes, all of them sent, are taken out. */
void out_values_own_consumed(struct out_values *s, size_t n);

/* Gives all references back. */
void out_values_clear(struct out_values *s);

#endif
