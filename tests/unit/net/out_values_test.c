/* Own bytes and values between them, against the bytes that all of them are one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "net/out_values.h"
#include "store/entry.h"

#include <stdlib.h>

#define MOST_VALUES 40
#define VALUE_MOST  9000
#define PIECES_MOST 8

struct world {
    struct out_values values;
    struct buf own, sent, wanted;
    struct rng rng;
    size_t from; /* own bytes that are sent, and not taken out yet */
};

static void write_own(struct world *w, size_t n)
{
    for (; n > 0; n--) {
        char c = (char)rng_next(&w->rng);
        assert_int_equal(buf_append(&w->own, &c, 1), 0);
        assert_int_equal(buf_append(&w->wanted, &c, 1), 0);
    }
}

static struct entry *new_value(struct world *w)
{
    static char bytes[VALUE_MOST];
    size_t n = 1 + rng_below(&w->rng, VALUE_MOST);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)rng_next(&w->rng);
    assert_int_equal(buf_append(&w->wanted, bytes, n), 0);
    struct entry *e = entry_new_value(slice_of(bytes, n));
    assert_non_null(e);
    return e;
}

/* Bytes that are sent may stay where they are for a while. */
static void take_out(struct world *w)
{
    buf_consume(&w->own, w->from);
    out_values_own_consumed(&w->values, w->from);
    w->from = 0;
}

/* As much of what there is to send as the socket takes, which is any number of bytes. */
static void send_some(struct world *w)
{
    struct iovec pieces[PIECES_MOST];
    int count = out_values_pieces(&w->values, buf_slice(&w->own), w->from, pieces, PIECES_MOST);
    assert_true(count > 0 && count <= PIECES_MOST);
    size_t all = 0, n = 0;
    for (int i = 0; i < count; i++)
        all += pieces[i].iov_len;
    assert_true(all > 0);
    size_t taken = rng_below(&w->rng, 3) ? 1 + rng_below(&w->rng, all) : all;
    for (int i = 0; i < count && n < taken; i++) {
        size_t part = taken - n < pieces[i].iov_len ? taken - n : pieces[i].iov_len;
        assert_int_equal(buf_append(&w->sent, pieces[i].iov_base, part), 0);
        n += part;
    }
    size_t before = w->own.size - w->from + w->values.bytes;
    w->from += out_values_sent(&w->values, w->from, w->own.size, taken);
    assert_int_equal(w->own.size - w->from + w->values.bytes, before - taken);
    if (rng_below(&w->rng, 2))
        take_out(w);
}

static void check(struct world *w)
{
    take_out(w);
    assert_int_equal(buf_append(&w->sent, w->own.data, w->own.size), 0);
    assert_int_equal(w->sent.size, w->wanted.size);
    assert_memory_equal(w->sent.data, w->wanted.data, w->wanted.size);
}

static void world_end(struct world *w)
{
    out_values_clear(&w->values);
    assert_null(w->values.all); /* an idle connection holds nothing */
    buf_fini(&w->own);
    buf_fini(&w->sent);
    buf_fini(&w->wanted);
}

static void what_is_sent_is_what_was_said_however_it_is_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct world w = {.rng = {.state = seed}};
        for (uint64_t n = 1 + rng_below(&w.rng, MOST_VALUES); n > 0; n--) {
            write_own(&w, rng_below(&w.rng, 4) ? rng_below(&w.rng, 50) : 0);
            assert_int_equal(out_values_add(&w.values, w.own.size, new_value(&w)), 0);
            if (rng_below(&w.rng, 4) == 0)
                write_own(&w, rng_below(&w.rng, 50));
            if (rng_below(&w.rng, 4) == 0)
                send_some(&w);
        }
        write_own(&w, rng_below(&w.rng, 2) ? rng_below(&w.rng, 50) : 0);
        while (w.values.count > 0)
            send_some(&w);
        check(&w);
        world_end(&w);
    }
}

static void a_value_is_held_until_its_last_byte_is_sent(void **state)
{
    (void)state;
    struct world w = {.rng = {.state = 1}};
    struct entry *e = new_value(&w);
    size_t size = entry_value(e).size;
    assert_int_equal(out_values_add(&w.values, 0, entry_ref(e)), 0);
    assert_int_equal(out_values_sent(&w.values, 0, 0, size - 1), 0);
    assert_int_equal(e->refs, 2);
    assert_int_equal(w.values.bytes, 1);
    assert_int_equal(out_values_sent(&w.values, 0, 0, 1), 0);
    assert_int_equal(e->refs, 1);
    entry_unref(e);
    world_end(&w);
}

static void all_that_is_left_is_given_back_with_the_connection(void **state)
{
    (void)state;
    struct world w = {.rng = {.state = 2}};
    struct entry *values[3];
    for (int i = 0; i < 3; i++) {
        values[i] = new_value(&w);
        assert_int_equal(out_values_add(&w.values, 0, entry_ref(values[i])), 0);
    }
    world_end(&w);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(values[i]->refs, 1);
        entry_unref(values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_what_was_said_however_it_is_cut),
        cmocka_unit_test(a_value_is_held_until_its_last_byte_is_sent),
        cmocka_unit_test(all_that_is_left_is_given_back_with_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
