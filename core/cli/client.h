/*
 * client: one blocking connection: requests out, their answers back.
 *
 * Shape: all requests of an exchange are pipelined with the ids 1 .. count, while answers are read;
 * they may come in any order. Thread: its owner's.
 * Limits: an answer of CLIENT_MAX_FRAME bytes; the deadline covers connecting and every exchange.
 */
#ifndef RTCACHE_CLI_CLIENT_H
#define RTCACHE_CLI_CLIENT_H

#include "base/buf.h"
#include "cli/client_tls.h"
#include "wire/rpc_answer.h"

#define CLIENT_MAX_FRAME ((size_t)64 << 20)

struct client_options {
    const char *address; /* "tls:..." or not */
    int64_t timeout_ms;
    struct tls_client_options tls; /* where the address says so */
};

struct client {
    int fd;
    bool has_tls;
    struct client_tls tls;
    int64_t deadline_ms; /* of clock_ms() */
    int64_t timeout_ms;  /* what the deadline was made of, for messages */
    struct buf in;
    struct rpc_scan scan;
};

/* An answer, by the id of its request less 1. */
struct client_reply {
    bool arrived, failed;
    char *data; /* owned; the packed result, or the packed error where failed */
    size_t size;
};

/* With TLS the handshake is done, the server's certificate and its name have been looked at.
 * ERR_CONFIG: the address or a file cannot be read; ERR_IO; ERR_TIMEOUT; ERR_PROTOCOL: the server
 * is not to be dealt with. client_close is due on 0 only. */
int client_open(struct client *c, const struct client_options *o, struct err *e) MUST_USE;
void client_close(struct client *c);

/* Sends requests (ids 1 .. count) and waits for as many replies. ERR_IO: connection lost;
 * ERR_TIMEOUT; ERR_PROTOCOL, ERR_TOO_LARGE: what came back is no answer; ERR_NOMEM. A failed answer
 * with the id 0 (the server could not read ours) stands for every one that is missing. */
int client_exchange(struct client *c, struct slice requests, struct client_reply *replies,
                    size_t count, struct err *e) MUST_USE;
void client_replies_free(struct client_reply *replies, size_t count);

#endif
