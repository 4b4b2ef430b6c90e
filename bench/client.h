/*
 * client: one connection, and its requests in the air, `depth` at most.
 *
 *   as fast as answers come: depth requests --> server --> answers, each replaced by a new request
 *   at a rate:               a request is due --> the next client with a free slot --> server
 *
 * Shape: a slot for each request in the air with the time since which it is asked; answers with an
 * id name their slot, others come in order, and slots are used in the order in which they became
 * free. Thread: one.
 * Limits: an error, a missing value or bytes that are no answer end the program with its reason.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "histogram.h"
#include "pick.h"
#include "protocol.h"

#define CLIENT_MANY_MAX 1000

/* What all connections of a run share. */
struct workload {
    const struct protocol *protocol;
    const char *prefix;
    struct pick pick;
    unsigned depth;
    unsigned many; /* keys of a get; 1 to CLIENT_MANY_MAX */
    double sets;   /* this share of the requests is a set, the others get */
    struct text value;
    uint64_t started; /* requests written so far */
    uint64_t limit;   /* and at most */
    double rate;      /* requests a second, whether answers come or not; 0: as fast as they do */
    uint64_t ended;
    struct histogram latency;
};

/* A request in the air. */
struct slot {
    uint64_t since_ns; /* it was written then, or at a rate was due */
    bool is_set;
};

struct client {
    struct workload *work;
    int fd;
    bool wants_write; /* the socket is full */
    size_t greeting;  /* bytes still to be skipped */
    char *in, *out;
    size_t in_len, in_room, out_len, out_sent, out_room;
    struct slot *slots;
    unsigned oldest; /* slot of the oldest request, for answers without id */
    unsigned *free;  /* slots, a ring */
    unsigned free_first, free_count;
};

/* address: "host:port", numeric, or the path of a Unix socket. */
void client_init(struct client *c, struct workload *w, const char *address);
void client_start(struct client *c, uint64_t now_ns);
/* Writes one request more, which client_on_writable sends. false: no slot is free, or all that are
 * wanted were asked. */
bool client_ask(struct client *c, uint64_t since_ns);
/* Takes what has arrived and asks again. */
void client_on_readable(struct client *c, uint64_t now_ns);
void client_on_writable(struct client *c);
void client_fini(struct client *c);

#endif
