/*
 * write: a put or a delete on its way through the script's save or remove, one at a time per key.
 *
 *   I/O thread --> mailbox --> its key's turn --> a place in the air --> save or remove
 *                                                                              |
 *   I/O thread <-- answered <-- the entry is stored, dropped or left <---------'
 *
 * All writes and loads of a key are on one loader thread, so a key's turn needs no lock. The source
 * is asked once: a write is not repeated. While it lasts reads go on with what is stored.
 *
 * Where save says nothing of tags an invalidation by tag still has to find the value, for a load of
 * this row may give tags. If a load of the script has given some, the entry is dropped (`tags = {}`
 * is the word for none). If none has yet, that proves nothing: the entry is stored with the slot
 * marks_any_tag, which every invalidation of a tag raises. It is judged from the start of the write
 * on (write_run.since), so an invalidation that is acknowledged after that finds the entry, or
 * the write in the air: flights_write judges the slot too. Whether a load gives its first tags
 * before, while or after a put is stored does not matter then.
 *
 * Thread: loader_thread_write, any; the rest its loader's loop. Limits: max_writes in the air per
 * loader and max_write_queue that wait on this thread, both shared out among loader threads;
 * write_timeout.
 */
#ifndef RTCACHE_LOAD_WRITE_H
#define RTCACHE_LOAD_WRITE_H

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "sys/mailbox.h"

struct write_run;

enum write_what { WRITE_PUT, WRITE_DELETE };

enum write_left {
    LEFT_SO,       /* as it was asked for, or something newer is known of */
    LEFT_UNTAGGED, /* loads give tags, and save said nothing of them */
    LEFT_TOO_LARGE,
};

/* Embedded in its asker's request, which keeps it, the key and the value until it is answered. */
struct write {
    struct message message;
    enum write_what what;
    uint64_t hash;
    struct slice key, value; /* value: PUT, packed */
    bool has_seen;           /* the version that the client has seen: ctx.version */
    int64_t seen;
    struct mailbox *answer_to; /* receives message again, with recv = answered */
    void (*answered)(struct message *m, void *owner);
    /* The outcome. err.code 0: the source took it; WRITE_UNKNOWN: nobody knows; any other: it was
     * refused. */
    struct err err;
    bool stored;          /* the value is in the cache */
    enum write_left left; /* where it is not: why, as far as somebody can do something about it */
    bool has_version;     /* the source told the version that it has now */
    int64_t version;
    struct message give_up; /* see loader_thread_give_up */
    void (*heard)(struct message *m, void *owner);
    /* The loader thread's. */
    bool ended;            /* it is answered */
    struct write_run *run; /* in the air */
    struct list link;   /* the admission's queue, or those that wait for another one of its key */
    struct list chain;  /* the table's, where it is the first of its key */
    struct list behind; /* then: those that wait for it */
};

#endif
