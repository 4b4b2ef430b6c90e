/*
 * peer: a connection to the server, with PEER_DEPTH requests in the air.
 *
 * Shape: a slot a request; the message's id is the slot. A request's begin is taken before its
 * bytes leave, its end after its answer has come. Thread: the loop's. Limits: PEER_DEPTH, PEER_MANY
 * keys of one get_many.
 */
#ifndef HISTORY_PEER_H
#define HISTORY_PEER_H

#include "run.h"
#include "wire/mp.h"

#define PEER_DEPTH 16
#define PEER_MANY  4

struct peer;

struct slot {
    struct record r;
    uint32_t many[PEER_MANY];
    bool busy;
    /* Control requests are recorded by who asked. r.result and r.code are set. */
    void (*answered)(struct run *run, struct slot *slot, struct slice result);
};

struct peer {
    struct watch watch; /* first: a watch is its peer */
    struct run *run;
    struct buf in, out;
    struct slot slots[PEER_DEPTH];
    bool refused; /* the server goes down: nothing more is asked until peer_connect */
    bool chooses; /* fills its slots with requests of chance */
    const char *path;
};

/* path is borrowed. */
void peer_init(struct peer *p, struct run *run, const char *path, bool chooses);
void peer_fini(struct peer *p);

/* Connects again after the server was lost; false: nobody listens yet. */
bool peer_connect(struct peer *p);
static inline bool peer_is_lost(const struct peer *p)
{
    return p->watch.fd < 0;
}

/* Starts what there is room for. */
void peer_fill(struct peer *p);
void peer_flush(struct peer *p);

/* A free slot, claimed, for a request of one's own; NULL: none is free. */
struct slot *peer_claim(struct peer *p);
/* Writes the envelope; `method` and the parameters follow by the caller. */
void peer_open(struct peer *p, struct slot *slot, const char *method, uint32_t arguments);

/* Packs the request of the record in the slot. (ask.c) */
void ask_choose(struct run *run, struct slot *slot);
void ask_pack(struct peer *p, struct slot *slot);

/* Takes an answer apart, and records it. error, result: packed. (answer.c) */
void answer_take(struct run *run, struct slot *slot, struct slice error, struct slice result);
/* The server went away with the request. */
void answer_lost(struct run *run, struct slot *slot);
/* A notification's parameters. */
void answer_notice(struct run *run, struct mp_reader *r);

/* Ends the program: the workload itself went wrong. */
void must(bool ok, const char *what);

#endif
