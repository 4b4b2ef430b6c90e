/*
 * record: an entry as bytes that outlive the process, and back.
 *
 *   MessagePack array: key, value, version, age, left, stale, keep, flags, tags
 *                      | load, ahead, owner, state, reads
 *
 * Times are spans from the moment of the record, so that they mean something to another clock. A
 * value is kept as the bytes that it is stored as, and not looked into. The fields before the bar
 * have to be there; of those after it the ones that are missing have their defaults, and what
 * follows them is skipped: so a record of an older version is read, and one of a newer version too.
 * Shape: 20 to 40 bytes beside key, value and tags. Thread: any, pure.
 * Limits: those of an entry (entry.h): a key of 65,535 bytes, 64 tags of 255 bytes each.
 */
#ifndef RTCACHE_STORE_RECORD_H
#define RTCACHE_STORE_RECORD_H

#include "base/buf.h"
#include "store/marks.h"
#include "store/store.h"

#define RECORD_FREQUENCY_MAX 3
#define RECORD_SCORE_MAX     7

struct record {
    struct slice key;
    struct slice value; /* packed; of a negative entry empty */
    bool negative;
    bool has_version;
    bool made_stale; /* nothing but a put makes it fresh again; fresh_left_ms is -age_ms */
    bool unproven;   /* it was a candidate, and is no more than that again */
    int64_t version;
    int64_t age_ms;                /* since it was stored or touched, or made stale */
    int64_t fresh_left_ms;         /* <= 0 past it; STORE_FOREVER_MS */
    int64_t stale_ttl_ms, keep_ms; /* from the end of fresh; STORE_FOREVER_MS */
    enum entry_tagged tagged;
    struct slice tag_texts; /* TAGGED_TEXTS: a packed str, or an array of them */
    uint32_t load_us;
    uint16_t ahead; /* its ahead time, in 1/65536 of its ttl; 0: it has none, or it is over */
    uint16_t owner; /* its loader's slot in the server that wrote it; 0: none */
    /* What the policy knows of it. */
    uint8_t frequency, score;
    bool in_main;
    uint8_t reads; /* by clients, since it was stored or touched; 255: or more */
};

/* ERR_NOMEM, ERR_TOO_LARGE: of out, which then is as it was. */
int record_pack(struct buf *out, const struct record *r) MUST_USE;

/* The first record of rest, which then begins behind it. r borrows from the bytes. ERR_BAD_VALUE: e
 * says which field is wrong and how, and rest stays. Any bytes are taken or refused. */
int record_read(struct slice *rest, struct record *r, struct err *e) MUST_USE;

/* The slots of its tags; how many. Where the tags are not known it is the one of them all; without
 * marks (NULL) there are none. */
unsigned record_slots(const struct record *r, const struct marks *m,
                      uint32_t slots[MARKS_TAGS_MAX]);

#endif
