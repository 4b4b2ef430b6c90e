/*
 * set: a value that a client brings for a key, and new times for one that is there.
 *
 *   set_begin --> times and tags of its client, over those of its loader's policy --> set_check
 *       set_check --at once--> set_store
 *                 `-- its room is made in slices --> set_store_later, by the configuration of then
 *
 * What is refused: a key that a typed star does not fit. What nobody says tags of is found by every
 * tag, where loads of its loader give some. Shape: of no wire; texts are borrowed until it is
 * stored. Thread: any, each with a setter of its own. Errors: the change's (load/change.h).
 */
#ifndef RTCACHE_SERVE_SET_H
#define RTCACHE_SERVE_SET_H

#include "load/change.h"
#include "load/snapshot.h"

/* Where a set takes place, and when. */
struct setter {
    const struct changes *changes;
    struct snapshot *snapshot;
    struct rng *rng;
    int64_t now_ms;
};

struct set {
    struct put put; /* its value, version and times may be changed until it is stored */
    int loader;     /* of its key; route.h */
    const struct policy *policy;
    bool has_tags; /* its client has said which, if any */
    uint32_t slots[MARKS_TAGS_MAX];
};

/* The times are those of the key's policy. s stays in place until it is stored, or copied. */
void set_begin(struct set *s, const struct setter *by, struct slice key, uint64_t hash);
/* s->has_tags, and these are they, as a client packed them; set_tag then takes each of them, of
 * which there are MARKS_TAGS_MAX at most. */
void set_tags(struct set *s, struct slice packed);
void set_tag(struct set *s, const struct setter *by, struct slice tag);
/* After the tags. ERR_BAD_KEY. */
int set_check(struct set *s, const struct setter *by, struct err *e) MUST_USE;
int set_store(struct set *s, const struct setter *by, struct err *e) MUST_USE;
/* It has waited since set_check, and s was copied: by may have another configuration. */
int set_store_later(struct set *s, const struct setter *by, struct err *e) MUST_USE;
/* New times for what is stored. Whether there is any. */
bool set_touch(struct set *s, const struct setter *by);

#endif
