/*
 * conn_tls: TLS between a connection and its socket.
 *
 *   recv -> conn_tls_take -> handshake, then plain bytes -> conn_process
 *   conn_out -> conn_tls_write -> sealed -> send
 *
 * Shape: what is read from the socket in one turn is used up in that turn, whole records of it are
 * taken apart in the thread's room; nothing that was read waits where the loop does not see it. An
 * idle connection holds no buffers. Thread: its I/O thread's.
 * Limits: handshake_timeout, max_handshakes; CONN_TLS_SHAKES handshakes go on in one turn of the
 * loop, a signature of half a millisecond each, so that others are answered between;
 * CONN_SEALED_MAX bytes of records that the socket does not take, on top of what max_output counts
 * with them.
 */
#ifndef RTCACHE_NET_CONN_TLS_H
#define RTCACHE_NET_CONN_TLS_H

#include "net/conn.h"

#define CONN_SEALED_MAX (256 * 1024)
#define CONN_TLS_SHAKES 4

/* false: no more handshakes are taken, or there is no memory; to be closed. */
bool conn_tls_open(struct conn *c) MUST_USE;
/* Says goodbye where all was written, as far as the socket takes it. */
void conn_tls_close(struct conn *c);

/* Enough handshakes went on in this turn: its socket is to be read in the next. */
bool conn_tls_waits(struct conn *c);
/* What came from the socket. What is wrong ends the connection as malformed bytes do. */
void conn_tls_take(struct conn *c, struct slice wire);

/* Seals and writes what it can; false: it cannot go on. */
bool conn_tls_write(struct conn *c) MUST_USE;

/* Nothing will be written any more. */
void conn_tls_end(struct conn *c);

/* Whether its handshake takes too long, which is told then. */
bool conn_tls_is_late(const struct conn *c, int64_t now_ms);
/* The client has said that nothing more comes. */
bool conn_tls_ended(const struct conn *c);
/* The bytes that have come of a record before its last. */
size_t conn_tls_unread(const struct conn *c);

#endif
