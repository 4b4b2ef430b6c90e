/* Histories made by hand: for each rule one that breaks it and the same without the fault. */
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

enum { P, R, U }; /* primary and feed; replica and feed; neither */

#define KEY              key_of(P, 7)
#define CONTENT(version) (1000 + (uint64_t)(version))
#define MS               1000000

static struct record history[64];
static size_t count;
static uint64_t clock_ns;
static struct verdict verdict;

static struct record *add(enum op op, uint32_t key)
{
    clock_ns += 10 * (uint64_t)MS;
    struct record *r = &history[count++];
    *r = (struct record){.op = (uint8_t)op,
                         .key = key,
                         .begin_ns = clock_ns,
                         .end_ns = clock_ns + MS,
                         .ttl_ms = INT32_MAX};
    return r;
}

static void class_is(uint32_t class, int64_t flags)
{
    struct record *r = add(OP_CLASS, class);
    r->wanted = flags;
    r->ttl_ms = 1000;
}

static int begin(void **state)
{
    (void)state;
    count = 0;
    clock_ns = 1000 * (uint64_t)MS;
    class_is(P, CLASS_VERSIONED | CLASS_FED);
    class_is(R, CLASS_VERSIONED | CLASS_FED | CLASS_REPLICA);
    class_is(U, 0);
    return 0;
}

static void row(uint32_t key, int64_t version, bool deleted)
{
    struct record *r = add(OP_ROW, key);
    r->version = version;
    r->content = CONTENT(version);
    r->tag = (uint16_t)(version % 10);
    r->result = deleted ? RESULT_ABSENT : RESULT_VALUE;
}

static struct record *writes(uint32_t key, int64_t version)
{
    struct record *r = add(OP_WRITE, key);
    r->version = version;
    r->content = CONTENT(version);
    return r;
}

static void told(uint32_t key, int64_t version)
{
    add(OP_NOTICE, key)->version = version;
}

/* Rows 1 and 2 of a key, and the feed has told of both. */
static void two_versions(uint32_t key)
{
    row(key, 1, false);
    row(key, 2, false);
    writes(key, 1);
    writes(key, 2);
}

static struct record *reads(enum op op, uint32_t key, int64_t version)
{
    struct record *r = add(op, key);
    r->result = version ? RESULT_VALUE : RESULT_ABSENT;
    r->version = version;
    r->content = version ? CONTENT(version) : 0;
    return r;
}

static struct record *entry(uint32_t key, int64_t version, enum status status)
{
    struct record *r = reads(OP_ENTRY, key, version);
    r->status = (uint8_t)status;
    r->told = version;
    return r;
}

/* Nothing but this rule, so many times. */
static void expect(enum rule rule, uint64_t times)
{
    rules_check(history, count, NULL, &verdict);
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (verdict.violated[i] != (i == (unsigned)rule ? times : 0))
            fail_msg("%s was violated %d times", rule_name(i), (int)verdict.violated[i]);
}

/* All that is said is told by the feed in the end, so that G5 is silent. */
static void feed_tells(uint32_t key)
{
    told(key, 1);
    told(key, 2);
}

static void g1_a_version_that_was_invalidated(void **state)
{
    (void)state;
    two_versions(KEY);
    add(OP_INVALIDATE, KEY)->wanted = 2;
    reads(OP_GET, KEY, 1);
    reads(OP_GET, KEY, 2);
    feed_tells(KEY);
    expect(RULE_G1, 1);
}

static void g1_also_binds_stale_values(void **state)
{
    (void)state;
    two_versions(KEY);
    add(OP_INVALIDATE, KEY)->wanted = 2;
    entry(KEY, 1, STATUS_STALE);
    feed_tells(KEY);
    expect(RULE_G1, 1);
}

static void g1_an_absence_is_older_than_the_row(void **state)
{
    (void)state;
    two_versions(KEY);
    add(OP_INVALIDATE, KEY)->wanted = 2;
    reads(OP_GET, KEY, 0);
    feed_tells(KEY);
    expect(RULE_G1, 1);
}

static void g1_an_absence_after_a_deletion_is_none(void **state)
{
    (void)state;
    row(KEY, 1, false);
    row(KEY, 2, true);
    writes(KEY, 1);
    writes(KEY, 2);
    add(OP_INVALIDATE, KEY)->wanted = 2;
    reads(OP_GET, KEY, 0);
    feed_tells(KEY);
    expect(RULE_G1, 0);
}

static void g1_a_get_that_began_before_the_answer_is_free(void **state)
{
    (void)state;
    two_versions(KEY);
    struct record *i = add(OP_INVALIDATE, KEY);
    i->wanted = 2;
    struct record *r = reads(OP_GET, KEY, 1);
    r->begin_ns = i->begin_ns;
    feed_tells(KEY);
    expect(RULE_G1, 0);
}

static void g1_plain_asks_for_what_was_committed_before(void **state)
{
    (void)state;
    two_versions(key_of(U, 1));
    add(OP_INVALIDATE, key_of(U, 1));
    reads(OP_GET, key_of(U, 1), 1);
    expect(RULE_G1, 1);
}

static void g1_plain_does_not_ask_for_what_was_committed_after(void **state)
{
    (void)state;
    row(key_of(U, 1), 1, false);
    row(key_of(U, 1), 2, false);
    writes(key_of(U, 1), 1);
    struct record *i = add(OP_INVALIDATE, key_of(U, 1));
    writes(key_of(U, 1), 2)->begin_ns = i->begin_ns;
    reads(OP_GET, key_of(U, 1), 1);
    expect(RULE_G1, 0);
}

static void g1_plain_is_not_promised_on_a_replica(void **state)
{
    (void)state;
    two_versions(key_of(R, 1));
    add(OP_INVALIDATE, key_of(R, 1));
    reads(OP_GET, key_of(R, 1), 1);
    feed_tells(key_of(R, 1));
    expect(RULE_G1, 0);
}

static void g1_a_set_is_no_load(void **state)
{
    (void)state;
    two_versions(KEY);
    add(OP_INVALIDATE, KEY);
    struct record *r = add(OP_SET, KEY);
    r->version = 1;
    reads(OP_GET, KEY, 1);
    feed_tells(KEY);
    expect(RULE_G1, 0);
}

static void g1_tags_are_those_of_the_value(void **state)
{
    (void)state;
    two_versions(key_of(U, 1));
    add(OP_INVALIDATE_TAG, 0)->tag = 2;
    reads(OP_GET, key_of(U, 1), 1);
    add(OP_INVALIDATE_TAG, 0)->tag = 1;
    reads(OP_GET, key_of(U, 1), 1);
    expect(RULE_G1, 1);
}

static void g1_patterns_bind_the_keys_that_match(void **state)
{
    (void)state;
    two_versions(key_of(U, 17));
    add(OP_INVALIDATE_MATCH, key_of(U, 0))->tag = 6;
    reads(OP_GET, key_of(U, 17), 1);
    add(OP_INVALIDATE_MATCH, key_of(U, 0))->tag = 7;
    reads(OP_GET, key_of(U, 17), 1);
    expect(RULE_G1, 1);
    add(OP_INVALIDATE_MATCH, key_of(U, 0))->tag = HISTORY_DIGITS;
    reads(OP_GET, key_of(U, 17), 1);
    expect(RULE_G1, 3);
}

static void g2_a_version_below_min_version(void **state)
{
    (void)state;
    two_versions(KEY);
    reads(OP_GET, KEY, 1)->wanted = 2;
    reads(OP_GET, KEY, 2)->wanted = 2;
    feed_tells(KEY);
    expect(RULE_G2, 1);
}

static void g2_an_absence_where_the_row_was_committed(void **state)
{
    (void)state;
    two_versions(KEY);
    reads(OP_GET, KEY, 0)->wanted = 2;
    reads(OP_GET, KEY, 0)->wanted = 3; /* not written yet: nobody knows */
    feed_tells(KEY);
    expect(RULE_G2, 1);
}

static void g4_bytes_of_another_version(void **state)
{
    (void)state;
    two_versions(KEY);
    reads(OP_GET, KEY, 1)->content = CONTENT(2);
    feed_tells(KEY);
    expect(RULE_G4, 1);
}

static void g4_broken_bytes(void **state)
{
    (void)state;
    two_versions(KEY);
    reads(OP_GET, KEY, 2)->content = CONTENT_BROKEN;
    feed_tells(KEY);
    expect(RULE_G4, 1);
}

static void g4_a_version_that_never_was(void **state)
{
    (void)state;
    two_versions(KEY);
    reads(OP_GET, KEY, 3);
    feed_tells(KEY);
    expect(RULE_G4, 1);
}

static void g4_a_version_before_its_time(void **state)
{
    (void)state;
    row(KEY, 1, false);
    reads(OP_GET, KEY, 1);
    writes(KEY, 1);
    told(KEY, 1);
    expect(RULE_G4, 1);
}

static void g4_the_server_names_another_version(void **state)
{
    (void)state;
    two_versions(KEY);
    entry(KEY, 1, STATUS_HIT)->told = 2;
    feed_tells(KEY);
    expect(RULE_G4, 1);
}

static void g5_what_the_feed_told_of(void **state)
{
    (void)state;
    two_versions(KEY);
    told(KEY, 1);
    reads(OP_GET, KEY, 1);
    told(KEY, 2);
    reads(OP_GET, KEY, 1);
    reads(OP_GET, KEY, 2);
    expect(RULE_G5, 1);
}

static void g5_after_a_gap_what_was_before_is_not_fresh(void **state)
{
    (void)state;
    two_versions(KEY);
    told(KEY, 1);
    entry(KEY, 1, STATUS_HIT);
    add(OP_GAP, key_of(P, 0));
    entry(KEY, 1, STATUS_STALE);
    entry(KEY, 2, STATUS_HIT);
    expect(RULE_G5, 0);
    entry(KEY, 1, STATUS_HIT);
    expect(RULE_G5, 1);
}

static void g5_a_change_that_is_never_told_of(void **state)
{
    (void)state;
    two_versions(KEY);
    told(KEY, 1);
    expect(RULE_G5, 1);
    add(OP_LOST, 0);
    expect(RULE_G5, 0);
}

static void g5_a_change_that_is_passed_over(void **state)
{
    (void)state;
    two_versions(KEY);
    row(key_of(P, 8), 1, false);
    writes(key_of(P, 8), 1);
    told(KEY, 1);
    told(key_of(P, 8), 1);
    add(OP_GAP, key_of(P, 0));
    expect(RULE_G5, 0);
    clock_ns += 1000 * (uint64_t)MS;
    history[count - 1].begin_ns = history[count - 1].end_ns = clock_ns;
    expect(RULE_G5, 1);
}

static void g5_nothing_is_fresh_while_the_feed_is_cut(void **state)
{
    (void)state;
    two_versions(KEY);
    feed_tells(KEY);
    struct record *r = entry(KEY, 2, STATUS_HIT);
    entry(KEY, 2, STATUS_STALE);
    expect(RULE_G5, 0);
    add(OP_CUT, 0)->begin_ns = r->begin_ns - MS;
    expect(RULE_G5, 1);
}

static void g6_past_its_ttl_and_unmarked(void **state)
{
    (void)state;
    two_versions(KEY);
    feed_tells(KEY);
    entry(KEY, 2, STATUS_HIT)->age_ms = 999;
    entry(KEY, 2, STATUS_STALE)->age_ms = 1500;
    entry(KEY, 2, STATUS_STALE)->ttl_ms = -500;
    expect(RULE_G6, 0);
    entry(KEY, 2, STATUS_HIT)->age_ms = 1500;
    expect(RULE_G6, 1);
    entry(KEY, 2, STATUS_HIT)->ttl_ms = -1;
    expect(RULE_G6, 2);
}

static void g6_an_age_that_is_not_true(void **state)
{
    (void)state;
    two_versions(key_of(U, 1));
    struct record *r = entry(key_of(U, 1), 1, STATUS_HIT);
    r->age_ms = 20; /* when it was loaded, version 2 was not there yet */
    r->load_us = 1;
    expect(RULE_G6, 0);
    r->age_ms = 1;
    expect(RULE_G6, 1);
}

static void write_what_was_put_is_seen(void **state)
{
    (void)state;
    row(KEY, 1, false);
    row(KEY, 2, false);
    writes(KEY, 1);
    struct record *r = add(OP_PUT, KEY);
    r->version = 2;
    r->content = CONTENT(2);
    reads(OP_GET, KEY, 1);
    feed_tells(KEY);
    expect(RULE_WRITE, 1);
}

static void write_without_a_version_is_found_by_its_content(void **state)
{
    (void)state;
    row(key_of(U, 1), 1, false);
    row(key_of(U, 1), 2, false);
    writes(key_of(U, 1), 1);
    add(OP_PUT, key_of(U, 1))->content = CONTENT(2);
    reads(OP_GET, key_of(U, 1), 1);
    expect(RULE_WRITE, 1);
}

static void write_of_unknown_outcome_drops_what_was_before(void **state)
{
    (void)state;
    two_versions(key_of(U, 1));
    struct record *r = add(OP_PUT, key_of(U, 1));
    r->result = RESULT_ERROR;
    r->code = CODE_WRITE_UNKNOWN;
    reads(OP_GET, key_of(U, 1), 1);
    expect(RULE_WRITE, 1);
}

static void final_is_what_the_database_holds(void **state)
{
    (void)state;
    two_versions(key_of(U, 1));
    entry(key_of(U, 1), 2, STATUS_MISS)->op = OP_FINAL;
    expect(RULE_FINAL, 0);
    entry(key_of(U, 1), 1, STATUS_MISS)->op = OP_FINAL;
    expect(RULE_FINAL, 1);
    entry(key_of(U, 1), 0, STATUS_NEGATIVE)->op = OP_FINAL;
    expect(RULE_FINAL, 2);
}

static void answer_of_an_unexpected_kind(void **state)
{
    (void)state;
    struct record *r = add(OP_GET, KEY);
    r->result = RESULT_ERROR;
    r->code = CODE_TIMEOUT;
    expect(RULE_ANSWER, 0);
    r->code = CODE_OTHER;
    expect(RULE_ANSWER, 1);
    r = add(OP_GET, KEY);
    r->result = RESULT_NONE;
    expect(RULE_ANSWER, 2);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(g1_a_version_that_was_invalidated),
        TEST(g1_also_binds_stale_values),
        TEST(g1_an_absence_is_older_than_the_row),
        TEST(g1_an_absence_after_a_deletion_is_none),
        TEST(g1_a_get_that_began_before_the_answer_is_free),
        TEST(g1_plain_asks_for_what_was_committed_before),
        TEST(g1_plain_does_not_ask_for_what_was_committed_after),
        TEST(g1_plain_is_not_promised_on_a_replica),
        TEST(g1_a_set_is_no_load),
        TEST(g1_tags_are_those_of_the_value),
        TEST(g1_patterns_bind_the_keys_that_match),
        TEST(g2_a_version_below_min_version),
        TEST(g2_an_absence_where_the_row_was_committed),
        TEST(g4_bytes_of_another_version),
        TEST(g4_broken_bytes),
        TEST(g4_a_version_that_never_was),
        TEST(g4_a_version_before_its_time),
        TEST(g4_the_server_names_another_version),
        TEST(g5_what_the_feed_told_of),
        TEST(g5_after_a_gap_what_was_before_is_not_fresh),
        TEST(g5_a_change_that_is_never_told_of),
        TEST(g5_a_change_that_is_passed_over),
        TEST(g5_nothing_is_fresh_while_the_feed_is_cut),
        TEST(g6_past_its_ttl_and_unmarked),
        TEST(g6_an_age_that_is_not_true),
        TEST(write_what_was_put_is_seen),
        TEST(write_without_a_version_is_found_by_its_content),
        TEST(write_of_unknown_outcome_drops_what_was_before),
        TEST(final_is_what_the_database_holds),
        TEST(answer_of_an_unexpected_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
