/*
 * target: where an answer goes.
 *
 * Shape: copied, with what waits for the answer. Thread: the connection's.
 */
#ifndef RTCACHE_NET_TARGET_H
#define RTCACHE_NET_TARGET_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct gather;
struct io;

enum form {
    FORM_VALUE,
    FORM_ITEM,
    FORM_ENTRY, /* from here on: of a value more is told than its bytes, so it is held */
    FORM_OWN,   /* its protocol packs it (protocol.h) */
};

struct target {
    struct io *io;
    struct conn *conn;     /* NULL: the client has left */
    struct gather *gather; /* FORM_ITEM */
    uint32_t msgid, index;
    enum form form;
    bool notify; /* a notification: nothing is answered */
};

#endif
