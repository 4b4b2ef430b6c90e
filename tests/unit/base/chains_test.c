#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/chains.h"
#include "base/rng.h"

#define MANY 5000

static struct chain_link links[MANY];

/* How many links of that hash are found, each of them once. */
static size_t found(const struct chains *c, uint64_t hash)
{
    size_t n = 0;
    for (struct chain_link *l = chains_first(c, hash); l; l = chains_next(l))
        n++;
    return n;
}

static bool is_there(const struct chains *c, const struct chain_link *link)
{
    for (struct chain_link *l = chains_first(c, link->hash); l; l = chains_next(l))
        if (l == link)
            return true;
    return false;
}

static void every_link_is_found_while_it_grows_and_after(void **state)
{
    (void)state;
    struct chains c;
    struct rng rng = {.state = 5};
    assert_int_equal(chains_init(&c), 0);
    for (size_t i = 0; i < MANY; i++) {
        links[i].hash = rng_next(&rng);
        chains_add(&c, &links[i]);
        assert_true(is_there(&c, &links[i]));
        assert_true(is_there(&c, &links[i / 2]));
    }
    assert_int_equal(c.count, MANY);
    assert_true(c.buckets >= MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_true(is_there(&c, &links[i]));
    for (size_t i = 0; i < MANY; i += 2)
        chains_remove(&c, &links[i]);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(is_there(&c, &links[i]), i % 2);
    assert_int_equal(c.count, MANY / 2);
    chains_remove(&c, &links[0]); /* once more */
    assert_int_equal(c.count, MANY / 2);
    chains_fini(&c);
}

static void links_of_one_hash_are_all_found_and_no_others(void **state)
{
    (void)state;
    struct chains c;
    assert_int_equal(chains_init(&c), 0);
    for (size_t i = 0; i < 300; i++) {
        links[i].hash = i % 3; /* all in few buckets, whatever grows */
        chains_add(&c, &links[i]);
    }
    for (uint64_t hash = 0; hash < 3; hash++)
        assert_int_equal(found(&c, hash), 100);
    assert_int_equal(found(&c, 3), 0);
    chains_fini(&c);
}

/* Linear hashing: an addition splits one bucket at most. */
static void an_addition_splits_one_bucket_at_most(void **state)
{
    (void)state;
    struct chains c;
    struct rng rng = {.state = 6};
    assert_int_equal(chains_init(&c), 0);
    for (size_t i = 0; i < MANY; i++) {
        size_t before = c.buckets;
        links[i].hash = rng_next(&rng);
        chains_add(&c, &links[i]);
        assert_in_range(c.buckets - before, 0, 1);
    }
    chains_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_is_found_while_it_grows_and_after),
        cmocka_unit_test(links_of_one_hash_are_all_found_and_no_others),
        cmocka_unit_test(an_addition_splits_one_bucket_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
