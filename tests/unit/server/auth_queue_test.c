/* Whose password is verified next: in turn, one of a name at a time, and with room for newcomers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/auth_queue.h"

#include <stdio.h>
#include <string.h>

#define ITEMS 64

static struct auth_queue *queue;
static struct auth_item items[ITEMS]; /* by letter */
static const struct auth_shares wide = {.all = 1000, .of_network = 1000, .of_address = 1000};

static int make(void **state)
{
    (void)state;
    struct err e;
    memset(items, 0, sizeof items);
    return auth_queue_new(&queue, &e);
}

static int drop(void **state)
{
    (void)state;
    auth_queue_free(queue);
    return 0;
}

static struct auth_key key(const char *text)
{
    struct auth_key k = {.bytes = {0}};
    memcpy(k.bytes, text, strlen(text));
    return k;
}

static struct auth_item *item_of(char letter)
{
    return &items[letter - 'A'];
}

/* from: "network.address". name NULL: one that nobody else uses. */
static int push_at(char letter, const char *from, const char *name, int64_t not_before_ms,
                   const struct auth_shares *shares, char *gone)
{
    struct auth_item *item = item_of(letter), *left = NULL;
    char network[16], own[2] = {letter, '\0'};
    snprintf(network, sizeof network, "%.*s", (int)strcspn(from, "."), from);
    *item = (struct auth_item){.address = key(from),
                               .network = key(network),
                               .name = key(name ? name : own),
                               .not_before_ms = not_before_ms};
    list_init(&item->link);
    int rc = auth_queue_push(queue, item, shares, &left);
    *gone = left ? (char)('A' + (left - items)) : '-';
    return rc;
}

static void push(char letter, const char *from, const char *name)
{
    char gone;
    assert_int_equal(push_at(letter, from, name, 0, &wide, &gone), 0);
    assert_int_equal(gone, '-');
}

static char take(int64_t now_ms, int64_t *wait_ms)
{
    struct auth_item *item = auth_queue_take(queue, now_ms, wait_ms);
    return item ? (char)('A' + (item - items)) : '-';
}

/* Takes one after the other, each of which ends before the next; all that are due. */
static void expect_order(const char *letters)
{
    char got[ITEMS + 1] = "";
    int64_t wait_ms;
    size_t n = 0;
    char letter;
    while (n < ITEMS && (letter = take(0, &wait_ms)) != '-') {
        got[n++] = letter;
        auth_queue_leave(queue, item_of(letter), 0);
    }
    assert_string_equal(got, letters);
}

static void leave_all(const char *letters)
{
    for (; *letters; letters++)
        auth_queue_leave(queue, item_of(*letters), 0);
}

static void one_address_is_served_in_order(void **state)
{
    (void)state;
    int64_t wait_ms;
    push('A', "n.1", NULL);
    push('B', "n.1", NULL);
    push('C', "n.1", NULL);
    expect_order("ABC");
    assert_int_equal(take(0, &wait_ms), '-');
    assert_int_equal(wait_ms, -1);
}

static void networks_take_turns_however_much_one_sends(void **state)
{
    (void)state;
    for (char c = 'A'; c <= 'H'; c++)
        push(c, "flood.1", NULL);
    push('X', "own.1", NULL);
    push('Y', "own.1", NULL);
    push('Z', "third.1", NULL);
    expect_order("AXZBYCDEFGH");
}

static void addresses_of_a_network_take_turns_within_its_turn(void **state)
{
    (void)state;
    for (char c = 'A'; c <= 'D'; c++)
        push(c, "flood.1", NULL);
    push('E', "flood.2", NULL);
    push('F', "flood.2", NULL);
    push('X', "own.1", NULL);
    push('Y', "own.1", NULL);
    expect_order("AXEYBFCD");
}

/* Who comes while one of a long queue is verified is next. */
static void a_newcomer_is_behind_nobody_whose_turn_it_was(void **state)
{
    (void)state;
    int64_t wait_ms;
    for (char c = 'A'; c <= 'D'; c++)
        push(c, "flood.1", NULL);
    assert_int_equal(take(0, &wait_ms), 'A');
    push('X', "own.1", NULL);
    auth_queue_leave(queue, item_of('A'), 0);
    push('Y', "n.9", NULL);
    expect_order("XBYCD");
}

/* With two threads none of them waits for the other's network. */
static void two_at_a_time_are_of_two_networks(void **state)
{
    (void)state;
    int64_t wait_ms;
    for (char c = 'A'; c <= 'D'; c++)
        push(c, "flood.1", NULL);
    push('X', "own.1", NULL);
    push('Y', "third.1", NULL);
    assert_int_equal(take(0, &wait_ms), 'A');
    assert_int_equal(take(0, &wait_ms), 'X');
    auth_queue_leave(queue, item_of('A'), 0);
    assert_int_equal(take(0, &wait_ms), 'Y');
    auth_queue_leave(queue, item_of('X'), 0);
    auth_queue_leave(queue, item_of('Y'), 0);
    expect_order("BCD");
}

static void one_of_a_name_goes_at_a_time(void **state)
{
    (void)state;
    int64_t wait_ms;
    push('A', "n.1", "app");
    push('B', "n.2", "app");
    push('C', "n.1", "app");
    push('D', "n.1", "jobs");
    assert_false(auth_queue_is_behind(item_of('D')));
    assert_true(auth_queue_is_behind(item_of('B')));
    assert_int_equal(take(0, &wait_ms), 'A');
    assert_int_equal(take(0, &wait_ms), 'D'); /* another name is not held by it */
    assert_int_equal(take(0, &wait_ms), '-');
    assert_int_equal(wait_ms, -1); /* no time brings it: A does */
    auth_queue_leave(queue, item_of('A'), 0);
    assert_int_equal(take(0, &wait_ms), 'B'); /* the other address is next */
    assert_int_equal(take(0, &wait_ms), '-');
    auth_queue_leave(queue, item_of('B'), 0);
    assert_int_equal(take(0, &wait_ms), 'C');
    leave_all("CD");
}

static void a_failure_holds_back_those_that_wait_already(void **state)
{
    (void)state;
    int64_t wait_ms;
    push('A', "n.1", "app");
    push('B', "n.1", "app");
    push('C', "n.2", "app");
    assert_int_equal(take(100, &wait_ms), 'A');
    auth_queue_leave(queue, item_of('A'), 300);
    assert_int_equal(take(100, &wait_ms), '-');
    assert_int_equal(wait_ms, 200);
    assert_int_equal(take(299, &wait_ms), '-');
    assert_int_equal(wait_ms, 1);
    assert_int_equal(take(300, &wait_ms), 'C');
    auth_queue_leave(queue, item_of('C'), 700); /* each failure anew */
    assert_int_equal(take(699, &wait_ms), '-');
    assert_int_equal(take(700, &wait_ms), 'B');
    auth_queue_leave(queue, item_of('B'), 0);
}

static void one_that_is_held_back_holds_up_no_other(void **state)
{
    (void)state;
    int64_t wait_ms;
    char gone;
    assert_int_equal(push_at('A', "n.1", NULL, 500, &wide, &gone), 0);
    assert_int_equal(push_at('B', "n.1", NULL, 400, &wide, &gone), 0);
    push('C', "n.1", NULL);
    assert_int_equal(take(0, &wait_ms), 'C');
    assert_int_equal(take(0, &wait_ms), '-');
    assert_int_equal(wait_ms, 400);
    assert_int_equal(take(400, &wait_ms), 'B');
    assert_int_equal(take(400, &wait_ms), '-');
    assert_int_equal(wait_ms, 100);
    leave_all("ABC");
}

/* A later end with an earlier time opens no gate sooner. */
static void a_gate_stays_shut_for_the_longest_time(void **state)
{
    (void)state;
    int64_t wait_ms;
    push('A', "n.1", "app");
    push('B', "n.1", "app");
    push('C', "n.1", "app");
    assert_int_equal(take(0, &wait_ms), 'A');
    auth_queue_leave(queue, item_of('A'), 900);
    auth_queue_leave(queue, item_of('B'), 0);
    assert_int_equal(take(800, &wait_ms), '-');
    assert_int_equal(wait_ms, 100);
    leave_all("C");
    push('D', "n.1", "app"); /* nobody was left: who comes next is told its time by who asks */
    assert_int_equal(take(0, &wait_ms), 'D');
    leave_all("D");
}

static void an_address_and_a_network_have_a_share(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 100, .of_network = 3, .of_address = 2};
    int64_t wait_ms;
    char gone;
    assert_int_equal(push_at('A', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('B', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('C', "n.1", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(take(0, &wait_ms), 'A'); /* it counts until it leaves */
    assert_int_equal(push_at('C', "n.1", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(push_at('D', "n.2", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('E', "n.2", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(push_at('X', "other.1", NULL, 0, &s, &gone), 0);
    auth_queue_leave(queue, item_of('A'), 0);
    assert_int_equal(push_at('E', "n.2", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, '-');
    leave_all("BDEX");
}

static void within_a_full_network_who_has_most_gives_way(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 100, .of_network = 4, .of_address = 3};
    char gone;
    assert_int_equal(push_at('X', "other.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('A', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('B', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('C', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('D', "n.2", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('E', "n.3", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'C'); /* the newest of the one that has most */
    assert_int_equal(push_at('F', "n.3", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(push_at('G', "n.2", NULL, 0, &s, &gone), ERR_OVERLOADED);
    expect_order("XADEB");
}

static void in_a_full_queue_the_network_that_has_most_gives_way(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 6, .of_network = 4, .of_address = 3};
    int64_t wait_ms;
    char gone;
    assert_int_equal(push_at('A', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('B', "n.2", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('C', "n.2", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('D', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('M', "m.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('N', "m.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(take(0, &wait_ms), 'A'); /* what is under way does not give way */
    assert_int_equal(push_at('X', "own.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'C');
    assert_int_equal(push_at('Y', "own.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'D');
    /* Two, two and two: nobody has less than another. */
    assert_int_equal(push_at('Z', "own.1", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(push_at('O', "m.2", NULL, 0, &s, &gone), ERR_OVERLOADED);
    /* One has none. */
    assert_int_equal(push_at('P', "new.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'N');
    leave_all("ABMXYP");
}

static void who_has_one_less_gets_no_place_of_another(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 3, .of_network = 3, .of_address = 3};
    char gone;
    assert_int_equal(push_at('A', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('B', "n.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('X', "own.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('Y', "own.1", NULL, 0, &s, &gone), ERR_OVERLOADED);
    assert_int_equal(push_at('Z', "new.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'B');
    leave_all("AXZ");
}

/* The network that has most has nothing that waits: the next one gives way. */
static void what_is_under_way_is_passed_over(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 5, .of_network = 5, .of_address = 5};
    int64_t wait_ms;
    char gone;
    for (char c = 'A'; c <= 'C'; c++)
        assert_int_equal(push_at(c, "n.1", NULL, 0, &s, &gone), 0);
    for (char c = 'A'; c <= 'C'; c++)
        assert_int_equal(take(0, &wait_ms), c);
    assert_int_equal(push_at('M', "m.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('N', "m.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(push_at('X', "own.1", NULL, 0, &s, &gone), 0);
    assert_int_equal(gone, 'N');
    leave_all("ABCMX");
}

static void a_flood_of_any_size_leaves_room_for_the_next(void **state)
{
    (void)state;
    const struct auth_shares s = {.all = 16, .of_network = 4, .of_address = 2};
    char gone, from[16];
    int taken = 0;
    for (int i = 0; i < 24; i++) { /* six networks with two addresses each */
        snprintf(from, sizeof from, "f%d.%d", i % 6, i % 12);
        taken += push_at((char)('A' + i), from, NULL, 0, &s, &gone) == 0 && gone == '-';
    }
    assert_int_equal(taken, 16);
    assert_int_equal(push_at('Z', "own.1", NULL, 0, &s, &gone), 0);
    assert_int_not_equal(gone, '-');
    int64_t wait_ms;
    int turns = 0;
    for (char c = take(0, &wait_ms); c != '-'; c = take(0, &wait_ms)) {
        turns++;
        auth_queue_leave(queue, item_of(c), 0);
        if (c == 'Z')
            assert_true(turns <= 7); /* one of each network, and it */
    }
    assert_int_equal(turns, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_address_is_served_in_order, make, drop),
        cmocka_unit_test_setup_teardown(networks_take_turns_however_much_one_sends, make, drop),
        cmocka_unit_test_setup_teardown(addresses_of_a_network_take_turns_within_its_turn, make,
                                        drop),
        cmocka_unit_test_setup_teardown(a_newcomer_is_behind_nobody_whose_turn_it_was, make, drop),
        cmocka_unit_test_setup_teardown(two_at_a_time_are_of_two_networks, make, drop),
        cmocka_unit_test_setup_teardown(one_of_a_name_goes_at_a_time, make, drop),
        cmocka_unit_test_setup_teardown(a_failure_holds_back_those_that_wait_already, make, drop),
        cmocka_unit_test_setup_teardown(one_that_is_held_back_holds_up_no_other, make, drop),
        cmocka_unit_test_setup_teardown(a_gate_stays_shut_for_the_longest_time, make, drop),
        cmocka_unit_test_setup_teardown(an_address_and_a_network_have_a_share, make, drop),
        cmocka_unit_test_setup_teardown(within_a_full_network_who_has_most_gives_way, make, drop),
        cmocka_unit_test_setup_teardown(in_a_full_queue_the_network_that_has_most_gives_way, make,
                                        drop),
        cmocka_unit_test_setup_teardown(who_has_one_less_gets_no_place_of_another, make, drop),
        cmocka_unit_test_setup_teardown(what_is_under_way_is_passed_over, make, drop),
        cmocka_unit_test_setup_teardown(a_flood_of_any_size_leaves_room_for_the_next, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
