/* Reads and writes that wait for a loader thread: what they are answered with, what they hold
 * meanwhile, and that nothing is left of who does not wait any longer. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "max_key = 100\n"
                           "max_batch = 100\n"
                           "max_parked = 100\n"
                           "max_value = 32768\n"
                           "max_output = 262144\n"
                           "max_frame = 65536\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\", "
                           "wait_timeout = \"20s\", write_timeout = \"1h\",\n"
                           "             retries = 0, backoff_base = \"1min\", backoff_cap = "
                           "\"1min\", negative_ttl = \"9s\",\n"
                           "             stale_if_error = \"1h\" }\n"
                           "loaders = ({ pattern = \"*:*\", script = \"one.lua\" })\n";

/* The key says what its load does. */
static const char SCRIPT[] = "local function find(key)\n"
                             "  local what = key:match '^(%a+)'\n"
                             "  if what == 'slow' then rtcache.sleep(3000) end\n"
                             "  if what == 'later' then rtcache.sleep(0.02) end\n"
                             "  if what == 'none' then return nil end\n"
                             "  if what == 'bad' then error 'it is down' end\n"
                             "  if what == 'big' then return ('b'):rep(20000) end\n"
                             "  return what, { version = 7, tags = { 't', 'u' } }\n"
                             "end\n"
                             "return {\n"
                             "  load = find,\n"
                             "  save = function(key, value)\n"
                             "    if value == 'plain' then return value, { version = 8 } end\n"
                             "    find(key)\n"
                             "    return value, { version = 9, tags = { 'w' } }\n"
                             "  end,\n"
                             "  remove = function(key) find(key) end,\n"
                             "}\n";

static struct net_world *w;
static struct client a;

static int open_one(void **state)
{
    (void)state;
    w = net_new("listen = \"127.0.0.1:0\"\n");
    assert_int_equal(mkdir(in_folder("scripts"), 0700), 0);
    write_file("scripts/one.lua", SCRIPT);
    net_configure(w, CONF);
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

#define ENTRY(value, status, version, ttl, tags)                                                   \
    "{\"value\":" value ",\"status\":\"" status "\",\"version\":" version                          \
    ",\"age_ms\":#,\"ttl_ms\":" ttl ",\"load_ms\":#,\"tags\":" tags "}"

static void what_is_loaded_is_told_and_kept(void **state)
{
    (void)state;
    struct metrics_quantiles before, waited;
    metrics_quantiles(H_WAIT_US, &before);
    hears(w, &a, "get_entry [\"user:1\"]",
          ENTRY("\"user\"", "miss", "7", "90000", "[\"t\",\"u\"]"));
    hears(w, &a, "get_entry [\"user:1\"]", ENTRY("\"user\"", "hit", "7", "#", "[\"t\",\"u\"]"));
    hears(w, &a, "get [\"user:2\"]", "\"user\"");
    hears(w, &a, "get_entry [\"none:1\"]", ENTRY("null", "negative", "null", "9000", "[]"));
    hears(w, &a, "get_entry [\"none:1\"]", ENTRY("null", "negative", "null", "#", "[]"));
    hears(w, &a, "get [\"none:2\"]", "null");
    hears(w, &a, "get [\"none:2\"]", "null");
    hears(w, &a, "get [\"user:1\", {\"min_version\": 7}]", "\"user\"");
    assert_int_equal(net_count(w, M_MISSES), 4);
    metrics_quantiles(H_WAIT_US, &waited);
    assert_int_equal(waited.count, before.count + 4);
    assert_in_range(waited.max, 1, (uint64_t)NET_SECONDS * 1000000);
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_REQUESTS), 0);
}

static void say_hello(const char *options)
{
    char call[100];
    uint32_t id;
    snprintf(call, sizeof call, "hello [%s]", options);
    client_send(w, &a, call);
    const char *is = client_next(w, &a, &id);
    static const char want[] =
        "{\"server\":\"rtcache\",\"version\":\"" RTCACHE_VERSION
        "\",\"protocol\":1,\"max_frame\":65536,\"max_key\":100,\"max_value\":32768,\"methods\":["
        "\"get\",\"get_entry\",\"get_many\",\"set\",";
    if (strncmp(is, want, sizeof want - 1) != 0)
        fail_msg("%s", is);
    assert_string_equal(is + strlen(is) - 15, "\"lift_floors\"]}");
}

static void what_failed_is_told_and_not_asked_for_again(void **state)
{
    (void)state;
    uint32_t id;
    client_send(w, &a, "get [\"bad:1\"]");
    const char *is = client_next(w, &a, &id);
    assert_memory_equal(is, "LOAD_FAILED bad:1: ", 19);
    assert_non_null(strstr(is, "it is down"));
    say_hello("{\"errors\": \"map\"}");
    client_send(w, &a, "get [\"bad:1\"]");
    is = client_next(w, &a, &id);
    assert_memory_equal(is, "{\"code\":\"LOAD_FAILED\",\"message\":\"bad:1: ", 39);
    assert_non_null(strstr(is, "\",\"retry_after_ms\":"));
    assert_int_equal(net_count(w, M_BACKOFF_ANSWERS), 1);
    say_hello("{\"errors\": \"string\", \"client\": \"a test\"}");
    hears(w, &a, "get [\"\"]", "BAD_KEY get: the key is empty");
    assert_non_null(strstr(net_logged(w), "debug conn.hello id=1 client=\"a test\"\n"));
}

/* Where there is an older value and the load fails, that is told beside the value. */
static void an_older_value_stands_in_for_one_that_failed(void **state)
{
    (void)state;
    uint32_t id;
    hears(w, &a, "set [\"bad:1\", 5, {\"ttl_ms\": 60000, \"stale_ttl_ms\": 0}]", "true");
    hears(w, &a, "expire [\"bad:1\"]", "true");
    client_send(w, &a, "get_entry [\"bad:1\"]");
    const char *is = client_next(w, &a, &id);
    assert_memory_equal(is, "{\"value\":5,\"status\":\"stale", 25);
    hears(w, &a, "get [\"bad:1\"]", "5");
    client_send(w, &a, "refresh [\"bad:1\"]");
    is = client_next(w, &a, &id);
    assert_memory_equal(is, "LOAD_FAILED bad:1: ", 19);
    client_send(w, &a, "get_entry [\"bad:1\"]");
    is = client_next(w, &a, &id);
    assert_memory_equal(is, "{\"value\":5,\"status\":\"stale_error\",\"version\":null", 48);
    assert_non_null(strstr(is, ",\"tags\":[],\"error\":\"LOAD_FAILED bad:1: "));
}

static void a_refresh_loads_whatever_is_there(void **state)
{
    (void)state;
    hears(w, &a, "set [\"user:1\", 1]", "true");
    hears(w, &a, "refresh [\"user:1\"]", ENTRY("\"user\"", "miss", "7", "90000", "[\"t\",\"u\"]"));
    hears(w, &a, "set [\"later:1\", 1]", "true");
    hears(w, &a, "refresh [\"later:1\", {\"background\": true}]", "true");
    hears(w, &a, "get [\"later:1\"]", "1");
    while (metrics_sum(M_LOADS_FOUND) == 0)
        net_turn(w);
    hears(w, &a, "refresh [\"later:1\"]",
          ENTRY("\"later\"", "miss", "7", "90000", "[\"t\",\"u\"]"));
}

static void many_keys_are_answered_in_their_order_whatever_comes_first(void **state)
{
    (void)state;
    hears(w, &a, "set [\"user:9\", 9]", "true");
    uint32_t id;
    client_send(w, &a, "get_many [[\"later:1\", \"user:9\", \"none:1\", \"user:2\", \"bad:1\"]]");
    const char *is = client_next(w, &a, &id);
    const char *want = "[{\"value\":\"later\"},{\"value\":9},{\"value\":null},{\"value\":\"user\"},"
                       "{\"error\":\"LOAD_FAILED bad:1: ";
    assert_memory_equal(is, want, strlen(want));
    hears(w, &a, "get_many [[\"later:1\", \"user:2\"]]",
          "[{\"value\":\"later\"},{\"value\":\"user\"}]");
    hears(w, &a, "get_many [[\"slow:1\", \"user:9\"], {\"partial\": true}]",
          "[{\"pending\":true},{\"value\":9}]");
    assert_int_equal(a.conn->gathered, 0);
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_GATHERED), 0);
}

/* Answers of more than 64 KiB are sent from where they were gathered; of 128 KiB
 * there are none. */
static void large_answers_are_put_in_their_order_and_are_bounded(void **state)
{
    (void)state;
    uint32_t id;
    for (int i = 0; i < 2; i++) { /* loaded, and then from memory */
        client_send(
            w, &a,
            "get_many [[\"later:2\", \"big:1\", \"big:2\", \"big:3\", \"big:4\", \"user:1\"]]");
        const char *is = client_next(w, &a, &id);
        assert_memory_equal(is, "[{\"value\":\"later\"},{\"value\":\"bbbb", 32);
        assert_int_equal(strlen(is), 19 + 4 * 20013 + 17);
        assert_string_equal(is + strlen(is) - 17, "{\"value\":\"user\"}]");
        hears(w, &a, "ping []", "\"pong\"");
        assert_int_equal(a.conn->gathered, 0);
        hears(w, &a, "invalidate [\"later:2\"]", "true");
    }
    hears(
        w, &a,
        "get_many [[\"big:1\", \"big:2\", \"big:3\", \"big:4\", \"big:1\", \"big:2\", \"big:3\"]]",
        "TOO_LARGE get_many: an answer, beside those that wait, above max_output (262144 bytes)");
    hears(w, &a,
          "get_many [[\"later:3\", \"big:5\", \"big:6\", \"big:3\", \"big:4\", \"big:1\", "
          "\"big:2\", \"big:3\"]]",
          "TOO_LARGE get_many: an answer, beside those that wait, above max_output (262144 bytes)");
    hears(w, &a, "get [\"later:3\"]", "\"later\"");
    assert_int_equal(a.conn->gathered, 0);
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_GATHERED), 0);
    assert_int_equal(a.conn->parked_count, 0);
}

#define PARKED (sizeof(struct request) + sizeof "slow:1" - 1)

static void who_waits_is_counted_and_does_not_wait_for_ever(void **state)
{
    (void)state;
    client_send(w, &a, "get [\"slow:1\"]");
    client_send(w, &a, "*get [\"slow:1\"]");
    hears(w, &a, "ping []", "\"pong\"");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_REQUESTS), 2 * PARKED);
    assert_int_equal(w->io->tickets, 2);
    assert_int_equal(a.conn->parked_count, 2);
    assert_int_equal(a.conn->owed, 1);
    hears(w, &a, "get [\"slow:1\", {\"timeout_ms\": 1}]", "TIMEOUT slow:1: no answer within 1 ms");
    hears(w, &a, "get [\"slow:1\", {\"timeout_ms\": 0}]", "TIMEOUT slow:1: no answer within 0 ms");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_REQUESTS), 2 * PARKED);
    assert_int_equal(net_count(w, M_TIMEOUTS), 2);
    hears(w, &a, "set [\"slow:1\", 3]", "true"); /* who waits has no part in that */
    assert_int_equal(a.conn->parked_count, 2);
    client_send(w, &a, "get_many [[\"slow:2\", \"user:1\", \"slow:3\"]]");
    hears(w, &a, "ping []", "\"pong\"");
    assert_true(ledger_kind_held(w->ledger, LEDGER_GATHERED) > 0);
    assert_true(a.conn->parked_count >= 4);
    client_close(w, &a);
    net_settle(w);
    net_holds_nothing(w);
    client_open(w, &a);
}

static void so_many_wait_of_one_connection_and_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        client_send(w, &a, i == 50 ? "put [\"slow:9\", 1]" : "get [\"slow:1\"]");
    hears(w, &a, "get [\"slow:1\"]",
          "OVERLOADED slow:1: this connection has max_parked requests waiting");
    hears(w, &a, "put [\"slow:1\", 1]",
          "OVERLOADED slow:1: this connection has max_parked requests waiting");
    assert_int_equal(net_count(w, M_PARKED_REFUSED), 2);
    struct client b;
    client_open(w, &b);
    hears(w, &b, "get [\"slow:1\", {\"timeout_ms\": 1}]", "TIMEOUT slow:1: no answer within 1 ms");
    client_close(w, &b);
    client_close(w, &a);
    client_open(w, &a);
    hears(w, &a, "get [\"user:1\"]", "\"user\"");
}

static void a_wait_for_which_there_is_no_room_is_refused(void **state)
{
    (void)state;
    struct ledger_page *page = &w->ledger->pages[0];
    hears(w, &a, "ping []", "\"pong\"");
    size_t limit = (size_t)w->snapshot->conf->client_memory;
    size_t others = limit - ledger_held(w->ledger) - PARKED + 1;
    ledger_add(page, LEDGER_OUTPUT, others);
    hears(w, &a, "get [\"slow:1\"]",
          "OVERLOADED a wait for a load: the connections together hold client_memory (268435456 "
          "bytes)");
    hears(w, &a, "put [\"slow:1\", 1]",
          "OVERLOADED slow:1: the connections together hold client_memory (268435456 bytes)");
    ledger_take(page, LEDGER_OUTPUT, others);
    assert_int_equal(net_count(w, M_HELD_REFUSED), 2);
    assert_int_equal(w->io->tickets, 0);
}

static void a_write_is_answered_with_what_became_of_it(void **state)
{
    (void)state;
    hears(w, &a, "get [\"user:3\"]", "\"user\"");
    hears(w, &a, "put [\"user:1\", \"x\"]", "{\"version\":9,\"stored\":true}");
    hears(w, &a, "get_entry [\"user:1\"]", ENTRY("\"x\"", "hit", "9", "#", "[\"w\"]"));
    hears(w, &a, "put [\"user:2\", \"plain\"]",
          "{\"version\":8,\"stored\":false,\"reason\":\"save said nothing of tags, and loads give "
          "some\"}");
    hears(w, &a, "delete [\"user:1\"]", "{\"version\":null,\"stored\":false}");
    hears(w, &a, "peek [\"user:1\"]", "null");
    uint32_t id;
    client_send(w, &a, "put [\"bad:1\", 1]");
    assert_non_null(strstr(client_next(w, &a, &id), "it is down"));
    hears(w, &a, "put [\"nothing\", 1]", "NO_LOADER nothing: no loader's pattern matches");
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_WRITES), 0);
    assert_int_equal(w->io->tickets, 0);
}

static void a_write_that_takes_too_long_goes_on_and_is_not_known(void **state)
{
    (void)state;
    hears(w, &a, "put [\"slow:1\", 1, {\"timeout_ms\": 1}]",
          "WRITE_UNKNOWN slow:1: no word of the write within 1 ms; it goes on");
    assert_int_equal(net_count(w, M_TIMEOUTS), 1);
    assert_int_equal(w->io->tickets, 1);
    assert_true(ledger_kind_held(w->ledger, LEDGER_WRITES) > 0);
    assert_int_equal(a.conn->parked_count, 0);
    client_send(w, &a, "put [\"slow:2\", 1]");
    hears(w, &a, "ping []", "\"pong\"");
    assert_int_equal(a.conn->parked_count, 1);
    /* Behind one of its key that has not ended, none begins: nothing is done then. */
    uint32_t unsent = client_send(w, &a, "put [\"slow:2\", 2, {\"timeout_ms\": 1}]"), got;
    const char *is = client_next(w, &a, &got);
    assert_int_equal(got, unsent);
    assert_memory_equal(is, "TIMEOUT slow:2: ", 16);
    client_close(w, &a);
    while (w->io->tickets > 2) /* of that one nothing more is to come but that it was given up */
        net_wait(w);
    assert_int_equal(w->io->tickets, 2);
    client_open(w, &a);
}

/* All ends with the loader thread, and what waited for it is told so. */
static void what_is_under_way_ends_with_the_loader_thread(void **state)
{
    (void)state;
    uint32_t id;
    client_send(w, &a, "get [\"slow:1\"]");
    client_send(w, &a, "put [\"slow:2\", 1]");
    client_send(w, &a, "get_many [[\"slow:1\", \"user:1\"]]");
    hears(w, &a, "ping []", "\"pong\"");
    loader_thread_stop(w->loaders[0]);
    loader_thread_join(w->loaders[0]);
    int told = 0;
    for (int i = 0; i < 3; i++)
        told += strstr(client_next(w, &a, &id), "SHUTTING_DOWN") != NULL;
    assert_int_equal(told, 2 + 1);
    net_settle(w);
    assert_int_equal(w->io->tickets, 0);
    assert_int_equal(a.conn->parked_count, 0);
    assert_int_equal(a.conn->owed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
        ONE(what_is_loaded_is_told_and_kept),
        ONE(what_failed_is_told_and_not_asked_for_again),
        ONE(an_older_value_stands_in_for_one_that_failed),
        ONE(a_refresh_loads_whatever_is_there),
        ONE(many_keys_are_answered_in_their_order_whatever_comes_first),
        ONE(large_answers_are_put_in_their_order_and_are_bounded),
        ONE(who_waits_is_counted_and_does_not_wait_for_ever),
        ONE(so_many_wait_of_one_connection_and_no_more),
        ONE(a_wait_for_which_there_is_no_room_is_refused),
        ONE(a_write_is_answered_with_what_became_of_it),
        ONE(a_write_that_takes_too_long_goes_on_and_is_not_known),
        ONE(what_is_under_way_ends_with_the_loader_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
