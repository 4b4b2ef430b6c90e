/*
 * keep_header: what a snapshot file says of itself, before its entries.
 *
 *   { rtcache, clean, wall_ms, boot_ms, boot_id, seed, lossy_ms,
 *     loaders: [[pattern, fingerprint, slot]], feeds: [[backend, source, position]],
 *     life, journal: [chain, file, batch] }
 *
 * Shape: one MessagePack map, with texts as keys. A reader skips what it does not know, and takes
 * what is missing for 0, "" or none, so that a file of another version is read as far as it goes.
 * Thread: any. Limits: KEEP_HEADER_MOST bytes, CONF_LOADERS_MAX loaders, CONF_BACKENDS_MAX feeds.
 */
#ifndef RTCACHE_LOAD_KEEP_HEADER_H
#define RTCACHE_LOAD_KEEP_HEADER_H

#include "base/buf.h"
#include "load/proof.h"
#include "state/journal.h"

#define KEEP_HEADER_MOST ((size_t)32 << 20)

/* The loader that entries name by its place in the list. */
struct keep_loader {
    struct slice pattern;
    uint64_t print; /* fingerprint_of */
    uint16_t slot;  /* by which its entries name it (snapshot_owner); 0: it shares that of none */
};

struct keep_feed {
    struct slice backend;
    uint64_t source;       /* fingerprint_of_source */
    struct slice position; /* as the feed told it; empty: it has none */
};

struct keep_header {
    struct slice version; /* of the rtcache that wrote it */
    bool clean;           /* written at a stop, when nothing went on beside it */
    struct proof_moment moment;
    struct slice boot_id;
    uint64_t life;    /* of the folder's servers, the one that wrote it: 1, 2, ... */
    uint64_t seed;    /* of the store's hash */
    int64_t lossy_ms; /* how long floors were still taken for dropped */
    struct keep_loader *loaders;
    size_t loader_count;
    struct keep_feed *feeds;
    size_t feed_count;
    bool has_journal;
    struct journal_position journal; /* from where on it is not in the entries */
};

int keep_header_pack(struct buf *out, const struct keep_header *h) MUST_USE;

/* Total over any bytes. The slices of *h are borrowed from packed; loaders and feeds are h's own.
 * ERR_BAD_REQUEST says what is wrong, and *h has nothing to free then. ERR_NOMEM. */
int keep_header_read(struct slice packed, struct keep_header *h, struct err *e) MUST_USE;
void keep_header_fini(struct keep_header *h);

#endif
