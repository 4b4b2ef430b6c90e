/*
 * conn_tls: TLS between a connection and its socket.
 *
 *   recv -> conn_tls_feed -> handshake, then plain bytes <- conn_tls_read
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
/* What came from the socket, borrowed until conn_tls_fed. false: it is no TLS, and has failed. */
bool conn_tls_feed(struct conn *c, struct slice wire) MUST_USE;
/* As many plain bytes of it as the thread's room takes, until the next read. TLS_DATA: there may be
 * more; below 0: what is wrong, with e, once these bytes are taken. */
int conn_tls_read(struct conn *c, struct slice *plain, struct err *e) MUST_USE;
/* So many bytes came, and all that is whole was read: plain bytes, where it was any. */
void conn_tls_fed(struct conn *c, size_t came, bool any);
/* It ends as malformed bytes make it: the alert that says why goes out, what was not answered yet
 * can be sealed no more. */
void conn_tls_fail(struct conn *c, const char *why);

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
