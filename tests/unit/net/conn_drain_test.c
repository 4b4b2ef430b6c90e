/* When a connection of a server that goes down is closed, to the millisecond. */
#include "net/net_client.h"

static struct net_world *w;
static struct client a;

static int open_one(void **state)
{
    (void)state;
    w = net_new("listen = \"127.0.0.1:0\"\n");
    client_open(w, &a);
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    client_close(w, &a);
    net_free(w);
    return 0;
}

static void one_that_drains_is_kept_for_a_moment_after_it_was_heard(void **state)
{
    (void)state;
    struct conn *c = a.conn;
    hears(w, &a, "ping []", "\"pong\"");
    int64_t began = w->io->drain_ms = c->active_ms + 1;
    conn_drain(c);
    assert_int_equal(c->state, CONN_DRAINING);
    c->opened_ms = c->active_ms; /* it has asked for nothing */
    assert_false(conn_drained(c, c->opened_ms + 999));
    assert_true(conn_drained(c, c->opened_ms + 1000));
    c->opened_ms -= 3600000;
    c->done_ms = 0;
    assert_false(conn_drained(c, began + 199));
    assert_true(conn_drained(c, began + 200));
    /* What is not written yet is no sign of a client that does not read. */
    c->sent_ms = began - 3600000;
    assert_int_equal(buf_append(conn_out(c), "x", 1), 0);
    assert_false(conn_drained(c, began + 200));
    assert_int_equal(c->state, CONN_DRAINING);
    buf_clear(&c->out);
    conn_give_back(c);
    /* Something has come meanwhile: its answer is not to be reset away. */
    c->active_ms = began + 100;
    assert_false(conn_drained(c, began + 299));
    assert_int_equal(c->state, CONN_DRAINING);
    assert_false(conn_drained(c, began + 300));
    assert_int_equal(c->state, CONN_LINGERING);
    hears_next(w, &a, "closed");
    client_close(w, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_drains_is_kept_for_a_moment_after_it_was_heard,
                                        open_one, close_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
