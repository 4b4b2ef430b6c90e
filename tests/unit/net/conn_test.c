/* A connection's bytes and its time: what is taken, what waits, who is too slow, and how it
 * ends. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "max_value = 32768\n"
                           "max_frame = 131072\n"
                           "max_output = 262144\n"
                           "client_memory = \"2mb\"\n"
                           "frame_rate = 1000\n"
                           "frame_grace = \"200ms\"\n"
                           "output_timeout = \"2s\"\n"
                           "idle_timeout = \"1h\"\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\" }\n";

static struct net_world *w;
static struct client a;

static int open_one(void **state)
{
    (void)state;
    w = net_new(CONF);
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

/* The server has closed a. */
static void a_is_closed(void)
{
    hears_next(w, &a, "closed");
    a.conn = NULL;
}

static void set_v(size_t size)
{
    static char call[40000];
    int at = sprintf(call, "set [\"v\", \"");
    memset(call + at, 'v', size);
    sprintf(call + at + size, "\"]");
    hears(w, &a, call, "true");
}

static void bytes_are_counted_and_buffers_are_lent(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    client_pack(&a, &out, "ping []");
    size_t size = out.size;
    for (size_t i = 0; i < size; i++) { /* in the smallest pieces */
        assert_int_equal(a.conn->in.size, i);
        client_write(w, &a, out.data + i, 1);
    }
    buf_fini(&out);
    hears_next(w, &a, "\"pong\"");
    assert_int_equal(net_count(w, M_BYTES_IN), size);
    assert_int_equal(net_count(w, M_BYTES_OUT), 9);
    assert_null(a.conn->in.data);
    assert_null(a.conn->out.data);
    assert_non_null(w->io->spare.data);
    assert_int_equal(ledger_held(w->ledger), sizeof *a.conn);
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_CONNECTIONS), sizeof *a.conn);
}

static void a_frame_comes_at_its_rate_or_its_client_goes(void **state)
{
    (void)state;
    client_write(w, &a, "\x94\x00\x01\xdb\x00\x00\x80\x00", 8);
    static char name[1000] = "";
    client_write(w, &a, name, 92);
    struct conn *c = a.conn;
    int64_t began = c->frame_ms;
    assert_int_equal(c->in.size, 100);
    c->frame_bytes = 0; /* all of it came since then */
    assert_false(conn_is_slow(c, began + 199));
    assert_int_equal(c->frame_ms, began);
    c->frame_bytes = 0;
    assert_true(conn_is_slow(c, began + 200)); /* 100 bytes in 200 ms, where it takes 200 */
    assert_int_equal(c->frame_ms, began + 200);
    assert_int_equal(c->frame_bytes, 100);
    client_write(w, &a, name, 200);
    assert_false(conn_is_slow(c, began + 400));
    assert_int_equal(c->frame_bytes, 300);
    client_write(w, &a, name, 199);
    assert_true(conn_is_slow(c, began + 600));
    (void)net_logged(w);
    c->frame_ms -= 3600000;
    net_sweep(w);
    a_is_closed();
    LOGS(w, "warn  conn.slow id=1 bytes=499");
    assert_int_equal(net_count(w, M_CONNECTIONS_SLOW), 1);
}

static void without_a_frame_or_a_rate_nobody_is_slow(void **state)
{
    (void)state;
    assert_false(conn_is_slow(a.conn, INT64_MAX / 2));
    client_write(w, &a, "\x94", 1);
    assert_true(conn_is_slow(a.conn, a.conn->frame_ms + 3600000));
    net_configure(w, "listen = \"127.0.0.1:0\"\nframe_rate = 0\n");
    assert_false(conn_is_slow(a.conn, a.conn->frame_ms + 3600000));
}

static void who_does_not_read_for_too_long_goes(void **state)
{
    (void)state;
    set_v(30000);
    assert_false(conn_is_unread(a.conn, INT64_MAX / 2));
    client_is_narrow(&a);
    client_send(w, &a, "get [\"v\"]");
    assert_true(conn_unread(a.conn) > 0);
    int64_t sent = a.conn->sent_ms;
    assert_false(conn_is_unread(a.conn, sent + 1999));
    assert_true(conn_is_unread(a.conn, sent + 2000));
    net_configure(w, "listen = \"127.0.0.1:0\"\noutput_timeout = \"0s\"\n");
    assert_false(conn_is_unread(a.conn, INT64_MAX / 2));
    net_configure(w, CONF);
    size_t unread = conn_unread(a.conn);
    (void)net_logged(w);
    net_sweep(w);
    assert_int_equal(conn_unread(a.conn), unread);
    a.conn->sent_ms -= 2000;
    net_sweep(w);
    char line[80];
    snprintf(line, sizeof line, "warn  conn.unread id=1 bytes=%zu", unread);
    LOGS(w, line);
    assert_int_equal(net_count(w, M_CONNECTIONS_UNREAD), 1);
    a.conn = NULL;
}

/* Its time begins when there is something for it to read, and goes on while there is. */
static void the_time_of_what_is_unread_begins_once(void **state)
{
    (void)state;
    set_v(30000);
    client_is_narrow(&a);
    a.conn->sent_ms = 5;
    client_send(w, &a, "get [\"v\"]");
    assert_true(ev_is_active(&a.conn->writing));
    assert_in_range(w->io->now_ms - a.conn->sent_ms, 0, 10000);
    a.conn->sent_ms = 5;
    client_send(w, &a, "ping []"); /* the socket takes no byte more */
    assert_int_equal(a.conn->sent_ms, 5);
}

/* One that is to go once it has read what there is has so long for that. */
static void who_is_to_go_and_does_not_read_has_its_time(void **state)
{
    (void)state;
    set_v(30000);
    client_is_narrow(&a);
    client_send(w, &a, "get [\"v\"]");
    client_write(w, &a, "\xc1", 1);
    assert_int_equal(a.conn->state, CONN_LINGERING);
    assert_true(conn_unread(a.conn) > 0);
    int64_t until = a.conn->linger_until_ms;
    assert_in_range(until - w->io->now_ms, 1, CONN_FINISH_MS);
    assert_true(until - w->io->now_ms > CONN_FINISH_MS / 2);
    net_sweep(w);
    assert_int_equal(a.conn->linger_until_ms, until);
    a.conn->linger_until_ms -= CONN_FINISH_MS;
    net_sweep(w);
    assert_int_equal(ledger_connections(w->ledger), 0);
    a.conn = NULL;
}

static void who_is_idle_for_too_long_goes_but_for_subscribers(void **state)
{
    (void)state;
    struct client b;
    client_open(w, &b);
    hears(w, &b, "subscribe [{\"keys\": \"k\"}]", "1");
    a.conn->active_ms -= 3600000 - 1000;
    b.conn->active_ms -= 2 * 3600000;
    (void)net_logged(w);
    net_sweep(w);
    LOGS(w, NULL);
    a.conn->active_ms -= 1000;
    net_sweep(w);
    a_is_closed();
    LOGS(w, "info  conn.idle id=1 idle_ms=3600000");
    assert_int_equal(net_count(w, M_CONNECTIONS_IDLE), 1);
    assert_int_equal(net_count(w, M_CONNECTIONS_CLOSED), 1);
    hears(w, &b, "ping []", "\"pong\"");
    client_close(w, &b);
}

/* Each kind of bytes that are no message. The error is told, and what still comes is thrown
 * away. */
static void what_is_malformed_ends_with_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {"\xc1", 1, "PROTOCOL "},
        {"\x93\x00\x01\x02", 4, "PROTOCOL "},
        {"\x94\x00\x01\xa4ping\xdb\x00\x02\x00\x00", 13, "TOO_LARGE "},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t id;
        (void)net_logged(w);
        client_write(w, &a, cases[i].bytes, cases[i].size);
        const char *is = client_next(w, &a, &id);
        assert_memory_equal(is, cases[i].says, strlen(cases[i].says));
        assert_memory_equal(net_logged(w) + 25, "info  conn.malformed id=", 24);
        assert_int_equal(a.conn->state, CONN_LINGERING);
        assert_true(conn_lingered(a.conn, a.conn->linger_until_ms));
        assert_false(conn_lingered(a.conn, a.conn->linger_until_ms - 1));
        assert_in_range(a.conn->linger_until_ms - w->io->now_ms, 0, CONN_LINGER_MS);
        client_write(w, &a, "\xc1\xc1", 2);
        hears_next(w, &a, "closed"); /* its half */
        assert_int_equal(ledger_connections(w->ledger), 1);
        client_close(w, &a);
        client_open(w, &a);
    }
    assert_int_equal(net_count(w, M_PROTOCOL_ERRORS), 3);
    client_write(w, &a, "\xc1", 1);
    uint32_t id;
    (void)client_next(w, &a, &id);
    a.conn->linger_until_ms -= CONN_LINGER_MS;
    net_sweep(w);
    assert_int_equal(ledger_connections(w->ledger), 0);
    a.conn = NULL;
}

static void who_has_closed_its_half_has_its_answers(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    client_pack(&a, &out, "set [\"k\", 1]");
    client_pack(&a, &out, "get [\"k\"]");
    client_pack(&a, &out, call_of_many("invalidate_many", "k", 10000, ""));
    client_pack(&a, &out, "ping []");
    w->crowded = true;
    client_write(w, &a, out.data, out.size);
    buf_fini(&out);
    struct job *job = net_hold(w, &a);
    shutdown(a.fd, SHUT_WR);
    net_sweep(w);
    net_sweep(w);
    hears_next(w, &a, "true");
    hears_next(w, &a, "1");
    net_go_on(w, job);
    hears_next(w, &a, "0");
    hears_next(w, &a, "\"pong\"");
    a_is_closed();
    net_settle(w);
    assert_int_equal(ledger_connections(w->ledger), 0);
}

/* Past its mark a client has to read before more of what it asks for is answered. */
static void who_asks_for_more_than_it_reads_waits(void **state)
{
    (void)state;
    set_v(30000);
    client_is_narrow(&a);
    for (int i = 0; i < 20; i++)
        client_send(w, &a, "get [\"v\"]");
    client_send(w, &a, "ping []");
    assert_int_equal(a.conn->halts, CONN_HALT_FULL);
    assert_true(conn_is_full(a.conn));
    assert_true(conn_is_past_pause(a.conn));
    assert_in_range(conn_unread(a.conn), 131073, 131072 + 31000);
    assert_in_range(net_count(w, M_PAUSED), 1, 3);
    for (int i = 0; i < 20; i++) {
        uint32_t id;
        assert_int_equal(strlen(client_next(w, &a, &id)), 30002);
    }
    hears_next(w, &a, "\"pong\"");
    assert_int_equal(a.conn->halts, 0);
    assert_true(ev_is_active(&a.conn->reading));
    assert_false(ev_is_active(&a.conn->writing));
    assert_int_equal(net_count(w, M_REQUESTS), 22);
    assert_int_equal(ledger_held(w->ledger), sizeof *a.conn);
}

/* What came before is answered, what comes after it is refused, and then it is closed. */
static void a_thread_that_drains_answers_what_was_begun(void **state)
{
    (void)state;
    struct message drained = {.recv = net_recv_drained};
    w->crowded = true;
    client_send(w, &a, call_of_many("invalidate_many", "k", 10000, ""));
    struct job *job = net_hold(w, &a);
    io_drain(w->io, &drained);
    net_turn(w);
    net_turn(w);
    assert_true(w->io->draining);
    client_send(w, &a, "ping []");
    assert_false(w->drained);
    net_go_on(w, job);
    hears_next(w, &a, "0");
    uint32_t id;
    assert_memory_equal(client_next(w, &a, &id), "SHUTTING_DOWN ", 14);
    assert_false(w->drained);
    hears_next(w, &a, "closed"); /* its half, and then all */
    client_close(w, &a);
    while (!w->drained)
        net_wait(w);
}

static void a_reload_is_asked_of_the_main_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        client_send(w, &a, "reload []");
        while (!w->reload)
            net_wait(w);
        struct io_reload *r = w->reload;
        w->reload = NULL;
        r->generation = 7;
        r->loaders = 3;
        r->changed = i == 0;
        if (i == 1)
            r->rc = err_set(&r->err, ERR_CONFIG, "rtcache.conf:1: it is wrong");
        assert_int_equal(a.conn->parked_count, 1);
        if (i == 2)
            client_close(w, &a);
        assert_int_equal(w->io->tickets, 1);
        r->message.recv = r->answered;
        mailbox_send(r->answer_to, &r->message);
        if (i == 2) {
            net_settle(w);
            client_open(w, &a);
        } else {
            hears_next(w, &a,
                       i == 0 ? "{\"generation\":7,\"loaders\":3,\"changed\":true}"
                              : "CONFIG rtcache.conf:1: it is wrong");
            assert_int_equal(a.conn->parked_count, 0);
        }
        assert_int_equal(w->io->tickets, 0);
    }
}

/* ---- client_memory ---- */

#define CROWD 40 /* beside a: a fair share is SHED_SMALL */

static struct client crowd[CROWD];

/* Others hold so much that all together hold `all`. */
static void all_hold(size_t all)
{
    struct ledger_page *page = &w->ledger->pages[0];
    ledger_take(page, LEDGER_GATHERED, ledger_kind_held(w->ledger, LEDGER_GATHERED));
    ledger_add(page, LEDGER_GATHERED, all - ledger_held(w->ledger));
}

/* How long it is near the limit is no matter until the test says so. */
static void be_patient(void)
{
    w->io->shed.since_ms = clock_ms() + 3600000;
}

static void look(void)
{
    ev_feed_event(w->io->worker.loop, &w->io->look, EV_TIMER);
    net_turn(w);
    net_turn(w);
}

static void near_the_limit_large_ones_wait_and_past_it_they_go(void **state)
{
    (void)state;
    static char bytes[65000];
    const size_t limit = 2 << 20, quiet = limit - limit / 8, over = limit - limit / 16;
    for (int i = 0; i < CROWD; i++)
        client_open(w, &crowd[i]);
    assert_int_equal(ledger_connections(w->ledger), CROWD + 1);
    client_write(w, &a, "\x94\x00\x01\xdb\x00\x01\xf0\x00", 8);
    client_write(w, &a, bytes, 10000);
    size_t small = a.conn->member.held;
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_INPUT), a.conn->in.capacity);
    all_hold(quiet);
    client_write(w, &crowd[0], "\x94", 1);
    assert_int_equal(net_count(w, M_HELD_BACK), 0);
    assert_true(ev_is_active(&w->io->look));
    be_patient();
    client_write(w, &a, bytes, 62000);
    client_write(w, &a, bytes, 10000); /* more than a fair share */
    assert_true(a.conn->member.held > SHED_SMALL && small <= SHED_SMALL);
    assert_int_equal(net_count(w, M_HELD_BACK), 1);
    assert_int_equal(ledger_unread(w->ledger), 1);
    assert_false(ev_is_active(&a.conn->reading));
    look();
    assert_int_equal(ledger_unread(w->ledger), 1); /* it is still so */
    all_hold(quiet);
    look();
    assert_int_equal(ledger_unread(w->ledger), 0);
    assert_true(ev_is_active(&a.conn->reading));
    assert_false(ev_is_active(&w->io->look));
    (void)net_logged(w);
    all_hold(over);
    net_sweep(w);
    be_patient();
    LOGS(w, NULL);
    all_hold(over + 1);
    net_sweep(w); /* the largest of all goes */
    a_is_closed();
    LOGS(w, "warn  conn.shed id=1 holds=# all=# client_memory=2097152");
    assert_int_equal(net_count(w, M_CONNECTIONS_SHED), 1);
    assert_int_equal(w->io->leaving_bytes, 0);
    all_hold(100000);
    for (int i = 0; i < CROWD; i++)
        client_close(w, &crowd[i]);
    ledger_take(&w->ledger->pages[0], LEDGER_GATHERED,
                ledger_kind_held(w->ledger, LEDGER_GATHERED));
}

/* Nothing is given back, and none could send anything large any more: one of them goes. */
static void where_all_large_ones_wait_for_too_long_the_largest_goes(void **state)
{
    (void)state;
    static char bytes[65000];
    const size_t limit = 2 << 20, quiet = limit - limit / 8;
    for (int i = 0; i < CROWD; i++)
        client_open(w, &crowd[i]);
    all_hold(quiet + 100);
    client_write(w, &a, "\x94\x00\x01\xdb\x00\x01\xf0\x00", 8);
    client_write(w, &a, bytes, 60000);
    client_write(w, &a, bytes, 40000);
    be_patient();
    assert_int_equal(ledger_unread(w->ledger), 1);
    all_hold(quiet + 100);
    be_patient();
    look();
    assert_int_equal(ledger_connections(w->ledger), CROWD + 1);
    w->io->shed.since_ms = clock_ms() - SHED_PATIENCE_MS;
    look();
    a_is_closed();
    assert_int_equal(ledger_unread(w->ledger), 0);
    all_hold(100000);
    for (int i = 0; i < CROWD; i++)
        client_close(w, &crowd[i]);
    ledger_take(&w->ledger->pages[0], LEDGER_GATHERED,
                ledger_kind_held(w->ledger, LEDGER_GATHERED));
}

static void where_there_is_no_room_nobody_new_is_taken(void **state)
{
    (void)state;
    struct ledger_page *page = &w->ledger->pages[0];
    size_t others = (2 << 20) - ledger_held(w->ledger) - sizeof *a.conn + 1;
    ledger_add(page, LEDGER_GATHERED, others);
    (void)net_logged(w);
    int pair[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ledger_take_place(w->ledger);
    conn_open(w->io, pair[0], false, &rpc_protocol);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    close(pair[1]);
    LOGS(w, "warn  conn.shed id=2 holds=# all=# client_memory=2097152");
    assert_int_equal(ledger_connections(w->ledger), 1);
    assert_int_equal(net_count(w, M_CONNECTIONS_CLOSED), 1);
    ledger_take(page, LEDGER_GATHERED, others);
    hears(w, &a, "ping []", "\"pong\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
        ONE(bytes_are_counted_and_buffers_are_lent),
        ONE(a_frame_comes_at_its_rate_or_its_client_goes),
        ONE(without_a_frame_or_a_rate_nobody_is_slow),
        ONE(who_does_not_read_for_too_long_goes),
        ONE(the_time_of_what_is_unread_begins_once),
        ONE(who_is_to_go_and_does_not_read_has_its_time),
        ONE(who_is_idle_for_too_long_goes_but_for_subscribers),
        ONE(what_is_malformed_ends_with_an_error),
        ONE(who_has_closed_its_half_has_its_answers),
        ONE(who_asks_for_more_than_it_reads_waits),
        ONE(a_thread_that_drains_answers_what_was_begun),
        ONE(a_reload_is_asked_of_the_main_thread),
        ONE(near_the_limit_large_ones_wait_and_past_it_they_go),
        ONE(where_all_large_ones_wait_for_too_long_the_largest_goes),
        ONE(where_there_is_no_room_nobody_new_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
