/*
 * put: writes that wait for their loader thread, with their clients' deadlines.
 *
 * Shape: one allocation a write, its key and value behind it. It belongs to the I/O thread and is
 * freed with the loader thread's answer; a client that has left or was answered at its deadline
 * takes nothing from the write. Thread: the connection's. Limits: max_parked per connection, and
 * those of load/write.h.
 */
#ifndef RTCACHE_NET_PUT_H
#define RTCACHE_NET_PUT_H

#include "net/conn.h"

/* The writes of a connection that closes go on without it. */
void put_client_left(struct conn *c);

#endif
