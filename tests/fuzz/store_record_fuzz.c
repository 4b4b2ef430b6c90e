/*
 * store_record_fuzz: any bytes are records, or are refused with what is wrong; what is read is
 * written as it was, and comes into a store and out of it again. Run: ./dev fuzz store_record
 */
#include "store/marks.h"
#include "store/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static struct store *store;
static struct marks *marks;

static void make_store(void)
{
    struct store_options o = {.memory_bytes = 1 << 20, .shards = 2, .seed = 1};
    expect(marks_new(&marks, 16, 1, NULL) == 0);
    o.marks = marks;
    expect(store_new(&store, &o, NULL) == 0);
}

static void write_again(const struct record *r)
{
    struct buf out;
    struct record again;
    struct err e;
    buf_init(&out, 0);
    expect(record_pack(&out, r) == 0);
    struct slice rest = buf_slice(&out);
    expect(record_read(&rest, &again, &e) == 0 && rest.size == 0);
    expect(slice_eq(r->key, again.key) && slice_eq(r->value, again.value));
    expect(slice_eq(r->tag_texts, again.tag_texts) && r->fresh_left_ms == again.fresh_left_ms);
    buf_fini(&out);
}

static void put_back(const struct record *r, enum restored as)
{
    bool stored;
    struct restore how = {.as = as, .passed_ms = r->reads};
    struct hit hit;
    uint64_t hash = store_hash(store, r->key);
    int rc = store_restore(store, r, &how, 0, &stored, NULL);
    expect(rc == 0 || rc == ERR_TOO_LARGE);
    expect(!(stored && rc != 0));
    enum lookup found =
        store_get(store, r->key, hash, 0, WANT_STALE | WANT_KEPT | WANT_CANDIDATE, NULL, &hit);
    entry_unref(hit.entry);
    expect(found == LOOKUP_MISS || stored);
    bool candidate = as == RESTORED_CANDIDATE || r->unproven;
    expect(!candidate || found == LOOKUP_MISS || found == LOOKUP_CANDIDATE);
    if (stored && rc == 0)
        (void)store_remove(store, r->key, hash, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct record r;
    struct err e;
    if (!store)
        make_store();
    while (rest.size > 0) {
        struct slice before = rest;
        if (record_read(&rest, &r, &e) != 0) {
            expect(e.code == ERR_BAD_VALUE && e.text[0] != '\0' && rest.data == before.data);
            break;
        }
        expect(rest.size < before.size);
        write_again(&r);
        for (int as = RESTORED_PROVEN; as <= RESTORED_CANDIDATE; as++)
            put_back(&r, (enum restored)as);
    }
    return 0;
}
