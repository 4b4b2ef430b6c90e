/*
 * dump_world: a store's records in one buf, and back into another store.
 */
#ifndef RTCACHE_TESTS_STORE_DUMP_WORLD_H
#define RTCACHE_TESTS_STORE_DUMP_WORLD_H

#include "store/record.h"
#include "store/store.h"

/* All of it in pieces of so many bytes; how many records. */
static inline size_t dump_all(struct store *s, int64_t now_ms, size_t most, struct buf *out)
{
    struct dump_cursor cursor = {0};
    size_t sum = 0;
    while (!cursor.done) {
        size_t count;
        assert_int_equal(store_dump(s, &cursor, now_ms, most, out, &count), 0);
        sum += count;
    }
    return sum;
}

static inline bool next_record(struct slice *rest, struct record *r)
{
    struct err e;
    if (rest->size == 0)
        return false;
    assert_int_equal(record_read(rest, r, &e), 0);
    return true;
}

/* How many are stored of it. */
static inline size_t restore_all(struct store *s, struct slice records, const struct restore *how,
                                 int64_t now_ms)
{
    struct record r;
    size_t sum = 0;
    while (next_record(&records, &r)) {
        bool stored;
        assert_int_equal(store_restore(s, &r, how, now_ms, &stored, NULL), 0);
        sum += stored;
    }
    return sum;
}

/* The key's record; false: there is none. */
static inline bool find_record(struct slice records, const char *key, struct record *r)
{
    while (next_record(&records, r))
        if (slice_eq_str(r->key, key))
            return true;
    return false;
}

#endif
