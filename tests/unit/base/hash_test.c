#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

/* The most that a field can have: what a shard's heap of 4 GiB holds of the smallest entries, seven
 * to a bucket, or 32 ghosts; and as many flights and floors. */
enum { BUCKET_MOST = 24, GHOSTS_MOST = 22, LIST_MOST = 24, THREADS_MOST = 64 };

static uint64_t mask(unsigned bits)
{
    return (UINT64_C(1) << bits) - 1;
}

static uint64_t shard(uint64_t h)
{
    return hash_shard(h, 63 - 12);
}

static uint64_t bucket(uint64_t h)
{
    return hash_bucket(h, mask(BUCKET_MOST));
}

static uint64_t tag(uint64_t h)
{
    return hash_tag(h, BUCKET_MOST);
}

static uint64_t ghosts(uint64_t h)
{
    return hash_ghosts(h, mask(GHOSTS_MOST));
}

static uint64_t print(uint64_t h)
{
    return hash_print(h);
}

static uint64_t flight_shard(uint64_t h)
{
    return hash_flight_shard(h, HASH_SHARD_MOST - 1);
}

static uint64_t flight_list(uint64_t h)
{
    return hash_flight_list(h, mask(LIST_MOST));
}

static uint64_t drop(uint64_t h)
{
    return hash_drop(h, 64);
}

static uint64_t floors(uint64_t h)
{
    return hash_floors(h, mask(LIST_MOST));
}

static uint64_t thread(uint64_t h)
{
    return hash_thread(h, THREADS_MOST - 1);
}

static uint64_t writes(uint64_t h)
{
    return hash_writes(h, 4096);
}

/* letter: of the picture in hash.h; row: its line there. */
static const struct field {
    char letter;
    unsigned row;
    uint64_t (*of)(uint64_t hash);
} fields[] = {
    {'S', 0, shard},  {'T', 0, tag},          {'B', 0, bucket},      {'P', 1, print},
    {'G', 1, ghosts}, {'F', 2, flight_shard}, {'L', 2, flight_list}, {'D', 3, drop},
    {'V', 4, floors}, {'N', 5, thread},       {'W', 5, writes},
};
enum { FIELDS = sizeof fields / sizeof fields[0], ROWS = 6 };

/* The bits of a hash that a field is made of. */
static uint64_t bits_of(const struct field *f)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 64; i++)
        for (int others = 0; others < 2; others++) {
            uint64_t rest = others ? UINT64_C(0x5bd1e9955bd1e995) & ~(UINT64_C(1) << i) : 0;
            if (f->of(rest) != f->of(rest | UINT64_C(1) << i))
                bits |= UINT64_C(1) << i;
        }
    return bits;
}

static uint64_t bits(char letter)
{
    for (unsigned i = 0; i < FIELDS; i++)
        if (fields[i].letter == letter)
            return bits_of(&fields[i]);
    fail_msg("no field %c", letter);
    return 0;
}

static void fields_stand_apart_that_must(void **state)
{
    (void)state;
    static const char *const apart[] = {"STB", "SPG", "FL", "FD", "FV", "NW"};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        uint64_t seen = 0;
        for (const char *at = apart[i]; *at; at++) {
            uint64_t own = bits(*at);
            if (seen & own)
                fail_msg("%c of %s has bits of another: %llx", *at, apart[i],
                         (unsigned long long)(seen & own));
            seen |= own;
        }
    }
}

/* However many shards there are, and however many buckets. */
static void a_tag_never_reaches_the_shard(void **state)
{
    (void)state;
    for (unsigned begin = 0; begin <= BUCKET_MOST; begin++)
        assert_int_equal(hash_tag(bits('S'), begin), 0);
    for (unsigned log = 0; log <= 12; log++)
        assert_int_equal(hash_shard(~bits('S'), 63 - log), 0);
}

/* Sixty-four of '.' and capitals, apart by spaces; true: line is such a row. */
static bool read_row(const char *line, char row[64])
{
    size_t n = 0;
    for (const char *at = strncmp(line, " * ", 3) == 0 ? line + 3 : ""; *at && n < 64; at++)
        if (*at == '.' || (*at >= 'A' && *at <= 'Z'))
            row[n++] = *at;
        else if (*at != ' ' || n % 8 != 0)
            return false;
    return n == 64;
}

static void the_picture_shows_the_bits(void **state)
{
    (void)state;
    char line[200], picture[ROWS][64];
    unsigned rows = 0;
    FILE *f = fopen("core/base/hash.h", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) && rows < ROWS)
        rows += read_row(line, picture[rows]);
    fclose(f);
    assert_int_equal(rows, ROWS);
    for (unsigned i = 0; i < FIELDS; i++) {
        uint64_t drawn = 0;
        for (unsigned bit = 0; bit < 64; bit++)
            if (picture[fields[i].row][63 - bit] == fields[i].letter)
                drawn |= UINT64_C(1) << bit;
        if (drawn != bits_of(&fields[i]))
            fail_msg("%c is drawn at %llx and is %llx", fields[i].letter, (unsigned long long)drawn,
                     (unsigned long long)bits_of(&fields[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_apart_that_must),
        cmocka_unit_test(a_tag_never_reaches_the_shard),
        cmocka_unit_test(the_picture_shows_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
