/* Subscriptions and the ledger where memory is denied, and what they say that they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faulty.h"
#include "serve/ledger.h"
#include "serve/subscriptions.h"

static void what_gets_no_memory_is_none(void **state)
{
    (void)state;
    struct subscriptions *s = NULL;
    struct ledger *l = NULL;
    struct err e;
    int rc = 0;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, 0, s = subscriptions_new(7)); nth++)
        assert_null(s);
    assert_non_null(s);
    assert_true(nth > 3);
    subscriptions_free(s);
    subscriptions_free(NULL);
    for (nth = 1; FAULTY_WITHOUT(nth, 0, rc = ledger_new(&l, 2, &e)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, "no memory for the ledger of connections");
        assert_null(l);
    }
    assert_int_equal(nth, 3); /* two pieces */
    ledger_free(l);
}

/* Who is told of a change of a key; one at most. */
static struct subscriber *told(struct subscriptions *s, const char *key)
{
    struct subscriber *r, *any = NULL;
    subscriptions_begin(s, EVENT_KEY, slice_str(key));
    while (subscriptions_step(s, &r)) {
        assert_true(!r || !any);
        any = r ? r : any;
    }
    return any;
}

static void a_subscription_that_gets_no_memory_is_not_there(void **state)
{
    (void)state;
    static const char *const texts[] = {"a", "a*", "a"};
    for (int kind = 0; kind < SUBSCRIBED_KINDS; kind++) {
        struct subscriptions *s = subscriptions_new(7);
        struct subscriber first = {.owner = s}, second = {.owner = s};
        struct slice text = slice_str(texts[kind]);
        int rc = 0;
        int64_t nth = 1;
        subscriptions_enter(s, &first);
        subscriptions_enter(s, &second);
        for (;
             FAULTY_WITHOUT(nth, FAULTY_ALL,
                            rc = subscriptions_add(s, &first, (enum subscription_kind)kind, text));
             nth++) {
            if (rc == 0)
                break; /* only its tables could not grow */
            assert_int_equal(rc, ERR_NOMEM);
            assert_int_equal(s->count, 0);
            assert_int_equal(first.bytes, 0);
            assert_int_equal(subscriber_count(&first), 0);
            subscriptions_settle(&first);
            assert_null(told(s, "a"));
        }
        assert_int_equal(rc, 0);
        assert_true(nth > 2);
        /* The topic is there, and stays, where another one cannot subscribe to it. */
        assert_true(FAULTY_WITHOUT(
            1, FAULTY_ALL, rc = subscriptions_add(s, &second, (enum subscription_kind)kind, text)));
        assert_int_equal(rc, ERR_NOMEM);
        subscriptions_settle(&first);
        assert_ptr_equal(told(s, "a"), kind == SUBSCRIBED_TAG ? NULL : &first);
        subscriptions_remove(s, &first, (enum subscription_kind)kind, text);
        assert_int_equal(s->count, 0);
        subscriptions_leave(s, &first);
        subscriptions_leave(s, &second);
        subscriptions_free(s);
    }
}

/* What one takes is counted with it, and taken back; once, however often it is asked for. */
static void each_has_its_bytes_and_gives_them_back(void **state)
{
    (void)state;
    struct subscriptions *s = subscriptions_new(7);
    struct subscriber r = {.owner = s};
    subscriptions_enter(s, &r);
    assert_int_equal(subscriptions_add(s, &r, SUBSCRIBED_KEY, slice_str("a")), 0);
    const size_t of_key = r.bytes;
    assert_true(of_key > 100);
    assert_int_equal(subscriptions_add(s, &r, SUBSCRIBED_KEY, slice_str("a")), 0);
    assert_int_equal(r.bytes, of_key);
    assert_int_equal(subscriptions_add(s, &r, SUBSCRIBED_TAG, slice_str("abcde")), 0);
    assert_int_equal(r.bytes, 2 * of_key + 4);
    assert_int_equal(subscriptions_add(s, &r, SUBSCRIBED_PATTERN, slice_str("a")), 0);
    assert_int_equal(r.bytes, 3 * of_key + 4 + 200); /* and its place in the index */
    assert_int_equal(s->count, 3);
    assert_int_equal(r.count[SUBSCRIBED_KEY], 1);
    assert_int_equal(r.count[SUBSCRIBED_TAG], 1);
    assert_int_equal(r.count[SUBSCRIBED_PATTERN], 1);
    subscriptions_remove(s, &r, SUBSCRIBED_KEY, slice_str("b")); /* there is none */
    subscriptions_remove(s, &r, SUBSCRIBED_TAG, slice_str("a"));
    assert_int_equal(s->count, 3);
    subscriptions_remove_last(s, &r); /* the pattern */
    assert_int_equal(r.count[SUBSCRIBED_PATTERN], 0);
    assert_int_equal(r.bytes, 2 * of_key + 4);
    subscriptions_remove(s, &r, SUBSCRIBED_KEY, slice_str("a"));
    assert_int_equal(r.bytes, of_key + 4);
    subscriptions_remove_last(s, &r);
    assert_int_equal(r.bytes, 0);
    assert_int_equal(s->count, 0);
    subscriptions_leave(s, &r);
    subscriptions_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gets_no_memory_is_none),
        cmocka_unit_test(a_subscription_that_gets_no_memory_is_not_there),
        cmocka_unit_test(each_has_its_bytes_and_gives_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
