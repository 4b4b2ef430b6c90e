/* What a configuration is made of on the way to its loads, where memory is denied: each is refused
 * with its reason, and nothing stays behind. */
#include "flight_world.h"

#include "faulty.h"
#include "load/answers.h"
#include "load/loader_thread.h"
#include "load/route.h"
#include "load/snapshot.h"
#include "load/writes.h"
#include "sys/loop_memory.h"

#include <string.h>

/* Whether the text is one of those, of which the last is NULL. */
static void said(const struct err *e, int rc, const char *const *texts)
{
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(e->code, ERR_NOMEM);
    while (*texts && strcmp(*texts, e->text) != 0)
        texts++;
    if (!*texts)
        fail_msg("%s", e->text);
}

static void routes_that_get_no_memory_are_none(void **state)
{
    (void)state;
    static const char *const patterns[] = {"user:*", "team:*", "user:admin"},
                             *const texts[] = {"no memory for 3 patterns", NULL};
    struct routes *r = NULL;
    struct err e;
    int rc = 0;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, 0, rc = routes_new(&r, patterns, 3, &e)); nth++) {
        said(&e, rc, texts);
        assert_null(r);
    }
    assert_int_equal(rc, 0);
    assert_in_range(nth, 7, 20);
    assert_int_equal(routes_match(r, slice_str("team:1"), NULL), 1);
    routes_free(r);
    routes_free(NULL);
    assert_int_equal(routes_new(&r, patterns, (size_t)INT32_MAX + 1, &e), ERR_CONFIG);
    assert_string_equal(e.text, "2147483648 patterns are too many");
}

static void a_snapshot_that_gets_no_memory_leaves_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"no memory for a configuration", "no memory for 1 backends",
                                        "no memory for 2 patterns", NULL};
    struct conf_backend backend = {.name = "main", .feed = "changes"};
    struct conf_loader loaders[] = {
        {.pattern = "user:*", .backend = "main", .file = "f", .line = 3},
        {.pattern = "team:*", .file = "f", .line = 4}};
    struct conf conf = {
        .loader_threads = 2,
        .loaders = loaders,
        .loader_count = 2,
        .backends = &backend,
        .backend_count = 1,
    };
    struct snapshot *s = NULL, *next = NULL;
    struct err e;
    atomic_init(&conf.refs, 1000);
    for (int reload = 0; reload < 2; reload++) {
        struct snapshot **out = reload ? &next : &s;
        int rc = 0;
        int64_t nth = 1;
        for (; FAULTY_WITHOUT(nth, 0, rc = snapshot_new(out, &conf, 5, s, &e)); nth++) {
            said(&e, rc, texts);
            assert_null(*out);
            assert_int_equal(atomic_load(&conf.refs), 1000); /* it is the caller's still */
        }
        assert_int_equal(rc, 0);
        assert_true(nth > 10);
        assert_ptr_equal((*out)->conf, &conf);
    }
    assert_ptr_equal(s->backends[0], next->backends[0]);
    assert_ptr_equal(s->loaders[1], next->loaders[1]);
    snapshot_unref(s);
    snapshot_unref(next);
    assert_int_equal(atomic_load(&conf.refs), 998);
}

static void no_recv(struct message *m, void *owner)
{
    (void)m, (void)owner;
}

static void what_a_loader_thread_has_is_refused_one_by_one(void **state)
{
    struct world *w = *state;
    struct mailbox *slots[2] = {NULL, NULL};
    struct news_hub *hub = NULL;
    struct answers answers;
    struct thread_state thread = {.index = 0};
    struct writes writes;
    struct err e;
    int rc = 0;
    assert_true(FAULTY_WITHOUT(1, 0, rc = news_hub_new(&hub, slots, 3, 5, no_recv, &e)));
    said(&e, rc, (const char *[]){"no memory for notifications to 3 threads", NULL});
    assert_null(hub);
    assert_true(FAULTY_WITHOUT(1, 0, rc = writes_init(&writes, &thread, &e)));
    said(&e, rc, (const char *[]){"no memory for the writes of a loader thread", NULL});
    writes_fini(&writes);
    assert_true(FAULTY_WITHOUT(1, 0, rc = answers_init(&answers, w->flights, slots, 2, &e)));
    said(&e, rc, (const char *[]){"no memory for the answers of a loader thread", NULL});
    answers_fini(&answers);
}

/* libev's own has a reserve, so that it is there even so. */
static void a_loader_thread_that_gets_no_memory_leaves_nothing(void **state)
{
    struct world *w = *state;
    static const char *const texts[] = {"no memory for a loader thread",
                                        "no memory for the writes of a loader thread",
                                        "no memory for the answers of a loader thread", NULL};
    struct mailbox *slots[2] = {NULL, NULL};
    struct changes changes = {.store = w->store, .flights = w->flights, .marks = w->marks};
    struct loader_thread_options o = {
        .flights = w->flights,
        .store = w->store,
        .changes = &changes,
        .slots = slots,
        .slot_count = 2,
    };
    int refused = 0;
    bool denied = true;
    for (int64_t nth = 1; denied; nth++) {
        struct loader_thread *t = NULL;
        struct err e;
        int rc;
        denied = FAULTY_WITHOUT(nth, 0, rc = loader_thread_new(&t, &o, &e));
        if (rc != 0) {
            said(&e, rc, texts);
            assert_null(t);
            refused++;
        }
        loader_thread_free(t);
    }
    assert_int_equal(refused, 3);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    loop_memory_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_that_get_no_memory_are_none),
        cmocka_unit_test(a_snapshot_that_gets_no_memory_leaves_nothing),
        T(what_a_loader_thread_has_is_refused_one_by_one),
        T(a_loader_thread_that_gets_no_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
