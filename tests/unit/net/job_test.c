/* Requests that wait for their slices: each goes on with its own arguments, whatever has come
 * meanwhile, and leaves nothing when its client does. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "max_key = 100\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\" }\n";

static struct net_world *w;
static struct client a, b;

static int open_two(void **state)
{
    (void)state;
    w = net_new(CONF);
    client_open(w, &a);
    client_open(w, &b);
    w->crowded = true;
    return 0;
}

static int close_two(void **state)
{
    (void)state;
    client_close(w, &b);
    if (a.conn)
        client_close(w, &a);
    net_free(w);
    return 0;
}

/* Both calls come in one turn, into one room: what comes second lies where the first one did. */
static void hear_at_once(const char *first, const char *second, const char *want, const char *then)
{
    client_sends(&a, first);
    client_sends(&b, second);
    hears_next(w, &a, want);
    hears_next(w, &b, then);
}

/* The call "set [KEY, VALUE...]" of a text of so many bytes; tail: "" or ", OPTIONS". */
static const char *set_of_text(const char *key, size_t size, const char *tail)
{
    static char rooms[2][1 << 16];
    static unsigned turn;
    char *room = rooms[turn++ % 2];
    int at = sprintf(room, "set [\"%s\", \"", key);
    memset(room + at, key[0], size);
    sprintf(room + at + size, "\"%s]", tail);
    return room;
}

static void keys_are_set(const char *beginning, int count)
{
    char call[64];
    for (int i = 1; i <= count; i++) {
        snprintf(call, sizeof call, "set [\"%s%d\", 1, {\"tags\": [\"%s%d\"]}]", beginning, i,
                 beginning, i);
        hears(w, &a, call, "true");
    }
}

/* None of them is there; or all are. status NULL: there is none. */
static void keys_are(const char *beginning, int count, const char *status)
{
    char call[64], want[64];
    for (int i = 1; i <= count; i++) {
        uint32_t id;
        snprintf(call, sizeof call, "peek [\"%s%d\"]", beginning, i);
        client_send(w, &a, call);
        const char *is = client_next(w, &a, &id);
        snprintf(want, sizeof want, "\"status\":\"%s\"", status ? status : "");
        if (status ? !strstr(is, want) : strcmp(is, "null") != 0)
            fail_msg("%s: %s", call, is);
    }
}

#define MANY 70 /* several steps of any job */

static void many_keys_are_invalidated_each_by_who_named_them(void **state)
{
    (void)state;
    keys_are_set("k", MANY);
    keys_are_set("l", MANY);
    hear_at_once(call_of_many("invalidate_many", "k", MANY, ""),
                 call_of_many("invalidate_many", "m", MANY, ""), "70", "0");
    keys_are("k", MANY, NULL);
    keys_are("l", MANY, "hit");
    hear_at_once(call_of_many("expire_many", "m", MANY, ""),
                 call_of_many("expire_many", "l", MANY, ""), "0", "70");
    keys_are("l", MANY, "stale");
    assert_int_equal(net_count(w, M_SLICED), 4);
}

static void many_tags_are_told_of_each_by_who_named_them(void **state)
{
    (void)state;
    keys_are_set("k", MANY);
    keys_are_set("l", MANY);
    keys_are_set("m", MANY);
    hear_at_once(call_of_many("expire_tag", "k", MANY, ""),
                 call_of_many("invalidate_tag", "l", MANY, ""), "true", "true");
    keys_are("k", MANY, "stale");
    keys_are("l", MANY, NULL);
    keys_are("m", MANY, "hit");
    assert_int_equal(net_count(w, M_TAG_INVALIDATIONS), 2 * MANY);
}

static void many_keys_are_read_each_by_who_named_them(void **state)
{
    (void)state;
    hears(w, &a, "set [\"kkk1\", 11]", "true");
    hears(w, &a, "set [\"lll1\", 22]", "true");
    hear_at_once("get_many [[\"kkk1\", \"kkk1\"]]", "get_many [[\"lll1\", \"lll1\"]]",
                 "[{\"value\":11},{\"value\":11}]", "[{\"value\":22},{\"value\":22}]");
    assert_int_equal(net_count(w, M_SLICED), 2);
    client_sends(&a, call_of_many("get_many", "kkk", 128, ", {\"partial\": true}"));
    client_sends(&b, call_of_many("get_many", "lll", 128, ", {\"partial\": true}"));
    uint32_t id;
    const char *is = client_next(w, &a, &id);
    assert_memory_equal(is, "[{\"value\":11},{\"error\":\"NO_LOADER kkk2: ", 37);
    assert_non_null(strstr(is, "NO_LOADER kkk128: "));
    is = client_next(w, &b, &id);
    assert_memory_equal(is, "[{\"value\":22},{\"error\":\"NO_LOADER lll2: ", 37);
    assert_int_equal(net_count(w, M_SLICED), 4);
    w->crowded = false;
    hears(w, &a, "get_many [[\"kkk1\"]]", "[{\"value\":11}]");
    assert_int_equal(net_count(w, M_SLICED), 4);
}

static void large_values_are_set_each_with_its_own_key_and_tags(void **state)
{
    (void)state;
    const size_t size = 20000;
    hear_at_once(set_of_text("k1", size, ", {\"tags\": [\"kk\"], \"version\": 4}"),
                 set_of_text("l1", size, ", {\"tags\": [\"ll\"], \"version\": 5}"), "true", "true");
    for (const char *key = "kl"; *key; key++) {
        uint32_t id;
        char call[32], end[128];
        snprintf(call, sizeof call, "get_entry [\"%c1\"]", *key);
        client_send(w, &a, call);
        const char *is = client_next(w, &a, &id);
        assert_memory_equal(is, "{\"value\":\"", 10);
        assert_int_equal(strspn(is + 10, (const char[]){*key, '\0'}), size);
        snprintf(end, sizeof end, "\",\"status\":\"hit\",\"version\":%c", *key == 'k' ? '4' : '5');
        assert_memory_equal(is + 10 + size, end, strlen(end));
        snprintf(end, sizeof end, "\"tags\":[\"%c%c\"]}", *key, *key);
        assert_string_equal(is + strlen(is) - strlen(end), end);
    }
    hears(w, &b, "invalidate_tag [\"kk\"]", "true");
    keys_are("k", 1, NULL);
    keys_are("l", 1, "hit");
    assert_int_equal(net_count(w, M_SETS), 2);
}

/* STORE_ROOM_LEAST bytes of a packed value, of which 3 are its header, are large. */
static void a_value_is_large_from_its_bound_on(void **state)
{
    (void)state;
    hears(w, &a, set_of_text("k1", STORE_ROOM_LEAST - 4, ""), "true");
    assert_int_equal(net_count(w, M_SLICED), 0);
    hears(w, &a, set_of_text("k2", STORE_ROOM_LEAST - 3, ""), "true");
    assert_int_equal(net_count(w, M_SLICED), 1);
    keys_are("k", 2, "hit");
}

#define LONG 10000 /* keys, for which no slice is enough */

static void what_is_behind_it_waits_and_other_clients_do_not(void **state)
{
    (void)state;
    client_sends(&a, call_of_many("set", "", 0, ", 1"));
    hears_next(w, &a, "BAD_REQUEST set: a key is a str or bin, and this is an array");
    struct buf out;
    buf_init(&out, 0);
    client_pack(&a, &out, call_of_many("invalidate_many", "key", LONG, ""));
    client_pack(&a, &out, "ping []");
    client_write(w, &a, out.data, out.size);
    buf_fini(&out);
    struct job *job = net_hold(w, &a);
    assert_true(ledger_kind_held(w->ledger, LEDGER_JOBS) > LONG * 4);
    hears(w, &b, "ping []", "\"pong\"");
    hears_nothing(w, &a);
    net_go_on(w, job);
    hears_next(w, &a, "0");
    hears_next(w, &a, "\"pong\"");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_JOBS), 0);
    assert_null(a.conn->job);
    assert_int_equal(a.conn->halts, 0);
    assert_int_equal(a.conn->owed, 0);
}

/* Each method that goes on in slices: its client leaves while it does. */
static void nothing_is_left_of_one_whose_client_has_left(void **state)
{
    (void)state;
    static const char *const calls[][2] = {
        {"invalidate_many", ""},
        {"expire_many", ""},
        {"expire_tag", ""},
        {"get_many", ", {\"partial\": true}"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        client_send(w, &a, call_of_many(calls[i][0], "key", LONG, calls[i][1]));
        struct job *job = net_hold(w, &a);
        assert_true(job->kind->step(job));
        client_close(w, &a);
        net_settle(w);
        net_holds_nothing(w);
        assert_int_equal(w->io->tickets, 0);
        client_open(w, &a);
    }
    assert_int_equal(net_count(w, M_SLICED), 4);
}

static void a_notification_in_slices_is_done_and_not_answered(void **state)
{
    (void)state;
    keys_are_set("k", MANY);
    client_send(w, &a, call_of_many("*invalidate_many", "k", MANY, ""));
    hears(w, &a, "ping []", "\"pong\"");
    keys_are("k", MANY, NULL);
    client_send(w, &a, "*set [\"k1\", 1]");
    client_send(w, &a, "*get [\"k1\"]");
    client_send(w, &a, "*get [\"\"]");
    client_send(w, &a, "*get_many [[\"k1\"]]");
    client_send(w, &a, "*hello []");
    client_send(w, &a, "*nope []");
    hears(w, &a, "ping []", "\"pong\"");
    keys_are("k", 1, "hit");
    assert_int_equal(w->io->sink.size, 0);
}

/* It is closed for what it asks for, and no other is. */
static void one_for_which_there_is_no_room_goes(void **state)
{
    (void)state;
    struct ledger_page *page = &w->ledger->pages[0];
    size_t limit = (size_t)w->snapshot->conf->client_memory;
    size_t others = limit - ledger_held(w->ledger) - 100;
    ledger_add(page, LEDGER_OUTPUT, others);
    w->crowded = false;
    hears(w, &b, "ping []", "\"pong\"");
    w->crowded = true;
    (void)net_logged(w);
    client_sends(&a, call_of_many("invalidate_many", "k", MANY, ""));
    hears_next(w, &a, "closed");
    ledger_take(page, LEDGER_OUTPUT, others);
    a.conn = NULL;
    client_close(w, &a);
    LOGS(w, "warn  conn.shed id=1 holds=# all=# client_memory=268435456");
    assert_int_equal(net_count(w, M_CONNECTIONS_SHED), 1);
    hears(w, &b, "ping []", "\"pong\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TWO(test) cmocka_unit_test_setup_teardown(test, open_two, close_two)
        TWO(many_keys_are_invalidated_each_by_who_named_them),
        TWO(many_tags_are_told_of_each_by_who_named_them),
        TWO(many_keys_are_read_each_by_who_named_them),
        TWO(large_values_are_set_each_with_its_own_key_and_tags),
        TWO(a_value_is_large_from_its_bound_on),
        TWO(what_is_behind_it_waits_and_other_clients_do_not),
        TWO(nothing_is_left_of_one_whose_client_has_left),
        TWO(a_notification_in_slices_is_done_and_not_answered),
        TWO(one_for_which_there_is_no_room_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
