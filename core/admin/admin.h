/*
 * admin: the port for whoever looks after the server: metrics, health and numbers over HTTP.
 *
 *   browser, Prometheus --HTTP--> libmicrohttpd --> request (who, what) --> pages (a table)
 *                                                      `--auth_request--> main thread and back
 *
 * Shape: one thread with a loop; libmicrohttpd has no thread of its own, its epoll descriptor is
 * watched by that loop. What is told is read as `stats` reads it: no I/O or loader thread takes
 * part. Thread: new, start, join, free: the main one; ready, drain, change, stop: any, once each
 * but for change; the rest is its own thread's. Limits: ADMIN_CONNECTIONS connections, past which
 * the one that has said nothing longest goes; ADMIN_HEAD_MS for the head of a first
 * request, ADMIN_IDLE_MS for a later one, ADMIN_ANSWER_MS for an answer, ADMIN_CONNECTION_BYTES.
 */
#ifndef RTCACHE_ADMIN_ADMIN_H
#define RTCACHE_ADMIN_ADMIN_H

#include "load/change.h"
#include "load/snapshot.h"
#include "serve/report.h"
#include "sys/mailbox.h"

#define ADMIN_CONNECTIONS      64
#define ADMIN_CONNECTION_BYTES 16384 /* a request's head, and what is made of it */
#define ADMIN_HEAD_MS          5000
#define ADMIN_IDLE_MS          60000
#define ADMIN_ANSWER_MS        30000

struct admin;

struct admin_options {
    int fd;           /* listens; handed over, also where admin_new fails */
    const char *host; /* of the address that it was written with; copied */
    bool is_unix;
    struct report of;              /* all but snapshot, journal and now_ms */
    const struct changes *changes; /* whose journal is there once the server is ready */
    struct mailbox *control;       /* the main thread's */
    void (*recv_auth)(struct message *m, void *owner);
};

/* A configuration is in force, or is about to be. */
struct admin_change {
    struct message message;
    struct snapshot *snapshot; /* borrowed until it is answered */
    struct mailbox *answer_to;
    void (*answered)(struct message *m, void *owner);
};

int admin_new(struct admin **out, const struct admin_options *o, struct err *e) MUST_USE;
int admin_start(struct admin *a, struct err *e) MUST_USE;
void admin_change(struct admin *a, struct admin_change *c);
void admin_ready(struct admin *a); /* clients are served from here on */
void admin_drain(struct admin *a); /* and from here on no more */
void admin_stop(struct admin *a);
void admin_join(struct admin *a);
/* After whoever answers auth_requests is gone. */
void admin_free(struct admin *a); /* NULL is allowed */

#endif
