/* No acknowledgement leaves an I/O thread before what it says is in the journal. */
#include "net/net_client.h"

#include "state/journal_folder.h"

static struct net_world *w;
static struct client clients[3];
static struct state_dir *dir;
static struct journal *journal;

static int begin(void **state)
{
    assert_int_equal(state_folder_make(state), 0);
    w = net_new("listen = \"127.0.0.1:0\"\ndefaults = { jitter = 0.0, ttl = \"90s\" }\n");
    dir = state_opened();
    struct journal_options o = journal_defaults(dir);
    journal = journal_opened(&o);
    changes_journal(&w->changes, journal);
    for (int i = 0; i < 3; i++)
        client_open(w, &clients[i]);
    return 0;
}

static int end(void **state)
{
    for (int i = 0; i < 3; i++)
        client_close(w, &clients[i]);
    net_free(w);
    journal_close(journal);
    state_dir_close(dir);
    return state_folder_remove(state);
}

static bool has_heard(const struct client *c)
{
    char byte;
    return recv(c->fd, &byte, 1, MSG_PEEK) == 1;
}

static const char *written(void)
{
    struct journal_reading r;
    return journal_all(dir, JOURNAL_COMPLETE, &r);
}

static void what_all_have_changed_in_a_turn_is_one_write(void **state)
{
    (void)state;
    hears(w, &clients[2], "set [\"z\", 1]", "true");
    assert_string_equal(written(), "KEY z");
    client_sends(&clients[0], "invalidate [\"a\"]");
    client_sends(&clients[1], "invalidate [\"b\", {\"version\": 5}]");
    client_sends(&clients[1], "expire_tag [\"t\"]");
    client_sends(&clients[2], "invalidate_match [\"m:*\"]");
    net_turn(w);
    assert_true(journal_waits(&w->io->lane));
    for (int i = 0; i < 3; i++)
        assert_false(has_heard(&clients[i]));
    assert_int_equal(journal_stats_of(journal).writes, 1);
    net_turn(w);
    assert_false(journal_waits(&w->io->lane));
    for (int i = 0; i < 3; i++)
        assert_true(has_heard(&clients[i]));
    assert_int_equal(journal_stats_of(journal).writes, 2);
    const char *text = written(); /* of connections in any order */
    static const char *const parts[] = {"KEY z", "KEY a", "KEY b v5 600000ms | TAG t soft",
                                        "PATTERN m:*"};
    size_t size = 3 * strlen(" | ");
    for (int i = 0; i < 4; i++) {
        assert_non_null(strstr(text, parts[i]));
        size += strlen(parts[i]);
    }
    assert_int_equal(strlen(text), size);
    hears_next(w, &clients[0], "false");
    hears_next(w, &clients[1], "false");
    hears_next(w, &clients[1], "true");
    hears_next(w, &clients[2], "true");
}

static void a_turn_without_a_change_writes_nothing(void **state)
{
    (void)state;
    client_sends(&clients[0], "get [\"none\"]");
    client_sends(&clients[1], "ping []");
    net_turn(w);
    assert_true(has_heard(&clients[1])); /* and its answers wait for nobody */
    net_turn(w);
    assert_int_equal(journal_stats_of(journal).writes, 0);
    assert_null(w->io->lane.gathered.data);
    hears_next(w, &clients[1], "\"pong\"");
}

/* Wherever it comes from that something is sent. */
static void what_is_sent_in_between_is_behind_a_write_as_well(void **state)
{
    (void)state;
    client_sends(&clients[0], "invalidate [\"a\"]");
    client_sends(&clients[1], "ping []");
    net_turn(w);
    assert_int_equal(journal_stats_of(journal).writes, 0);
    conn_flush(clients[1].conn);
    assert_int_equal(journal_stats_of(journal).writes, 1);
    assert_string_equal(written(), "KEY a");
    hears_next(w, &clients[1], "\"pong\"");
    hears_next(w, &clients[0], "false");
    assert_int_equal(journal_stats_of(journal).writes, 1);
}

static void slices_are_written_turn_by_turn(void **state)
{
    (void)state;
    hears(w, &clients[0], call_of_many("invalidate_many", "k", 1000, ""), "0");
    assert_int_equal(journal_stats_of(journal).records, 1000);
    assert_true(journal_stats_of(journal).writes < 1000);
}

static void a_journal_that_breaks_holds_no_answer_back(void **state)
{
    (void)state;
    journal_keep(journal, 8000, 1);
    client_sends(&clients[0], "invalidate [\"a\"]");
    client_sends(&clients[1], "set [\"b\", 1]");
    hears_next(w, &clients[0], "false");
    hears_next(w, &clients[1], "true");
    assert_true(journal_stats_of(journal).broken);
    assert_int_equal(journal_stats_of(journal).failures, 1);
    assert_non_null(strstr(net_logged(w), "error journal.broken path="));
    hears(w, &clients[2], "get [\"b\"]", "1");
    hears(w, &clients[0], "invalidate [\"b\"]", "true");
    assert_int_equal(journal_stats_of(journal).failures, 1);
    assert_null(strstr(net_logged(w), "journal"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_all_have_changed_in_a_turn_is_one_write),
        TEST(a_turn_without_a_change_writes_nothing),
        TEST(what_is_sent_in_between_is_behind_a_write_as_well),
        TEST(slices_are_written_turn_by_turn),
        TEST(a_journal_that_breaks_holds_no_answer_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
