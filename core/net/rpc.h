/*
 * rpc: MessagePack-RPC, the protocol of the methods in docs/protocol.md.
 *
 *   bytes -> some messages (wire/rpc.h) -> their keys' memory is asked for -> dispatch, one by one
 *
 * Answers go out as they come, with the number of their request. Shape: a table (protocol.h).
 * Limits: max_frame, or max_frame_before_auth.
 */
#ifndef RTCACHE_NET_RPC_H
#define RTCACHE_NET_RPC_H

#include "net/protocol.h"

extern const struct protocol rpc_protocol;

#endif
