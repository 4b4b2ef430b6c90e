/*
 * rpc_answer: the client's side of MessagePack-RPC: answers from bytes.
 *
 * Shape: as rpc: a pure function over an input buffer; an answer borrows from it.
 * Thread: any. Limits: struct rpc_limits; nesting up to MP_DEPTH_EXTRA - 1 deeper than a value's,
 * for what answers wrap around one.
 */
#ifndef RTCACHE_WIRE_RPC_ANSWER_H
#define RTCACHE_WIRE_RPC_ANSWER_H

#include "wire/rpc.h"

/* The slices are borrowed from the input until it is consumed. */
struct rpc_answer {
    uint32_t msgid;
    bool failed;
    struct slice error;  /* packed; nil unless failed */
    struct slice result; /* packed */
};

/* Takes the first answer of `in`, as rpc_next takes a message. ERR_PROTOCOL, ERR_TOO_LARGE. */
int rpc_answer_next(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
                    struct rpc_answer *answer, size_t *used, struct err *e) MUST_USE;

#endif
