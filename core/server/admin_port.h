/*
 * admin_port: the admin port of a server, and what the main thread tells it.
 *
 *   open (as root) -> start (as who the server becomes) -> change, ready, drain -> stop -> free
 *
 * Without `admin` in the configuration all of these do nothing. Thread: the main one.
 */
#ifndef RTCACHE_SERVER_ADMIN_PORT_H
#define RTCACHE_SERVER_ADMIN_PORT_H

#include "server/server.h"

/* What admin_port_open would say, as far as that can be looked at beside a server that runs. */
int admin_port_check(const struct conf *conf, struct err *e) MUST_USE;
/* After listen_open, which says what Unix sockets are to be. */
int admin_port_open(struct server *s, struct err *e) MUST_USE;
/* Store, flights and the journal are there. */
int admin_port_start(struct server *s, struct err *e) MUST_USE;
/* next is in force there once it is answered, on the main thread. false: there is no port, and
 * nothing will be. */
bool admin_port_change(struct server *s, struct snapshot *next,
                       void (*answered)(struct message *m, void *owner));
void admin_port_ready(struct server *s);
void admin_port_drain(struct server *s);
/* What it is told of is there until then. */
void admin_port_stop(struct server *s);
/* After the verifier. */
void admin_port_free(struct server *s);

#endif
