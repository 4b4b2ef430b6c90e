/* Who a connection is: what it may ask for until that is known, while it is found out, and after
 * its user was changed. */
#include "net/net_client.h"

#define HASH                                                                                       \
    "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/"              \
    "i1l1inqZQiq6N7UOM"
#define OTHER                                                                                      \
    "$argon2id$v=19$m=8192,t=1,p=1$eMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/"              \
    "i1l1inqZQiq6N7UOM"

static const char CONF[] =
    "listen = \"127.0.0.1:0\"\n"
    "max_auth_failures = 2\n"
    "max_frame_before_auth = 600\n"
    "auth_timeout = \"3s\"\n"
    "users = (\n"
    "  { name = \"ann\", password_hash = \"" HASH "\", rights = [\"read\", \"write\"],\n"
    "    keys = [\"a:*\", \"b\"] },\n"
    "  { name = \"ops\", password_hash = \"" HASH "\",\n"
    "    rights = [\"read\", \"write\", \"invalidate\", \"admin\"] }\n"
    ")\n";

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

/* The main thread has been asked; rc and e, or the hash that the password fits, are its answer. */
static void verified(int rc, const char *text)
{
    struct auth_request *r = w->auth;
    assert_non_null(r);
    w->auth = NULL;
    if (rc != 0)
        err_set(&r->err, rc, "%s", text);
    else
        snprintf(r->hash, sizeof r->hash, "%s", text);
    auth_request_answer(r, rc);
    for (size_t i = 0; i < sizeof r->password; i++)
        assert_int_equal(r->password[i], 0);
}

static void await_auth(void)
{
    while (!w->auth)
        net_wait(w);
}

/* a is that user. */
static void a_becomes(const char *name)
{
    char call[64];
    snprintf(call, sizeof call, "auth [\"%s\", \"secret\"]", name);
    client_send(w, &a, call);
    await_auth();
    verified(0, HASH);
    hears_next(w, &a, "true");
}

static void nobody_may_ask_for_little(void **state)
{
    (void)state;
    assert_false(a.conn->session.known);
    hears(w, &a, "ping []", "\"pong\"");
    hears(w, &a, "get [\"a:1\"]", "UNAUTHENTICATED get: authenticate first: auth [name, password]");
    hears(w, &a, "stats []", "UNAUTHENTICATED stats: authenticate first: auth [name, password]");
    assert_int_equal(net_count(w, M_DENIED), 2);
    hears(w, &a, "auth [\"\", \"x\"]", "BAD_REQUEST auth: the name is a str of 1 to 64 bytes");
    hears(w, &a, "auth [5, \"x\"]", "BAD_REQUEST auth: the name is a str of 1 to 64 bytes");
    hears(w, &a, "auth [\"ann\", \"\"]",
          "BAD_REQUEST auth: the password is a str of 1 to 512 bytes");
    hears(w, &a, "auth [\"ann\", []]", "BAD_REQUEST auth: the password is a str of 1 to 512 bytes");
    assert_null(w->auth);
}

/* "auth [NAME, PASSWORD]" of so many bytes. */
static const char *auth_of(size_t name, size_t password)
{
    static char room[1200];
    int at = sprintf(room, "auth [\"");
    memset(room + at, 'n', name);
    at += (int)name;
    at += sprintf(room + at, "\", \"");
    memset(room + at, 'p', password);
    sprintf(room + at + password, "\"]");
    return room;
}

static void a_name_and_a_password_are_as_long_as_they_may_be(void **state)
{
    (void)state;
    hears(w, &a, auth_of(65, 1), "BAD_REQUEST auth: the name is a str of 1 to 64 bytes");
    hears(w, &a, auth_of(1, 513), "BAD_REQUEST auth: the password is a str of 1 to 512 bytes");
    client_send(w, &a, auth_of(64, 512));
    await_auth();
    assert_int_equal(w->auth->name_size, 64);
    assert_int_equal(strspn(w->auth->name, "n"), 64);
    assert_int_equal(w->auth->password_size, 512);
    assert_int_equal(strspn(w->auth->password, "p"), 512);
    assert_int_equal(w->auth->failures, 0);
    assert_non_null(strstr(w->auth->peer.text, "unix:uid="));
    (void)net_logged(w);
    verified(ERR_AUTH_FAILED, "wrong");
    hears_next(w, &a, "AUTH_FAILED wrong");
    const char *log = net_logged(w);
    assert_non_null(strstr(log, "warn  auth.failed address=\"unix:uid="));
    assert_non_null(strstr(log, " user=\"nnnnnnnn"));
}

static void what_is_sent_behind_an_auth_waits_for_its_answer(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    client_pack(&a, &out, "auth [\"ann\", \"secret\"]");
    client_pack(&a, &out, "set [\"a:1\", 1]");
    client_pack(&a, &out, "get [\"c\"]");
    client_write(w, &a, out.data, out.size);
    buf_fini(&out);
    await_auth();
    assert_int_equal(w->auth->name_size, 3);
    assert_string_equal(w->auth->password, "secret");
    assert_int_equal(w->auth->password_size, 6);
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_AUTHS), sizeof *w->auth + 2048);
    hears_nothing(w, &a);
    (void)net_logged(w);
    verified(0, HASH);
    hears_next(w, &a, "true");
    hears_next(w, &a, "true");
    hears_next(w, &a, "DENIED get: the user \"ann\" has no right to the key c");
    assert_non_null(strstr(net_logged(w), "debug auth.ok address=\"unix:uid="));
    assert_int_equal(ledger_kind_held(w->ledger, LEDGER_AUTHS), 0);
    assert_int_equal(a.conn->halts, 0);
    assert_int_equal(net_count(w, M_DENIED), 1);
}

static void failures_are_counted_until_the_last_one_that_is_allowed(void **state)
{
    (void)state;
    client_send(w, &a, "auth [\"ann\", \"wrong\"]");
    await_auth();
    verified(ERR_AUTH_FAILED, "no");
    hears_next(w, &a, "AUTH_FAILED no");
    client_send(w, &a, "auth [\"ann\", \"wrong\"]");
    await_auth();
    assert_int_equal(w->auth->failures, 1);
    verified(ERR_OVERLOADED, "too many"); /* which is none */
    hears_next(w, &a, "OVERLOADED too many");
    a_becomes("ann");
    client_send(w, &a, "auth [\"ann\", \"wrong\"]");
    await_auth();
    assert_int_equal(w->auth->failures, 0);
    verified(ERR_AUTH_FAILED, "no");
    hears_next(w, &a, "AUTH_FAILED no");
    hears(w, &a, "set [\"b\", 1]", "true"); /* it is still who it was */
    client_send(w, &a, "auth [\"ann\", \"wrong\"]");
    await_auth();
    (void)net_logged(w);
    verified(ERR_AUTH_FAILED, "no");
    hears_next(w, &a, "AUTH_FAILED no");
    hears_next(w, &a, "closed");
    assert_non_null(strstr(net_logged(w), "warn  conn.cut id=1 reason=max_auth_failures\n"));
    assert_int_equal(net_count(w, M_CONNECTIONS_UNKNOWN), 1);
}

static void a_user_that_was_changed_meanwhile_is_none(void **state)
{
    (void)state;
    client_send(w, &a, "auth [\"ann\", \"secret\"]");
    await_auth();
    verified(0, OTHER);
    hears_next(w, &a, "AUTH_FAILED auth: the user was changed meanwhile");
    client_send(w, &a, "auth [\"eve\", \"secret\"]");
    await_auth();
    verified(0, HASH);
    hears_next(w, &a, "AUTH_FAILED auth: the user was changed meanwhile");
    hears_next(w, &a, "closed");
}

/* What is to be freed is, in whatever order the two answers of the main thread come. */
static void who_leaves_while_it_is_found_out_leaves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        client_send(w, &a, "auth [\"ann\", \"secret\"]");
        await_auth();
        client_close(w, &a);
        while (!w->auth_left)
            net_wait(w);
        struct auth_request *r = w->auth_left;
        assert_ptr_equal(r, w->auth);
        w->auth_left = NULL;
        assert_null(r->conn);
        assert_int_equal(w->io->tickets, 1);
        assert_int_equal(ledger_kind_held(w->ledger, LEDGER_AUTHS), sizeof *r + 2048);
        r->withdrawn = i == 0;
        (void)net_logged(w);
        r->left.recv = r->heard;
        if (i == 0)
            mailbox_send(r->answer_to, &r->left);
        verified(ERR_AUTH_FAILED, "no");
        if (i == 1) {
            net_turn(w);
            mailbox_send(r->answer_to, &r->left);
        }
        net_settle(w);
        net_holds_nothing(w);
        assert_int_equal(strstr(net_logged(w), "auth.failed") != NULL, i == 1);
        client_open(w, &a);
    }
}

static void an_auth_for_which_there_is_no_room_is_refused(void **state)
{
    (void)state;
    struct ledger_page *page = &w->ledger->pages[0];
    hears(w, &a, "ping []", "\"pong\"");
    size_t room = sizeof(struct auth_request) + 2048;
    size_t others = (size_t)w->snapshot->conf->client_memory - ledger_held(w->ledger) - room;
    ledger_add(page, LEDGER_OUTPUT, others + 1);
    hears(w, &a, "auth [\"ann\", \"secret\"]",
          "OVERLOADED auth: the connections together hold client_memory (268435456 bytes)");
    assert_null(w->auth);
    assert_int_equal(net_count(w, M_HELD_REFUSED), 1);
    ledger_take(page, LEDGER_OUTPUT, others + 1);
}

static void a_notification_of_auth_is_not_answered_and_holds_all_the_same(void **state)
{
    (void)state;
    client_send(w, &a, "*auth [\"ann\", \"secret\"]");
    await_auth();
    verified(0, HASH);
    hears(w, &a, "set [\"b\", 1]", "true");
}

static void without_users_everybody_is_right(void **state)
{
    (void)state;
    net_configure(w, "listen = \"127.0.0.1:0\"\n");
    hears(w, &a, "auth [\"ann\", \"secret\"]", "true");
    hears(w, &a, "set [\"c\", 1]", "true");
    assert_null(w->auth);
}

static void nobody_sends_small_frames_and_has_its_time(void **state)
{
    (void)state;
    int64_t opened = a.conn->opened_ms;
    assert_false(auth_is_overdue(a.conn, opened + 2999));
    assert_true(auth_is_overdue(a.conn, opened + 3000));
    a_becomes("ann");
    assert_false(auth_is_overdue(a.conn, opened + 3000));
    struct client b;
    client_open(w, &b);
    client_send(w, &b, auth_of(64, 600));
    hears_next(w, &b, "TOO_LARGE a message of at least 678 bytes; max_frame is 600");
    hears_next(w, &b, "closed");
    client_close(w, &b);
    client_open(w, &b);
    b.conn->opened_ms -= 3000;
    (void)net_logged(w);
    net_sweep(w);
    hears_next(w, &b, "closed");
    LOGS(w, "info  conn.auth_timeout id=3");
    assert_int_equal(net_count(w, M_CONNECTIONS_UNKNOWN), 1);
    b.conn = NULL;
    client_close(w, &b);
}

/* A text of a user's requests is looked at however long the request is. */
static void the_keys_of_a_long_request_are_looked_at_in_slices(void **state)
{
    (void)state;
    for (int crowded = 0; crowded < 2; crowded++) {
        w->crowded = crowded;
        a_becomes("ann");
        hears(w, &a, "set [\"a:7\", 7]", "true");
        uint32_t id;
        client_send(w, &a, call_of_many("get_many", "a:", 1000, ", {\"partial\": true}"));
        const char *is = client_next(w, &a, &id);
        assert_non_null(strstr(is, "{\"value\":7}"));
        assert_non_null(strstr(is, "NO_LOADER a:1000: "));
        hears(w, &a, call_of_many("get_many", "b", 1000, ""),
              "DENIED get_many: the user \"ann\" has no right to the key b1");
        hears(w, &a, call_of_many("expire_many", "a:", 1000, ""),
              "DENIED expire_many: the user \"ann\" has no right \"invalidate\"");
        a_becomes("ops");
        hears(w, &a, call_of_many("expire_many", "c:", 1000, ""), "0");
    }
    assert_int_equal(net_count(w, M_DENIED), 4);
}

static void a_reload_lets_go_of_those_whose_user_is_another(void **state)
{
    (void)state;
    a_becomes("ann");
    struct client b;
    client_open(w, &b);
    (void)net_logged(w);
    net_configure(w, "listen = \"127.0.0.1:0\"\n"
                     "users = ({ name = \"ann\", password_hash = \"" OTHER
                     "\", rights = [\"read\"] })\n");
    hears_next(w, &a, "closed");
    hears(w, &b, "ping []", "\"pong\""); /* it was nobody, and is */
    hears(w, &b, "get [\"k\"]", "UNAUTHENTICATED get: authenticate first: auth [name, password]");
    LOGS(w, "info  conn.user_changed id=1 user=\"ann\"");
    assert_int_equal(net_count(w, M_CONNECTIONS_UNKNOWN), 1);
    client_close(w, &b);
    a.conn = NULL;
}

/* What the one before subscribed to, the next one does not hear. */
static void another_user_hears_nothing_of_what_the_last_one_subscribed_to(void **state)
{
    (void)state;
    a_becomes("ops");
    hears(w, &a, "subscribe [{\"keys\": \"k\"}]", "1");
    a_becomes("ops");
    hears(w, &a, "unsubscribe [{}]", "1");
    a_becomes("ann");
    hears(w, &a, "unsubscribe [{}]", "0");
    assert_int_equal(net_count(w, M_UNSUBSCRIBED), 1);
    hears(w, &a, "subscribe [{\"keys\": \"a:1\", \"patterns\": \"a:*\"}]", "2");
    struct client b;
    client_open(w, &b);
    client_send(w, &b, "auth [\"ops\", \"secret\"]");
    await_auth();
    verified(0, HASH);
    hears_next(w, &b, "true");
    hears(w, &b, "invalidate_tag [\"t\"]", "true"); /* ann has keys of her own */
    hears_next(w, &a, "-> [{\"all\":true,\"cause\":\"invalidate\"}]");
    hears(w, &b, "expire_match [\"*\"]", "true");
    hears_next(w, &a, "-> [{\"all\":true,\"cause\":\"expire\"}]");
    hears(w, &b, "expire_match [\"a:1*\"]", "true");
    hears_next(w, &a, "-> [{\"pattern\":\"a:1*\",\"cause\":\"expire\"}]");
    hears(w, &b, "set [\"a:1\", 1]", "true");
    hears_next(w, &a, "-> [{\"key\":\"a:1\",\"cause\":\"set\"}]");
    client_close(w, &b);
}

static void floors_are_lifted_by_who_has_their_keys(void **state)
{
    (void)state;
    net_configure(w, "listen = \"127.0.0.1:0\"\n"
                     "users = ({ name = \"ann\", password_hash = \"" HASH
                     "\", rights = [\"admin\"], keys = [\"a:*\"] })\n");
    a_becomes("ann");
    (void)net_logged(w);
    hears(w, &a, "lift_floors [{\"key\": \"a:1\"}]", "false");
    hears(w, &a, "lift_floors [{\"match\": \"a:1*\"}]", "true");
    hears(w, &a, "lift_floors [{\"key\": \"b\"}]",
          "DENIED lift_floors: the user \"ann\" has no right to the key b");
    hears(w, &a, "lift_floors [{\"match\": \"a*\"}]",
          "DENIED lift_floors: the user \"ann\" has no right to the pattern a*");
    hears(w, &a, "lift_floors [{\"all\": true}]",
          "DENIED lift_floors: the user \"ann\" has no right to the pattern *");
    LOGS(w, "warn  floors.lifted user=\"ann\" key=\"a:1\" had=0",
         "warn  floors.lifted user=\"ann\" match=\"a:1*\"");
    assert_int_equal(net_count(w, M_DENIED), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
        ONE(nobody_may_ask_for_little),
        ONE(a_name_and_a_password_are_as_long_as_they_may_be),
        ONE(what_is_sent_behind_an_auth_waits_for_its_answer),
        ONE(failures_are_counted_until_the_last_one_that_is_allowed),
        ONE(a_user_that_was_changed_meanwhile_is_none),
        ONE(who_leaves_while_it_is_found_out_leaves_nothing),
        ONE(an_auth_for_which_there_is_no_room_is_refused),
        ONE(a_notification_of_auth_is_not_answered_and_holds_all_the_same),
        ONE(without_users_everybody_is_right),
        ONE(nobody_sends_small_frames_and_has_its_time),
        ONE(the_keys_of_a_long_request_are_looked_at_in_slices),
        ONE(a_reload_lets_go_of_those_whose_user_is_another),
        ONE(another_user_hears_nothing_of_what_the_last_one_subscribed_to),
        ONE(floors_are_lifted_by_who_has_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
