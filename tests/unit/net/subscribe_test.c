/* Who subscribed to what, how much of it may be, and what comes to whom. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "max_key = 8\n"
                           "max_batch = 40\n"
                           "max_subscriptions = 20\n"
                           "max_output = 131072\n"
                           "max_value = 32768\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\" }\n";

static struct net_world *w;
static struct client a, b;

static int open_two(void **state)
{
    (void)state;
    w = net_new(CONF);
    client_open(w, &a);
    client_open(w, &b);
    return 0;
}

static int open_crowded(void **state)
{
    open_two(state);
    w->crowded = true;
    return 0;
}

static int close_two(void **state)
{
    (void)state;
    client_close(w, &b);
    client_close(w, &a); /* or it is closed */
    net_free(w);
    return 0;
}

/* a does it, and b hears of it. */
static void b_hears_of(const char *call, const char *answer, const char *want)
{
    hears(w, &a, call, answer);
    hears_next(w, &b, want);
}

static void who_subscribes_hears_what_concerns_it_and_no_more(void **state)
{
    (void)state;
    hears(w, &b, "subscribe [{\"keys\": \"k\", \"patterns\": [\"u:*\"], \"tags\": \"t\"}]", "3");
    b_hears_of("set [\"k\", 1]", "true", "-> [{\"key\":\"k\",\"cause\":\"set\"}]");
    b_hears_of("set [\"u:1\", 1, {\"version\": 4}]", "true",
               "-> [{\"key\":\"u:1\",\"cause\":\"set\",\"version\":4}]");
    b_hears_of("invalidate [\"k\", {\"version\": 9}]", "true",
               "-> [{\"key\":\"k\",\"cause\":\"invalidate\",\"version\":9}]");
    b_hears_of("expire [\"u:1\"]", "true", "-> [{\"key\":\"u:1\",\"cause\":\"expire\"}]");
    b_hears_of("invalidate_tag [\"t\"]", "true", "-> [{\"tag\":\"t\",\"cause\":\"invalidate\"}]");
    b_hears_of("expire_tag [\"x\"]", "true", "-> [{\"tag\":\"x\",\"cause\":\"expire\"}]");
    b_hears_of("invalidate_match [\"u*\"]", "true",
               "-> [{\"pattern\":\"u*\",\"cause\":\"invalidate\"}]");
    hears(w, &a, "set [\"l\", 1]", "true");
    hears(w, &a, "touch [\"k\"]", "false");
    hears_nothing(w, &b);
}

/* Telling is work: where nobody listens there is none. */
static void nobody_is_looked_for_once_nobody_subscribes(void **state)
{
    (void)state;
    hears(w, &b, "subscribe [{\"keys\": [\"k\", \"l\"]}]", "2");
    b_hears_of("set [\"k\", 1]", "true", "-> [{\"key\":\"k\",\"cause\":\"set\"}]");
    assert_int_equal(w->io->subscriptions->events, 1);
    hears(w, &b, "unsubscribe [{\"keys\": \"k\"}]", "1");
    hears(w, &a, "set [\"k\", 1]", "true");
    hears_nothing(w, &b);
    assert_int_equal(w->io->subscriptions->events, 2);
    hears(w, &b, "unsubscribe [{\"keys\": [\"l\"]}]", "0");
    hears(w, &a, "set [\"l\", 1]", "true");
    hears_nothing(w, &b);
    assert_int_equal(w->io->subscriptions->events, 2);
    hears(w, &b, "subscribe [{\"keys\": \"k\"}]", "1");
    b_hears_of("set [\"k\", 1]", "true", "-> [{\"key\":\"k\",\"cause\":\"set\"}]");
    client_close(w, &b);
    net_settle(w);
    hears(w, &a, "set [\"k\", 1]", "true");
    assert_int_equal(w->io->subscriptions->events, 3);
    client_open(w, &b);
}

static void subscriptions_are_counted_and_end_one_by_one_or_all(void **state)
{
    (void)state;
    hears(w, &b, "unsubscribe []", "0");
    hears(w, &b, "unsubscribe [{\"keys\": \"k\"}]", "0");
    hears(w, &b, "subscribe [{\"keys\": [\"k\", \"k\"]}]", "1");
    hears(w, &b, "subscribe [{\"patterns\": \"k\", \"tags\": \"k\"}]", "3");
    assert_int_equal(net_count(w, M_SUBSCRIBED), 3);
    hears(w, &b, "unsubscribe [{\"tags\": [\"k\", \"l\"]}]", "2");
    hears(w, &b, "unsubscribe [{}]", "2");
    assert_int_equal(net_count(w, M_UNSUBSCRIBED), 1);
    hears(w, &b, "unsubscribe [{\"keys\": \"k\"}]", "1");
    hears(w, &b, call_of_many("subscribe", "u", 0, "") /* no map */,
          "BAD_REQUEST subscribe: argument 1 is a map of options, and this is an array");
    hears(w, &b, "unsubscribe []", "0");
    assert_int_equal(net_count(w, M_SUBSCRIBED), 3);
    assert_int_equal(net_count(w, M_UNSUBSCRIBED), 3);
}

/* "METHOD [{"KIND": [...]}]" of so many texts, from BEGINNING1 on. */
static const char *wish_of(const char *method, const char *kind, const char *beginning, int count)
{
    static char room[1 << 16];
    int at = sprintf(room, "%s [{\"%s\": [", method, kind);
    for (int i = 1; i <= count; i++)
        at += sprintf(room + at, "%s\"%s%d\"", i > 1 ? "," : "", beginning, i);
    sprintf(room + at, "]}]");
    return room;
}

static void all_that_a_call_names_is_subscribed_or_nothing_of_it(void **state)
{
    (void)state;
    size_t none = ledger_held(w->ledger), some;
    hears(w, &b, "subscribe [{\"keys\": [\"k\", \"l\"]}]", "2");
    some = ledger_kind_held(w->ledger, LEDGER_SUBSCRIPTIONS);
    assert_int_equal(ledger_held(w->ledger), none + some);
    hears(w, &b, wish_of("subscribe", "tags", "t", 19),
          "OVERLOADED subscribe: more than max_subscriptions (20) of one connection");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_SUBSCRIPTIONS), some);
    hears(w, &b, "unsubscribe [{}]", "2");
    hears(w, &a, "invalidate_tag [\"t1\"]", "true"); /* b has keys, which may carry it */
    hears_next(w, &b, "-> [{\"tag\":\"t1\",\"cause\":\"invalidate\"}]");
    hears(w, &b, wish_of("subscribe", "tags", "t", 18), "20");
    hears(w, &b, wish_of("subscribe", "tags", "t", 18), "20");
    hears(w, &b, wish_of("subscribe", "tags", "t", 19),
          "OVERLOADED subscribe: more than max_subscriptions (20) of one connection");
    hears(w, &b, wish_of("subscribe", "keys", "k", 41),
          "BAD_REQUEST subscribe: 41 of key, where at most 40 are taken");
    hears(w, &b,
          "subscribe [{\"keys\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"0\","
          "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\"],"
          "\"tags\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"0\","
          "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\"]}]",
          "BAD_REQUEST subscribe: 41 texts, where at most 40 are taken");
    hears(w, &b, wish_of("unsubscribe", "tags", "t", 40), "2");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_SUBSCRIPTIONS), some);
    assert_int_equal(net_count(w, M_SUBSCRIBED), 20);
    assert_int_equal(net_count(w, M_UNSUBSCRIBED), 18);
}

/* Also where it is not among the first that are looked at, and nothing was subscribed before. */
static void patterns_are_checked_before_anything_is_subscribed(void **state)
{
    (void)state;
    char call[512], *end;
    for (int i = 0; i < 2; i++) {
        const char *method = i == 0 ? "subscribe" : "unsubscribe";
        char want[200];
        strcpy(call, wish_of(method, "patterns", "p", 17));
        end = strstr(call, "\"p17\"");
        strcpy(end, "\"p\\\\\"], \"keys\": \"k\"}]");
        snprintf(want, sizeof want,
                 "BAD_REQUEST %s: pattern \"p\\\" has a lone backslash at byte 2; write \\* for a "
                 "star, \\{ for a { and \\\\ for a backslash",
                 method);
        hears(w, &b, call, want);
    }
    hears(w, &a, "set [\"k\", 1]", "true");
    hears_nothing(w, &b);
    hears(w, &b, "unsubscribe [{}]", "0");
    hears(w, &b, wish_of("subscribe", "patterns", "p", 17), "17");
    b_hears_of("set [\"p17\", 1]", "true", "-> [{\"key\":\"p17\",\"cause\":\"set\"}]");
    hears(w, &b, wish_of("unsubscribe", "patterns", "p", 17), "0");
    assert_int_equal(net_count(w, M_SUBSCRIBED), 17);
    assert_int_equal(net_count(w, M_UNSUBSCRIBED), 17);
    assert_int_equal(net_count(w, M_NOTICES), 1);
}

/* Another connection's wishes lie where the first one's did. */
static void two_subscribe_at_once_each_to_its_own(void **state)
{
    (void)state;
    client_sends(&a, "subscribe [{\"keys\": \"a1\", \"patterns\": \"a2*\", \"tags\": \"a3\"}]");
    client_sends(&b, "subscribe [{\"keys\": \"b1\", \"patterns\": \"b2*\", \"tags\": \"b3\"}]");
    hears_next(w, &a, "3");
    hears_next(w, &b, "3");
    b_hears_of("set [\"b1\", 1]", "true", "-> [{\"key\":\"b1\",\"cause\":\"set\"}]");
    b_hears_of("set [\"b2x\", 1]", "true", "-> [{\"key\":\"b2x\",\"cause\":\"set\"}]");
    hears(w, &b, "set [\"a1\", 1]", "true");
    hears_next(w, &a, "-> [{\"key\":\"a1\",\"cause\":\"set\"}]");
    hears(w, &b, "set [\"a2x\", 1]", "true");
    hears_next(w, &a, "-> [{\"key\":\"a2x\",\"cause\":\"set\"}]");
    client_sends(&a, "unsubscribe [{\"keys\": \"a1\", \"patterns\": \"a2*\", \"tags\": \"a3\"}]");
    client_sends(&b, "unsubscribe [{\"keys\": \"b1\", \"patterns\": \"b2*\", \"tags\": \"b4\"}]");
    hears_next(w, &a, "0");
    hears_next(w, &b, "1");
    hears_nothing(w, &a);
}

/* Nothing of it is left, and who holds most goes. false: it took longer than a slice, and there was
 * no room to go on either. */
static bool is_refused_for_memory(void)
{
    struct ledger_page *page = &w->ledger->pages[0];
    uint32_t id;
    hears(w, &a, wish_of("subscribe", "keys", "k", 20), "20");
    hears(w, &b, "subscribe [{\"keys\": \"k\"}]", "1");
    size_t all = ledger_kind_held(w->ledger, LEDGER_SUBSCRIPTIONS);
    size_t others = (size_t)w->snapshot->conf->client_memory - ledger_held(w->ledger) - 40;
    uint64_t refused_before = net_count(w, M_HELD_REFUSED);
    ledger_add(page, LEDGER_OUTPUT, others);
    client_send(w, &b, "subscribe [{\"keys\": \"l\"}]");
    ledger_take(page, LEDGER_OUTPUT, others);
    const char *is = client_next(w, &b, &id);
    bool refused = strcmp(is, "closed") != 0;
    if (!refused) {
        b.conn = NULL;
        client_close(w, &b);
        client_open(w, &b);
        if (!client_read(&a))
            a.conn = NULL;
        client_close(w, &a);
        client_open(w, &a);
        return false;
    }
    assert_string_equal(
        is, "OVERLOADED subscribe: the connections together hold client_memory (268435456 bytes)");
    hears_next(w, &a, "closed");
    net_settle(w);
    a.conn = NULL;
    client_close(w, &a);
    client_open(w, &a);
    assert_in_range(ledger_kind_held(w->ledger, LEDGER_SUBSCRIPTIONS), 100, all / 5);
    hears(w, &b, "unsubscribe [{}]", "1");
    assert_int_equal(net_count(w, M_HELD_REFUSED) - refused_before, 1);
    return true;
}

static void what_a_subscriber_takes_is_of_client_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        if (is_refused_for_memory())
            return;
    fail();
}

static void who_does_not_read_hears_that_it_was_not_told(void **state)
{
    (void)state;
    static char call[20000];
    int at = sprintf(call, "set [\"v\", \"");
    memset(call + at, 'v', 16000);
    sprintf(call + at + 16000, "\"]");
    hears(w, &a, call, "true");
    hears(w, &b, "subscribe [{\"keys\": [\"k\", \"l\"]}]", "2");
    client_is_narrow(&b);
    for (int i = 0; i < 5; i++) /* past half of max_output, with what the socket has */
        client_send(w, &b, "get [\"v\"]");
    assert_in_range(conn_unread(b.conn), 65537, 80000);
    hears(w, &a, "set [\"k\", 1]", "true");
    hears(w, &a, "set [\"l\", 1]", "true");
    net_settle(w);
    assert_int_equal(net_count(w, M_NOTICES_LOST), 1);
    assert_int_equal(net_count(w, M_NOTICES), 0);
    for (int i = 0; i < 5; i++) {
        uint32_t id;
        assert_int_equal(strlen(client_next(w, &b, &id)), 16002);
    }
    hears_next(w, &b, "-> [{\"all\":true,\"cause\":\"lost\"}]");
    b_hears_of("set [\"k\", 1]", "true", "-> [{\"key\":\"k\",\"cause\":\"set\"}]");
    hears_nothing(w, &b);
    assert_int_equal(net_count(w, M_NOTICES_LOST), 1);
    assert_int_equal(net_count(w, M_NOTICES), 2);
}

static void nothing_is_left_of_who_leaves_while_it_subscribes(void **state)
{
    (void)state;
    net_configure(w, "listen = \"127.0.0.1:0\"\nmax_subscriptions = 10000\n");
    w->crowded = true;
    for (int i = 0; i < 2; i++) {
        hears(w, &a, "subscribe [{\"keys\": \"k1\"}]", "1");
        if (i == 1)
            hears(w, &a, wish_of("subscribe", "keys", "k", 5000), "5000");
        client_send(w, &a, wish_of(i == 1 ? "unsubscribe" : "subscribe", "keys", "k", 5000));
        struct job *job = net_hold(w, &a);
        assert_true(job->kind->step(job));
        assert_int_equal(subscriber_count(a.conn->subscriber), i == 1 ? 5000 - 16 : 16);
        client_close(w, &a);
        net_settle(w);
        net_holds_nothing(w);
        assert_int_equal(net_count(w, M_SUBSCRIBED), net_count(w, M_UNSUBSCRIBED));
        client_open(w, &a);
    }
    assert_int_equal(net_count(w, M_SUBSCRIBED), 5016);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_BOTH(test)                                                                              \
    {#test, test, open_two, close_two, NULL},                                                      \
        {#test " (crowded)", test, open_crowded, close_two, NULL}
        IN_BOTH(who_subscribes_hears_what_concerns_it_and_no_more),
        IN_BOTH(nobody_is_looked_for_once_nobody_subscribes),
        IN_BOTH(subscriptions_are_counted_and_end_one_by_one_or_all),
        IN_BOTH(all_that_a_call_names_is_subscribed_or_nothing_of_it),
        IN_BOTH(patterns_are_checked_before_anything_is_subscribed),
        IN_BOTH(two_subscribe_at_once_each_to_its_own),
        cmocka_unit_test_setup_teardown(what_a_subscriber_takes_is_of_client_memory, open_two,
                                        close_two),
        IN_BOTH(who_does_not_read_hears_that_it_was_not_told),
        IN_BOTH(nothing_is_left_of_who_leaves_while_it_subscribes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
