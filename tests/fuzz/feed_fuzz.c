/*
 * feed_fuzz: what a database's channel may carry: any text, of which what is refused changes
 * nothing, and what is taken changes no more than what it names. Run: ./dev fuzz feed
 */
#include "load/feed.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void never(struct message *m, void *owner)
{
    (void)m, (void)owner;
}

static struct changes changes;
static struct feed feed;
static _Atomic bool cut;

static void make_world(void)
{
    static const char *const patterns[] = {"user:*"};
    struct store_options so = {.memory_bytes = 1 << 20, .shards = 1, .seed = 1};
    expect(marks_new(&changes.marks, 16, 1, NULL) == 0);
    so.marks = changes.marks;
    expect(store_new(&changes.store, &so, NULL) == 0);
    struct flights_options fo = {
        .store = changes.store,
        .marks = changes.marks,
        .shards = 1,
        .slots = 1,
        .failed_max = 10,
        .floors_max = 100,
        .deliver = never,
    };
    expect(flights_new(&changes.flights, &fo, NULL) == 0);
    struct feed_rule rule = {
        .heartbeat_ms = 100,
        .grace_ms = 1000,
        .floor_ttl_ms = 60000,
        .max_key = 64,
        .patterns = patterns,
        .pattern_count = 1,
        .cut = &cut,
    };
    feed_init(&feed, &changes, &rule, 1, 0);
}

static bool is_stored(struct slice key)
{
    struct hit hit;
    enum lookup got =
        store_get(changes.store, key, store_hash(changes.store, key), 0, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return got == LOOKUP_FRESH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice key = slice_str("user:1");
    struct err e;
    if (!changes.store)
        make_world();
    struct put put = {
        .key = key, .hash = store_hash(changes.store, key), .value = slice_str("\xc0")};
    expect(store_put(changes.store, &put, 0, NULL) == 0);
    uint64_t events = feed.events, bad = feed.bad, gaps = feed.gaps;
    bool taken = feed_payload(&feed, slice_of(data, size), 0, &e);
    expect(feed.bad - bad == !taken);
    expect(feed.events - events <= taken);
    if (!taken)
        expect(e.code != 0 && e.text[0] != '\0' && feed.gaps == gaps);
    if (!taken || (!memmem(data, size, "user:1", 6) && !memchr(data, '*', size) &&
                   !memchr(data, '\\', size) && feed.gaps == gaps))
        expect(is_stored(key));
    store_sweep(changes.store, 0, 1000);
    return 0;
}
