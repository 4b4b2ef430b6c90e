/*
 * load_keep_fuzz: any bytes are what flights keep over a restart, or are refused with what is
 * wrong; what was taken comes out again and is taken once more. Run: ./dev fuzz load_keep
 */
#include "load/flight_keep.h"
#include "store/marks.h"

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

static struct store *store;

static struct flights *make_flights(unsigned shards)
{
    struct flights *fl;
    struct flights_options o = {
        .store = store,
        .shards = shards,
        .slots = 1,
        .failed_max = 10,
        .floors_max = 1000,
        .deliver = never,
    };
    expect(flights_new(&fl, &o, NULL) == 0);
    return fl;
}

static void keep_again(struct flights *fl)
{
    struct flights *other = make_flights(4);
    struct keep_cursor cursor = {0};
    struct buf out;
    struct err e;
    size_t sum = 0, count;
    buf_init(&out, 0);
    while (!cursor.done) {
        expect(flight_keep_out(fl, &cursor, 0, 10, &out, &count) == 0);
        sum += count;
    }
    expect(flight_keep_in(other, buf_slice(&out), 0, 0, &count, &e) == 0 && count == sum);
    buf_fini(&out);
    flights_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_options so = {.memory_bytes = 1 << 20, .shards = 1, .seed = 1};
    struct err e = {.code = 0};
    size_t count;
    if (!store)
        expect(store_new(&store, &so, NULL) == 0);
    struct flights *fl = make_flights(2);
    int rc = flight_keep_in(fl, slice_of(data, size), 1, 0, &count, &e);
    expect(rc == 0 || ((rc == ERR_BAD_VALUE || rc == ERR_OVERLOADED) && e.text[0] != '\0'));
    keep_again(fl);
    flights_free(fl);
    return 0;
}
