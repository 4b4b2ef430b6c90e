/* Floors, lifts and doubts over a restart: into other shards, late, in pieces, and wrong. */
#include "flight_world.h"

#include "load/flight_keep.h"
#include "store/floor.h"
#include "wire/mpw.h"

#define TTL 60000

/* Another server of the same store's seed, which begins at another time of its clock. */
static struct flights *flights_of(struct world *w, unsigned shards, size_t floors_max)
{
    struct flights *fl;
    struct flights_options o = {
        .store = w->store,
        .marks = w->marks,
        .shards = shards,
        .slots = 2,
        .failed_max = 100,
        .floors_max = floors_max,
        .lossy_until_ms = INT64_MIN,
        .deliver = never,
    };
    assert_int_equal(flights_new(&fl, &o, NULL), 0);
    return fl;
}

static void use(struct world *w, struct flights *fl)
{
    flights_free(w->flights);
    w->flights = fl;
}

static uint64_t hash_of(struct world *w, const char *key)
{
    return store_hash(w->store, slice_str(key));
}

static const char *key_of(unsigned i)
{
    static char key[32];
    snprintf(key, sizeof key, "key:%u", i);
    return key;
}

static void raise_floor(struct world *w, const char *key, int64_t version)
{
    (void)invalidate(w, key, &version);
}

static size_t keep_all(struct world *w, size_t most, struct buf *out)
{
    struct keep_cursor cursor = {0};
    size_t sum = 0;
    while (!cursor.done) {
        size_t count;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, most, out, &count), 0);
        sum += count;
    }
    return sum;
}

/* The flights of another server, which has heard of what the world's know. */
static void restart(struct world *w, unsigned shards, int64_t passed_ms)
{
    struct buf out;
    struct err e;
    size_t count;
    struct flights *next = flights_of(w, shards, 100000);
    buf_init(&out, 0);
    size_t sum = keep_all(w, 100, &out);
    w->now_ms = 5000; /* another clock */
    assert_int_equal(flight_keep_in(next, buf_slice(&out), passed_ms, w->now_ms, &count, &e), 0);
    assert_int_equal(count, sum);
    buf_fini(&out);
    use(w, next);
}

/* The lowest version that may be set; INT64_MIN: any. */
static int64_t floor_of(struct world *w, const char *key)
{
    struct err e = {.code = 0};
    struct put p = {.key = slice_str(key),
                    .hash = hash_of(w, key),
                    .value = slice_of(value_a, 2),
                    .has_version = true,
                    .version = INT64_MIN,
                    .ttl_ms = 1};
    long long floor = INT64_MIN;
    if (flights_set(w->flights, &p, w->now_ms, &e) == 0) {
        (void)store_remove(w->store, p.key, p.hash, w->now_ms);
        return INT64_MIN;
    }
    const char *than = strstr(e.text, "older than ");
    assert_non_null(than);
    assert_int_equal(sscanf(than, "older than %lld", &floor), 1);
    return floor;
}

static void floors_come_back_into_any_number_of_shards(void **state)
{
    struct world *w = *state;
    static const unsigned shards[] = {4, 16, 1, 8};
    use(w, flights_of(w, 2, 100000));
    for (unsigned i = 0; i < 5000; i++)
        raise_floor(w, key_of(i), i);
    for (size_t n = 0; n < 4; n++) {
        restart(w, shards[n], 0);
        struct flights_stats stats;
        flights_read_stats(w->flights, &stats);
        assert_int_equal(stats.floors, 5000);
        assert_int_equal(stats.floors_dropped, 0);
        assert_true(stats.lossy_until_ms <= w->now_ms);
        for (unsigned i = 0; i < 5000; i++)
            assert_int_equal(floor_of(w, key_of(i)), i);
        assert_true(floor_of(w, "none") == INT64_MIN);
    }
}

static void they_end_when_they_would_have_the_time_between_included(void **state)
{
    struct world *w = *state;
    raise_floor(w, "a", 7);
    w->now_ms += 10000;
    raise_floor(w, "b", 8);
    restart(w, 4, 20000);
    w->now_ms += TTL - 30000 - 1;
    assert_int_equal(floor_of(w, "a"), 7);
    w->now_ms++;
    assert_true(floor_of(w, "a") == INT64_MIN);
    assert_int_equal(floor_of(w, "b"), 8);
    restart(w, 1, 10000);
    assert_true(floor_of(w, "b") == INT64_MIN);
    struct flights_stats stats;
    flights_read_stats(w->flights, &stats);
    assert_int_equal(stats.floors, 0); /* not even taken */
}

static void what_is_known_already_stays_where_it_is_higher(void **state)
{
    struct world *w = *state;
    struct buf out;
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    raise_floor(w, "b", 7);
    keep_all(w, 100, &out);
    use(w, flights_of(w, 4, 100));
    raise_floor(w, "a", 9);
    raise_floor(w, "b", 5);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 0, w->now_ms, &count, NULL),
                         0);
    assert_int_equal(floor_of(w, "a"), 9);
    assert_int_equal(floor_of(w, "b"), 7);
    w->now_ms += TTL - 1;
    assert_int_equal(floor_of(w, "a"), 9);
    buf_fini(&out);
}

/* Whether an absence of the key is kept, as a load without a version brings it. */
static bool keeps_absence(struct world *w, const char *key)
{
    struct join_result r;
    struct outcome o = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    bool stored;
    assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    return stored;
}

static void a_row_that_is_gone_stays_gone(void **state)
{
    struct world *w = *state;
    const int64_t version = 7;
    bool dropped;
    struct invalidation i = {.key = slice_str("gone"),
                             .hash = hash_of(w, "gone"),
                             .now_ms = w->now_ms,
                             .version = &version,
                             .floor_ttl_ms = TTL,
                             .gone = true};
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
    raise_floor(w, "there", 7);
    restart(w, 2, 0);
    assert_true(keeps_absence(w, "gone"));
    assert_false(keeps_absence(w, "there"));
}

static bool keeps_load(struct world *w, const char *key, int64_t version)
{
    struct join_result r;
    struct outcome o = found_version(version);
    bool stored;
    assert_int_equal(join_as(w, key, NULL, &r), JOIN_STARTED);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    return stored;
}

static void doubt(struct world *w, const char *key, int64_t until_ms)
{
    struct invalidation i = {
        .key = slice_str(key), .hash = hash_of(w, key), .now_ms = w->now_ms, .floor_ttl_ms = TTL};
    assert_int_equal(flights_doubt(w->flights, &i, until_ms), 0);
}

static void a_write_in_doubt_stays_in_doubt(void **state)
{
    struct world *w = *state;
    doubt(w, "a", w->now_ms + 10000);
    raise_floor(w, "b", 7);
    doubt(w, "b", w->now_ms + 10000);
    restart(w, 2, 4000);
    assert_false(keeps_load(w, "a", 9));
    assert_false(keeps_load(w, "b", 9));
    assert_int_equal(floor_of(w, "b"), 7);
    w->now_ms += 6000 - 1;
    assert_false(keeps_load(w, "a", 9));
    w->now_ms++;
    assert_true(keeps_load(w, "a", 9));
    assert_true(keeps_load(w, "b", 9));
}

static void lift_match(struct world *w, const char *pattern, bool all)
{
    struct glob g;
    char room[GLOB_MAX];
    glob_compile(&g, slice_str(pattern), room);
    assert_int_equal(flights_lift_match(w->flights, &g, all, w->now_ms, NULL), 0);
    while (store_sweep(w->store, w->now_ms, 1000) > 0) {
    }
}

static void what_was_lifted_stays_lifted_and_what_was_raised_since_stands(void **state)
{
    struct world *w = *state;
    static const unsigned shards[] = {2, 8, 1};
    char key[32];
    use(w, flights_of(w, 4, 100000));
    for (unsigned i = 0; i < 50; i++) {
        raise_floor(w, key_of(i), 100);
        snprintf(key, sizeof key, "a*{:%u", i);
        raise_floor(w, key, 100);
    }
    lift_match(w, "key:{id:int}", false);
    (void)flights_lift(w->flights, slice_str("a*{:0"), hash_of(w, "a*{:0"), w->now_ms);
    for (unsigned i = 0; i < 25; i++)
        raise_floor(w, key_of(i), 5);
    lift_match(w, "a\\*\\{:1{x:int}", false); /* those from 10 to 19 */
    lift_match(w, "key:*5", false);
    for (size_t n = 0; n < 3; n++) {
        restart(w, shards[n], 1000);
        for (unsigned i = 0; i < 50; i++) {
            int64_t floor = i >= 25 || i % 10 == 5 ? INT64_MIN : 5;
            if (floor_of(w, key_of(i)) != floor)
                fail_msg("key:%u after %zu: %lld", i, n, (long long)floor_of(w, key_of(i)));
            snprintf(key, sizeof key, "a*{:%u", i);
            floor = i == 0 || (i >= 10 && i < 20) ? INT64_MIN : 100;
            if (floor_of(w, key) != floor)
                fail_msg("%s after %zu: %lld", key, n, (long long)floor_of(w, key));
        }
    }
    /* Lifts go on from there. */
    raise_floor(w, "key:30", 6);
    assert_int_equal(floor_of(w, "key:30"), 6);
    lift_match(w, "key:*", false);
    assert_true(floor_of(w, "key:30") == INT64_MIN);
    assert_true(floor_of(w, "key:1") == INT64_MIN);
    assert_int_equal(floor_of(w, "a*{:1"), 100);
}

/* A shard that had no floor then knows nothing of the lift; its later floors are not older. */
static void a_floor_of_a_shard_that_did_not_need_a_lift_is_not_lifted(void **state)
{
    struct world *w = *state;
    use(w, flights_of(w, 64, 100000));
    raise_floor(w, "a:1", 100);
    lift_match(w, "*", false);
    for (unsigned i = 0; i < 200; i++)
        raise_floor(w, key_of(i), 7);
    restart(w, 2, 0);
    assert_true(floor_of(w, "a:1") == INT64_MIN);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(floor_of(w, key_of(i)), 7);
}

static void a_lift_of_all_between_two_pieces_is_among_them(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf out;
    size_t count, pieces = 0;
    buf_init(&out, 0);
    use(w, flights_of(w, 1, 100000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), 100);
    for (; !cursor.done; pieces++) {
        if (pieces == 3) {
            lift_match(w, "*", true);
            raise_floor(w, "key:1", 5);
        }
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 100, &out, &count), 0);
    }
    assert_in_range(pieces, 9, 12);
    struct flights *next = flights_of(w, 2, 100000);
    assert_int_equal(flight_keep_in(next, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    use(w, next);
    for (unsigned i = 2; i < 1000; i++)
        assert_true(floor_of(w, key_of(i)) == INT64_MIN);
    raise_floor(w, "key:2", 4);
    assert_int_equal(floor_of(w, "key:2"), 4);
    buf_fini(&out);
}

static bool reads_primary(struct world *w, const char *key)
{
    struct join_result r;
    bool primary, stored;
    struct outcome o = found_version(1);
    struct join_request q = request_for(w, key, NULL);
    q.reload = true;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    begin(w, r.flight, 1, &primary);
    end_with(w, r.flight, &o, &stored);
    return primary;
}

static void floors_that_were_missing_are_missing_still(void **state)
{
    struct world *w = *state;
    use(w, flights_of(w, 4, 100));
    flights_lose_floors(w->flights, w->now_ms + 10000);
    restart(w, 2, 4000);
    assert_true(reads_primary(w, "a"));
    w->now_ms += 5999;
    assert_true(reads_primary(w, "b"));
    w->now_ms++;
    assert_false(reads_primary(w, "c"));
}

static void where_there_are_too_many_it_is_as_if_they_had_been_dropped(void **state)
{
    struct world *w = *state;
    struct buf out;
    size_t count;
    buf_init(&out, 0);
    use(w, flights_of(w, 4, 10000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), 100);
    keep_all(w, 100, &out);
    use(w, flights_of(w, 1, 10));
    assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 1000, w->now_ms, &count, NULL), 0);
    assert_true(reads_primary(w, "a"));
    w->now_ms += TTL - 1000 - 1;
    assert_true(reads_primary(w, "b"));
    w->now_ms++;
    assert_false(reads_primary(w, "c"));
    buf_fini(&out);
}

static void a_piece_is_bounded_and_none_is_left_out_while_others_come(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf out;
    size_t count, pieces = 0;
    unsigned next = 1000;
    buf_init(&out, 0);
    use(w, flights_of(w, 2, 100000));
    for (unsigned i = 0; i < 1000; i++)
        raise_floor(w, key_of(i), i);
    for (; !cursor.done; pieces++) {
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 50, &out, &count), 0);
        assert_in_range(count, 0, 50 + 60); /* and the rest of a list or two */
        for (int i = 0; i < 60; i++)
            raise_floor(w, key_of(next++), 5);
    }
    assert_true(pieces > 20);
    struct flights *after = flights_of(w, 4, 100000);
    assert_int_equal(flight_keep_in(after, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    use(w, after);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(floor_of(w, key_of(i)), i);
    buf_fini(&out);
}

static void where_there_is_no_room_it_can_be_asked_again(void **state)
{
    struct world *w = *state;
    struct keep_cursor cursor = {0};
    struct buf small, out;
    struct flights_stats stats;
    size_t count, failed = 0;
    for (unsigned i = 0; i < 60; i++)
        raise_floor(w, key_of(i), i);
    buf_init(&small, 65); /* a floor's, as it is made sure of, but not a whole list's */
    buf_init(&out, 0);
    assert_int_equal(buf_append(&small, "x", 1), 0);
    while (!cursor.done) {
        struct keep_cursor was = cursor;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 2, &small, &count),
                         ERR_TOO_LARGE);
        int rc = flight_keep_out(w->flights, &cursor, w->now_ms, 1, &small, &count);
        if (rc != 0) {
            failed++;
            assert_int_equal(rc, ERR_TOO_LARGE);
            assert_memory_equal(&cursor, &was, sizeof was);
            assert_int_equal(small.size, 1);
            assert_int_equal(count, 0);
        }
        small.size = 1;
        cursor = was;
        assert_int_equal(flight_keep_out(w->flights, &cursor, w->now_ms, 1, &out, &count), 0);
    }
    assert_in_range(failed, 1, 59);
    struct flights *next = flights_of(w, 1, 100);
    assert_int_equal(flight_keep_in(next, buf_slice(&out), 0, w->now_ms, &count, NULL), 0);
    flights_read_stats(next, &stats);
    assert_int_equal(stats.floors, 60);
    flights_free(next);
    buf_fini(&small);
    buf_fini(&out);
}

static void any_bytes_are_taken_or_refused(void **state)
{
    struct world *w = *state;
    struct buf out;
    struct err e;
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    lift_match(w, "b:*", false);
    keep_all(w, 100, &out);
    for (size_t size = 0; size < out.size; size++) {
        struct flights *fl = flights_of(w, 2, 100);
        int rc = flight_keep_in(fl, slice_of(out.data, size), 0, w->now_ms, &count, &e);
        assert_true(rc == 0 || rc == ERR_BAD_VALUE);
        if (rc != 0)
            assert_non_null(strstr(e.text, "is cut off"));
        flights_free(fl);
    }
    static const struct {
        const char *bytes;
        size_t size;
        const char *says; /* NULL: it is taken */
    } cases[] = {
        {"\x01", 1, "record 1 of the floors: its begin is no array"},
        {"\x90", 1, "record 1 of the floors: its begin is no array"},
        {"\x91\xff", 2, "record 1 of the floors: its kind is no integer, or out of its bounds"},
        {"\x91\x09\x91\xc0", 4,
         "record 2 of the floors: its kind is no integer, or out of its "
         "bounds"},
        {"\x93\x09\x81\x01\x02\xc0", 6, NULL}, /* a kind of later */
        {"\x98\x00\x01\x07\xc2\x64\x00\x00\xa1x", 10, NULL},
        {"\x96\x00\x01\x07\xc2\x64\x00", 7,
         "record 1 of the floors: its number of fields is too low"},
        {"\x97\x00\xff\x07\xc2\x64\x00\x00", 8,
         "record 1 of the floors: its hash is no number of 64 bits"},
        {"\x97\x00\x01\xc2\xc2\x64\x00\x00", 8,
         "record 1 of the floors: its version is neither an integer of 64 bits nor nil"},
        {"\x97\x00\x01\x07\x00\x64\x00\x00", 8,
         "record 1 of the floors: its gone is neither true nor false"},
        {"\x97\x00\x01\x07\xc2\xff\x00\x00", 8,
         "record 1 of the floors: its time left is no integer, or out of its bounds"},
        {"\x97\x00\x01\x07\xc2\x64\xff\x00", 8,
         "record 1 of the floors: its doubt is no integer, or out of its bounds"},
        {"\x97\x00\x01\x07\xc2\x64\x00\xff", 8,
         "record 1 of the floors: its lift is no integer, or out of its bounds"},
        {"\x94\x01\x05\xa2{x\x64", 7, "record 1 of the floors: its pattern is none"},
        {"\x94\x01\x05\x01\x64", 5, "record 1 of the floors: its pattern is none"},
        {"\x95\x01\x05\xa1x\x64\xc1", 7,
         "record 1 of the floors: its end is cut off, or no MessagePack"},
        {"\x97\x00\x01\x07\xc2\xc1", 6, "record 1 of the floors: its time left is no MessagePack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = flight_keep_in(w->flights, slice_of(cases[i].bytes, cases[i].size), 0, w->now_ms,
                                &count, &e);
        assert_int_equal(rc, cases[i].says ? ERR_BAD_VALUE : 0);
        if (cases[i].says)
            assert_string_equal(e.text, cases[i].says);
        else
            assert_int_equal(count, 1);
    }
    buf_fini(&out);
}

static void more_lifts_than_can_be_known_are_told(void **state)
{
    struct world *w = *state;
    struct buf out;
    struct err e;
    char pattern[24];
    size_t count;
    buf_init(&out, 0);
    raise_floor(w, "a", 7);
    for (int i = 0; i <= FLOOR_LIFTS; i++) {
        int size = snprintf(pattern, sizeof pattern, "b:%d", i);
        assert_int_equal(mpw_array(&out, 4), 0);
        assert_int_equal(mpw_int(&out, 1), 0);
        assert_int_equal(mpw_int(&out, i + 1), 0);
        assert_int_equal(mpw_bin(&out, slice_of(pattern, (size_t)size)), 0);
        assert_int_equal(mpw_int(&out, 1000), 0);
    }
    assert_int_equal(flight_keep_in(w->flights, buf_slice(&out), 0, w->now_ms, &count, &e),
                     ERR_OVERLOADED);
    assert_string_equal(e.text, "more than 64 patterns were lifted");
    assert_int_equal(count, FLOOR_LIFTS + 1);
    assert_int_equal(floor_of(w, "a"), 7);
    buf_fini(&out);
}

struct keeping {
    const char *name;
    int64_t floor, version; /* -1: none */
    bool gone, doubt, negative, stored;
};

static const struct keeping keepings[] = {
    {"nothing is known", -1, 7, false, false, false, true},
    {"a floor below", 6, 7, false, false, false, true},
    {"its own floor", 7, 7, false, false, false, true},
    {"a floor above", 8, 7, false, false, false, false},
    {"without a version", 1, -1, false, false, false, false},
    {"without a version or a floor", -1, -1, false, false, false, true},
    {"in doubt", -1, 7, false, true, false, false},
    {"above a floor and in doubt", 6, 7, false, true, false, false},
    {"an absence below a floor", 6, -1, false, false, true, false},
    {"an absence of what is gone", 6, -1, true, false, true, true},
    {"an absence of a version", 6, 7, false, false, true, true},
    {"an absence of an older version", 8, 7, false, false, true, false},
};

static void an_entry_that_a_floor_says_is_old_is_left_out(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < sizeof keepings / sizeof *keepings; i++) {
        const struct keeping *k = &keepings[i];
        struct restore how = {.as = RESTORED_PROVEN};
        struct err e;
        bool dropped, stored = !k->stored;
        struct record r = {
            .key = slice_str(key_of((unsigned)i)),
            .value = slice_of(value_a, k->negative ? 0 : 2),
            .negative = k->negative,
            .has_version = k->version >= 0,
            .version = k->version,
            .fresh_left_ms = 1000,
        };
        struct invalidation inv = {.key = r.key,
                                   .hash = store_hash(w->store, r.key),
                                   .now_ms = w->now_ms,
                                   .version = &k->floor,
                                   .floor_ttl_ms = TTL,
                                   .gone = k->gone};
        if (k->floor >= 0)
            assert_int_equal(flights_invalidate(w->flights, &inv, &dropped), 0);
        if (k->doubt)
            doubt(w, key_of((unsigned)i), w->now_ms + 1000);
        assert_int_equal(flight_keep_entry(w->flights, &r, &how, w->now_ms, &stored, &e), 0);
        enum lookup there = k->negative ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
        if (stored != k->stored || lookup(w, key_of((unsigned)i)) != (stored ? there : LOOKUP_MISS))
            fail_msg("%s: stored %d", k->name, stored);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(floors_come_back_into_any_number_of_shards),
        CASE(they_end_when_they_would_have_the_time_between_included),
        CASE(what_is_known_already_stays_where_it_is_higher),
        CASE(a_row_that_is_gone_stays_gone),
        CASE(a_write_in_doubt_stays_in_doubt),
        CASE(what_was_lifted_stays_lifted_and_what_was_raised_since_stands),
        CASE(a_floor_of_a_shard_that_did_not_need_a_lift_is_not_lifted),
        CASE(a_lift_of_all_between_two_pieces_is_among_them),
        CASE(floors_that_were_missing_are_missing_still),
        CASE(where_there_are_too_many_it_is_as_if_they_had_been_dropped),
        CASE(a_piece_is_bounded_and_none_is_left_out_while_others_come),
        CASE(where_there_is_no_room_it_can_be_asked_again),
        CASE(any_bytes_are_taken_or_refused),
        CASE(more_lifts_than_can_be_known_are_told),
        CASE(an_entry_that_a_floor_says_is_old_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
