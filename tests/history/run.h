/*
 * run: what the parts of the workload share: the clock, chance, the history file, what is known of
 * the rows, and one epoll loop.
 *
 *   peers (MessagePack-RPC) --\
 *   writers (SQL) -------------+--> one thread, one loop --> records, in the order of their ends
 *   replica (SQL, late) ------/
 *
 * Thread: one. Any failure of the workload itself ends it with exit code 2.
 */
#ifndef HISTORY_RUN_H
#define HISTORY_RUN_H

#include "base/buf.h"
#include "history.h"

#include <stdbool.h>
#include <sys/epoll.h>

enum { CLASS_P, CLASS_R, CLASS_U, CLASSES }; /* primary and feed; replica and feed; neither */

#define BODY_MAX 1024
#define TEAMS    1000

/* The newest version whose write was answered. */
struct known {
    int64_t version;
    uint64_t content;
    uint16_t tag;
    bool deleted;
    bool unsure; /* a write of it has not said how it ended, and nothing newer is known since */
};

/* What is to be asked next, before anything of chance. */
struct follow {
    uint32_t key;
    uint16_t tag;
    uint8_t op;
    bool deleted;
    int64_t wanted;
};

#define FOLLOWS 4096 /* more are forgotten: then only the feed tells */

struct watch {
    int fd;
    uint32_t events;
    void (*ready)(struct watch *w, uint32_t events);
};

struct run {
    uint64_t limit; /* operations */
    uint32_t keys;  /* in each class */
    uint64_t seed;
    FILE *out;
    int epoll;
    uint64_t last_ns;
    uint64_t started, ended, sql_started;
    bool quiet;    /* nothing new is started */
    bool may_lose; /* the server is being killed: connections end */
    uint32_t busy; /* requests and statements without an answer */
    struct known *known[CLASSES];
    int64_t *heard[CLASSES]; /* the newest version that the subscriber was told of */
    struct follow follows[FOLLOWS];
    uint32_t follow_head, follow_tail;
    /* what the subscriber heard */
    uint64_t notices, gaps[CLASSES], marker;
    /* last reads that are not fresh yet, and are asked again */
    uint32_t *again;
    size_t again_count, again_total;
};

extern const char class_letters[CLASSES + 1];

uint64_t run_now(struct run *run); /* later than any time before */
uint64_t run_random(struct run *run);
uint32_t run_below(struct run *run, uint32_t bound);
bool run_chance(struct run *run, unsigned percent);
uint32_t run_key(struct run *run, unsigned class); /* half of them among a few */

void run_record(struct run *run, const struct record *r);
void run_learn(struct run *run, uint32_t key, const struct known *now);
void run_hear(struct run *run, uint32_t key, int64_t version);
/* A write of it may have taken place. */
void run_doubt(struct run *run, uint32_t key);
void run_follow(struct run *run, const struct follow *f);
bool run_take_follow(struct run *run, struct follow *f);
/* false: it was asked too often, so take it as it is. */
bool run_again(struct run *run, uint32_t key, bool failed);
bool run_take_again(struct run *run, uint32_t *key);

void run_watch(struct run *run, struct watch *w, uint32_t events); /* 0: no more */
void run_turn(struct run *run, int timeout_ms);

/* A body is its content, written out: sixteen hexadecimal digits and what follows from them. */
size_t body_write(char out[BODY_MAX], uint64_t content);
uint64_t body_read(const char *text, size_t size); /* CONTENT_BROKEN: it is none */

/* "p:12 7 34 BODY": key, version, team, body. Fills version, tag and content; CONTENT_BROKEN where
 * it is not the text of this key. */
void value_read(const char *text, size_t size, struct record *r);
int value_write(char *out, size_t room, uint32_t key, const struct known *row);

#endif
