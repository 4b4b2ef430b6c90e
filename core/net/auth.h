/*
 * auth: who a connection is, on its I/O thread: by its password, or by its uid over a Unix socket.
 *
 *   auth [name, password] --auth_request--> main thread: server/verifier.h --> back, to the
 *   connection if it is still there, and only for the user as the configuration has it then
 *
 * While a password is verified the connection is halted: what it sent behind is kept unread, and
 * taken when the answer is out. Passwords are wiped where they were read and where they were copied
 * to. Thread: the connection's I/O thread. Limits: one verification of a connection at a time;
 * max_auth_failures, auth_timeout, max_frame_before_auth.
 */
#ifndef RTCACHE_NET_AUTH_H
#define RTCACHE_NET_AUTH_H

#include "net/auth_peer.h"
#include "net/conn.h"
#include "net/params.h"

#define AUTH_PASSWORD_MAX 512 /* bytes */

/* A client's `auth`: to the main thread and back. */
struct auth_request {
    struct message message;
    struct message left; /* its client has left; it comes back with recv = heard */
    struct list link;    /* the main thread's; alone where nothing is waited for */
    struct mailbox *answer_to;
    void (*answered)(struct message *m, void *owner);
    void (*heard)(struct message *m, void *owner);
    struct ticket ticket; /* the I/O thread's */
    struct conn *conn;    /* the I/O thread's; NULL once the client has left */
    uint32_t msgid;
    bool notify;
    bool asked, over; /* left is on its way; the answer has come. The I/O thread's */
    bool withdrawn;   /* nobody looked at it; the main thread's, until it is answered */
    struct auth_peer peer;
    unsigned failures; /* of the connection so far */
    size_t name_size, password_size;
    char name[CONF_NAME_MAX + 1];
    char
        password[AUTH_PASSWORD_MAX + 1]; /* wiped by the main thread, at the latest when answered */
    int rc;
    struct err err;
    char hash[CONF_HASH_MAX + 1]; /* where rc is 0: what the password fits */
};

/* The arguments of auth. ERR_BAD_REQUEST. They borrow from the input. */
int auth_params(struct params *p, struct slice *name, struct slice *password,
                struct err *e) MUST_USE;
/* Answers, or hands r over to the main thread's answer. For server/verifier. */
void auth_request_answer(struct auth_request *r, int rc);

/* What a new connection is: everybody, a user by its uid, or nobody yet. */
void auth_conn_opened(struct conn *c);
/* A new configuration is in force; before: the last one, which is still there. */
void auth_changed(struct io *io, const struct conf *before);
/* Whether it has been nobody for too long. */
bool auth_is_overdue(const struct conn *c, int64_t now_ms);
/* The uid at the other end of a Unix socket; -1 where it is none. */
int64_t auth_peer_uid(int fd);

#endif
