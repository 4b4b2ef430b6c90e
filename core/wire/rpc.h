/*
 * rpc: MessagePack-RPC messages from bytes, and answers to bytes (the published specification:
 * [0, msgid, method, params], [1, msgid, error, result], [2, method, params]).
 *
 * Shape: pure functions over the connection's input buffer; a message borrows from it.
 * Thread: any. Limits: struct rpc_limits.
 */
#ifndef RTCACHE_WIRE_RPC_H
#define RTCACHE_WIRE_RPC_H

#include "base/buf.h"
#include "wire/mp.h"

struct rpc_limits {
    size_t max_frame; /* bytes of one message */
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION };

/* All slices are borrowed from the input until it is consumed. */
struct rpc_msg {
    enum rpc_kind kind;
    uint32_t msgid; /* 0 for a notification */
    struct slice method;
    uint32_t param_count;
    struct slice params; /* the packed params, one after the other, without the array's header */
    /* Of a small request: its first param, and the rest of them; behind_first NULL: not read yet.
     */
    struct mp_token first;
    const char *behind_first;
    uint64_t first_hash; /* the caller's; 0 as it comes */
    /* Of one that was scanned: where its first params end. end_count 0: not known. */
    uint32_t end_count;
    const char *ends[MP_MARKS];
};

/* State kept between calls while a frame is incomplete; 0 in every field starts one. */
struct rpc_scan {
    struct mp_scan mp;
};

enum { RPC_MORE = 0, RPC_MESSAGE = 1 };

/* Takes the first message of `in`. RPC_MESSAGE: *msg is filled, *used bytes belong to it, the scan
 * is ready for the next; RPC_MORE; ERR_PROTOCOL or ERR_TOO_LARGE with text in e, after which the
 * connection is to be closed (e says what was wrong; msg->msgid holds the id where it was read,
 * else 0). */
int rpc_next(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
             struct rpc_msg *msg, size_t *used, struct err *e) MUST_USE;
/* What rpc_next says, but for behind_first; without its short way for small requests, which has one
 * caller so that it is built into that one's loop. */
int rpc_next_scanned(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
                     struct rpc_msg *msg, size_t *used, struct err *e) MUST_USE;

/* The end of the first message of `in`, whatever it says: RPC_MESSAGE with scan->mp.offset at it,
 * RPC_MORE, or an error as above. */
int rpc_scan_step(struct rpc_scan *scan, struct slice in, size_t max_frame, struct err *e) MUST_USE;

#define RPC_ANSWER        1      /* the type of a message that is one */
#define RPC_ANSWER_BEGINS '\x94' /* with an array of four */
#define RPC_REPLY_HEAD    8      /* bytes at most */

/* [1, msgid, nil, -- the caller appends exactly one packed value after it. Here, because each hit
 * has one. */
static inline int MUST_USE rpc_reply_head(struct buf *out, uint32_t msgid)
{
    int rc = out->data && buf_fits(out, RPC_REPLY_HEAD) ? 0 : buf_grow(out, RPC_REPLY_HEAD);
    if (rc != 0)
        return rc;
    char *p = out->data + out->size;
    *p++ = RPC_ANSWER_BEGINS;
    *p++ = RPC_ANSWER;
    if (msgid > UINT16_MAX) {
        uint32_t big = __builtin_bswap32(msgid);
        *p++ = (char)0xce;
        memcpy(p, &big, sizeof big);
        p += sizeof big;
    } else if (msgid > UINT8_MAX) {
        uint16_t big = __builtin_bswap16((uint16_t)msgid);
        *p++ = (char)0xcd;
        memcpy(p, &big, sizeof big);
        p += sizeof big;
    } else {
        if (msgid >= 0x80)
            *p++ = (char)0xcc;
        *p++ = (char)msgid;
    }
    *p++ = (char)0xc0;
    out->size = (size_t)(p - out->data);
    return 0;
}
/* [1, msgid, error, nil]. error is the string "CODE text", or with as_map the map
 * {code, message, retry_after_ms?}. A text that is not UTF-8 is made so. */
int rpc_reply_error(struct buf *out, uint32_t msgid, const struct err *e, bool as_map) MUST_USE;
/* [0, msgid, method, -- the caller appends the params array (the client's side). */
int rpc_request_head(struct buf *out, uint32_t msgid, const char *method) MUST_USE;
/* The packed error alone, as it stands inside an answer (get_many has one per key). */
int rpc_pack_error(struct buf *out, const struct err *e, bool as_map) MUST_USE;

#endif
