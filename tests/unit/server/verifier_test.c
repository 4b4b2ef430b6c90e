/* Passwords that are verified: who is answered what, what is recognized without a hash, who waits,
 * and what becomes of those that do not wait any longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"

#include "base/clock.h"
#include "net/auth.h"
#include "server/server.h"
#include "server/verifier.h"

/* Cheap hashes (8 MiB, one pass) of "other". */
#define HASH                                                                                       \
    "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$"                                        \
    "LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

#define REQUESTS 8

static struct server *s;
static struct mailbox answers;
static struct auth_request requests[REQUESTS];
static bool answered[REQUESTS], heard[REQUESTS];
static uint64_t counted[M_COUNT];

static void on_answered(struct message *m, void *owner)
{
    (void)owner;
    answered[container_of(m, struct auth_request, message) - requests] = true;
}

static void on_heard(struct message *m, void *owner)
{
    (void)owner;
    heard[container_of(m, struct auth_request, left) - requests] = true;
}

static int start(void **state)
{
    struct err e;
    if (folder_make(state) != 0)
        return -1;
    memset(answered, 0, sizeof answered);
    memset(heard, 0, sizeof heard);
    s = calloc(1, sizeof *s);
    s->loop = ev_loop_new(EVFLAG_AUTO);
    s->conf = load("max_auth_queue = 3\nauth_share_address = 1\nauth_share_network = 1\n"
                   "auth_delay = \"1min\"\nauth_delay_cap = \"1min\"\n"
                   "users = (\n"
                   "  { name = \"ann\", password_hash = \"" HASH "\", rights = [\"read\"] },\n"
                   "  { name = \"bob\", password_hash = \"" HASH "\", rights = [\"read\"] },\n"
                   "  { name = \"uid\", unix_user = \"12345\", rights = [\"read\"] } )\n");
    assert_int_equal(snapshot_new(&s->snapshot, conf_ref(s->conf), 1, NULL, &e), 0);
    mailbox_init(&answers, s->loop, NULL);
    assert_int_equal(verifier_new(&s->verifier, s, &e), 0);
    for (int i = 0; i < M_COUNT; i++)
        counted[i] = atomic_load(&metrics_mine()->counters[i]);
    return 0;
}

static int stop(void **state)
{
    verifier_free(s->verifier);
    mailbox_fini(&answers);
    snapshot_unref(s->snapshot);
    conf_unref(s->conf);
    ev_loop_destroy(s->loop);
    free(s);
    return folder_remove(state);
}

static int counts(enum metric_counter id)
{
    return (int)(atomic_load(&metrics_mine()->counters[id]) - counted[id]);
}

/* The nth request: of that name from one address; 127.0.0.host. failures: of its connection. */
static struct auth_request *ask_after(int n, const char *name, const char *password,
                                      unsigned char host, unsigned failures)
{
    struct auth_request *r = &requests[n];
    *r = (struct auth_request){.answer_to = &answers, .answered = on_answered, .heard = on_heard};
    list_init(&r->link);
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->password, sizeof r->password, "%s", password);
    r->failures = failures;
    r->name_size = strlen(name);
    r->password_size = strlen(password);
    memcpy(r->peer.bytes, (const char[]){'4', 127, 0, 0, (char)host}, 5);
    r->peer.address_size = 5;
    r->peer.network_size = 4;
    verifier_recv(&r->message, s);
    assert_string_equal(r->password, ""); /* it is wiped before anything is waited for */
    return r;
}

static struct auth_request *ask(int n, const char *name, const char *password, unsigned char host)
{
    return ask_after(n, name, password, host, 0);
}

static void await(int n)
{
    while (!answered[n])
        ev_run(s->loop, EVRUN_ONCE);
    answered[n] = false;
    for (size_t i = 0; i < sizeof requests[n].password; i++)
        assert_int_equal(requests[n].password[i], 0);
}

/* Turns, without an event to wait for: it is not answered. */
static void waits(int n)
{
    for (int i = 0; i < 5; i++)
        ev_run(s->loop, EVRUN_NOWAIT);
    assert_false(answered[n]);
}

static void is_refused(const struct auth_request *r, int code, const char *text)
{
    assert_int_equal(r->rc, code);
    assert_int_equal(r->err.code, code);
    assert_string_equal(r->err.text, text);
    assert_string_equal(r->hash, "");
}

#define WRONG "auth: there is no such user, or the password is another one"

static void who_was_right_is_recognized_without_a_hash(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        const struct auth_request *r = ask(0, "ann", "other", i == 2 ? 2 : 1);
        await(0);
        assert_int_equal(r->rc, 0);
        assert_string_equal(r->hash, HASH);
        assert_int_equal(counts(M_AUTHS), i + 1);
        assert_int_equal(counts(M_AUTHS_CACHED), i);
    }
    ask(0, "bob", "other", 1); /* another user of that password */
    await(0);
    assert_int_equal(counts(M_AUTHS_CACHED), 2);
    assert_int_equal(counts(M_AUTHS_FAILED), 0);
}

static void who_is_wrong_or_unknown_is_told_the_same_and_held_back(void **state)
{
    (void)state;
    static const char *const names[] = {"ann", "eve", "uid"};
    for (int i = 0; i < 3; i++) {
        const struct auth_request *r = ask(i, names[i], i == 0 ? "wrong" : "other", 1);
        await(i);
        is_refused(r, ERR_AUTH_FAILED, WRONG);
        assert_int_equal(counts(M_AUTHS_FAILED), i + 1);
    }
    assert_int_equal(counts(M_AUTHS_HELD), 0);
    ask(0, "ann", "other", 1);
    waits(0);
    assert_int_equal(counts(M_AUTHS_HELD), 1);
    ask(1, "bob", "other", 1); /* whom no failure was of */
    await(1);
    assert_int_equal(requests[1].rc, 0);
    assert_int_equal(counts(M_AUTHS_HELD), 1);
}

static void equal_requests_of_one_address_are_one_attempt(void **state)
{
    (void)state;
    ask(0, "ann", "other", 1);
    ask(1, "ann", "other", 1);
    ask(2, "ann", "wrong", 1);
    await(0);
    await(1);
    assert_int_equal(requests[0].rc, 0);
    assert_int_equal(requests[1].rc, 0);
    assert_string_equal(requests[1].hash, HASH);
    assert_int_equal(counts(M_AUTHS), 2);
    assert_int_equal(counts(M_AUTHS_CACHED), 0);
    await(2);
    assert_int_equal(requests[2].rc, ERR_AUTH_FAILED);
    assert_int_equal(counts(M_AUTHS_HELD), 1); /* behind another of its name */
}

/* What is held back has its turn by itself, no sooner than it may: each failure doubles that. */
static void what_is_held_back_has_its_turn_when_its_time_is_over(void **state)
{
    (void)state;
    s->snapshot->conf->auth_delay_ms = 20;
    for (int i = 0; i < 4; i++) {
        int64_t began_ms = clock_ms();
        ask(0, "ann", i < 3 ? "wrong" : "other", 1);
        await(0);
        assert_int_equal(requests[0].rc, i < 3 ? ERR_AUTH_FAILED : 0);
        assert_true(clock_ms() - began_ms >= (i == 0 ? 0 : 10 << i));
    }
    assert_int_equal(counts(M_AUTHS_HELD), 3);
}

/* A connection that has failed is held back under whatever name. */
static void failures_of_a_connection_count_for_every_name(void **state)
{
    (void)state;
    s->snapshot->conf->auth_delay_ms = 10;
    s->snapshot->conf->auth_delay_cap_ms = 15; /* not four times as long */
    int64_t began_ms = clock_ms();
    ask_after(0, "bob", "other", 1, 3);
    await(0);
    assert_int_equal(requests[0].rc, 0);
    assert_true(clock_ms() - began_ms >= 15);
    assert_int_equal(counts(M_AUTHS_HELD), 1);
}

/* Nobody has failed, so that they wait for the one thread alone. */
static void so_many_wait_and_no_more(void **state)
{
    (void)state;
    static const char *const names[] = {"a1", "a2", "a3", "a4"};
    for (int i = 0; i < 3; i++)
        ask(i, names[i], "x", 1);
    const struct auth_request *r = ask(3, names[3], "x", 1);
    await(3);
    is_refused(
        r, ERR_OVERLOADED,
        "auth: max_auth_queue attempts are waiting, or as many of this address or network as "
        "may");
    assert_int_equal(counts(M_AUTHS_REFUSED), 1);
    assert_int_equal(counts(M_AUTHS_DISPLACED), 0);
    for (int i = 0; i < 3; i++)
        await(i);
    assert_int_equal(counts(M_AUTHS_FAILED), 3);
    ask(3, names[3], "x", 1);
    await(3);
    assert_int_equal(requests[3].rc, ERR_AUTH_FAILED); /* there is a place again */
}

/* Who has most of the places makes room for who has none. */
static void a_place_goes_to_who_has_fewer(void **state)
{
    (void)state;
    static const char *const names[] = {"a1", "a2", "a3", "a4"};
    for (int i = 0; i < 4; i++)
        ask(i, names[i], "x", i == 3 ? 2 : 1);
    int displaced = 0;
    for (int i = 0; i < 4; i++) {
        await(i);
        if (requests[i].rc == ERR_OVERLOADED) {
            displaced++;
            is_refused(&requests[i], ERR_OVERLOADED,
                       "auth: its place among max_auth_queue went to somebody who has fewer");
        }
    }
    assert_int_equal(displaced, 1);
    assert_int_equal(requests[3].rc, ERR_AUTH_FAILED);
    assert_int_equal(counts(M_AUTHS_DISPLACED), 1);
    assert_int_equal(counts(M_AUTHS_REFUSED), 1);
    assert_int_equal(counts(M_AUTHS_FAILED), 3);
}

/* What was right of one address is known when the turn of another comes. */
static void what_was_found_right_meanwhile_costs_no_hash(void **state)
{
    (void)state;
    ask(0, "ann", "other", 1);
    ask(1, "ann", "other", 2);
    await(0);
    await(1);
    assert_int_equal(requests[1].rc, 0);
    assert_string_equal(requests[1].hash, HASH);
    assert_int_equal(counts(M_AUTHS), 2);
    assert_int_equal(counts(M_AUTHS_CACHED), 1);
}

static void leave(int n)
{
    verifier_recv_left(&requests[n].left, s);
    while (!heard[n])
        ev_run(s->loop, EVRUN_ONCE);
    heard[n] = false;
}

static void who_leaves_before_its_turn_gives_up_its_place(void **state)
{
    (void)state;
    ask(0, "ann", "wrong", 1);
    await(0);
    ask(0, "ann", "other", 1); /* held back */
    ask(1, "ann", "other", 1); /* with it */
    leave(1);
    await(1);
    assert_true(requests[1].withdrawn);
    is_refused(&requests[1], ERR_SHUTDOWN, "auth: its client has left");
    waits(0);
    assert_int_equal(counts(M_AUTHS_LEFT), 1);
    leave(0);
    await(0);
    assert_true(requests[0].withdrawn);
    assert_int_equal(counts(M_AUTHS_LEFT), 2);
    ask(2, "bob", "other", 1);
    ask(3, "bob", "other", 1);
    leave(3); /* of an attempt that goes on for the other one */
    leave(2); /* whose turn has come: it is answered as if it were there */
    await(2);
    assert_false(requests[2].withdrawn);
    assert_int_equal(requests[2].rc, 0);
    assert_int_equal(counts(M_AUTHS_LEFT), 3);
    leave(2); /* after its answer */
    assert_int_equal(counts(M_AUTHS_LEFT), 3);
}

static void a_server_that_goes_down_lets_nobody_wait(void **state)
{
    (void)state;
    ask(0, "ann", "wrong", 1);
    await(0);
    ask(0, "ann", "other", 1);
    waits(0);
    verifier_drain(s->verifier);
    await(0);
    is_refused(&requests[0], ERR_SHUTDOWN, "auth: the server is going down");
    s->draining = true;
    ask(1, "bob", "other", 1);
    await(1);
    is_refused(&requests[1], ERR_SHUTDOWN, "auth: the server is going down");
    s->draining = false;
    ask(2, "bob", "other", 1); /* whose turn has come */
    verifier_drain(s->verifier);
    await(2);
    assert_int_equal(requests[2].rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ONE(test) cmocka_unit_test_setup_teardown(test, start, stop)
        ONE(who_was_right_is_recognized_without_a_hash),
        ONE(who_is_wrong_or_unknown_is_told_the_same_and_held_back),
        ONE(equal_requests_of_one_address_are_one_attempt),
        ONE(what_is_held_back_has_its_turn_when_its_time_is_over),
        ONE(failures_of_a_connection_count_for_every_name),
        ONE(so_many_wait_and_no_more),
        ONE(a_place_goes_to_who_has_fewer),
        ONE(what_was_found_right_meanwhile_costs_no_hash),
        ONE(who_leaves_before_its_turn_gives_up_its_place),
        ONE(a_server_that_goes_down_lets_nobody_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
