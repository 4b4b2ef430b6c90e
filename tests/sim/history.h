/*
 * history: what happened in one run, in order, as one who stands outside could have written it
 * down.
 *
 * Shape: an array of events without padding, so that its bytes are the run's fingerprint. An
 * event's place in it is its order; events of the same millisecond are ordered too. Thread: its
 * owner's. Limits: HISTORY_READS attempts and writes, HISTORY_KEYS keys, HISTORY_TAGS tags.
 */
#ifndef RTCACHE_SIM_HISTORY_H
#define RTCACHE_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_KEYS  8
#define HISTORY_TAGS  4
#define HISTORY_READS 8192

/* What an event tells with its fields; those that are not named are 0. `read` numbers each attempt
 * of a load, each set and each put: what brought a value or an absence. */
enum event_kind {
    DID_KEY,       /* a key is set up: code a source_kind, flags VERSIONED */
    DID_FLOOR_TTL, /* ttl_ms; flags STRONG: it is longer than any lag and load together; until_ms: a
                      write from before the start may take place */
    DID_COMMIT,  /* version (of the put read), flags ABSENT, tags; DOUBTED: of a write whose outcome
                    is unknown */
    DID_SHOWN,   /* the primary shows version */
    DID_APPLIED, /* the replica shows version */
    DID_LOAD,    /* a load is sent for: id; version: the sender's generation */
    DID_ATTEMPT, /* of load id, as read */
    DID_READ,    /* it has read version, flags ABSENT, PRIMARY, UNCHANGED, tags */
    DID_BELOW,   /* its result is below the floor: version */
    DID_END,     /* load id ends by read: code 0 or an error; version, flags ABSENT, STORED */
    DID_ABANDONED,  /* load id: nobody waited for it */
    DID_GET,        /* get id begins: version where HAS_VERSION, the least that will do */
    DID_GOT,        /* get id ends: code 0: by read; seen what the bytes are of, status */
    DID_LEFT,       /* get id: its client has left */
    DID_SET,        /* read; version, VERSIONED, tags, code */
    DID_WRITE,      /* a put (or, ABSENT, a delete) begins: read */
    DID_WRITTEN,    /* it ends: code; version, VERSIONED, STORED, UNDONE: nothing has happened;
                       HAS_VERSION: it was told the version; until_ms: the end of the doubt */
    DID_UNANSWERED, /* of a key: a client's write that was never answered */
    DID_INVALIDATE, /* HAS_VERSION: version, GONE; else plain; code */
    DID_EXPIRE,     /* of a key */
    DID_TOUCH,      /* of a key: ttl_ms, dead_ms; code 0: its time began again */
    DID_TAG,        /* id: the tag, SOFT */
    DID_MATCH,      /* tags: the keys that match, a bit each, SOFT; code */
    DID_EVICT,      /* of a key, by the test */
    DID_DROPPED,    /* the table of floors was full: some floors went early */
    DID_RELOAD,     /* loads run newer scripts from now on */
    DID_ADOPT,      /* requests of I/O thread id are served by the newer configuration */
    DID_JUMP,       /* the clock went on by ttl_ms at once */
    DID_QUIET,      /* nothing is in the air: what is stored; code a got_status, read */
    DID_STOP,       /* the server goes down, and things change again */
    DID_SETTLED,    /* every change is told of and shown everywhere: gets from here on are exact */
};

enum source_kind {
    SOURCE_PRIMARY, /* reads go to it */
    SOURCE_REPLICA, /* reads go to a replica, and there is a primary to fall back on */
    SOURCE_LONE,    /* reads go to a replica, and no primary is named */
};

enum got_status {
    GOT_MISS, /* by a load */
    GOT_HIT,  /* from memory, fresh */
    GOT_STALE,
    GOT_STALE_ERROR,
    GOT_NOTHING, /* DID_QUIET: nothing is stored */
};

enum event_flags {
    F_VERSIONED = 1,
    F_HAS_VERSION = 2,
    F_ABSENT = 4,
    F_PRIMARY = 8,
    F_UNCHANGED = 16,
    F_STORED = 32,
    F_GONE = 64,
    F_SOFT = 128,
    F_DOUBTED = 256,
    F_STRONG = 512,
    F_BATCH = 1024,
    F_REFRESH = 2048,
    F_UNDONE = 4096,
};

struct event {
    int64_t at_ms, version, seen, ttl_ms, dead_ms, until_ms;
    int64_t had; /* what was stored before it, -1: nothing with a version */
    int32_t kind, key, id, read, flags, tags, code, status;
};

struct history {
    struct event *events; /* owned */
    size_t count, capacity;
};

void history_clear(struct history *h);
void history_free(struct history *h);
void history_add(struct history *h, const struct event *e);
uint64_t history_hash(const struct history *h);
/* Of events [0, count) those that say something about key, or all with key -1. */
void history_print(const struct history *h, size_t count, int key, FILE *out);

#endif
