#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/news.h"

#include <string.h>

/* Two I/O threads, of which the tests play both: each with a loop of its own, and what it was told.
 */
struct side {
    struct mailbox mailbox;
    struct ev_loop *loop;
    int told, lost;
    char last[16];
};

struct world {
    struct news_hub *hub;
    struct side sides[2];
    struct mailbox *mailboxes[2];
};

static struct world w;

static void recv_news(struct message *m, void *owner)
{
    struct side *s = owner;
    const struct news *n = news_of(m);
    if (n->what == NEWS_ALL) {
        assert_int_equal(n->cause, CAUSE_LOST);
        s->lost++;
    } else {
        s->told++;
        assert_true(n->text.size < sizeof s->last);
        memcpy(s->last, n->text.data, n->text.size);
        s->last[n->text.size] = '\0';
    }
    news_done(w.hub, m);
}

static void tell(const char *key)
{
    news_tell(w.hub, &(struct news){.what = NEWS_KEY, .text = slice_str(key)});
}

static void tell_times(int n)
{
    for (int i = 0; i < n; i++)
        tell("key");
}

static void hear(int side)
{
    ev_run(w.sides[side].loop, EVRUN_NOWAIT);
}

static int setup(void **state)
{
    struct err e;
    (void)state;
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 2; i++) {
        struct side *s = &w.sides[i];
        s->loop = ev_loop_new(EVFLAG_AUTO);
        mailbox_init(&s->mailbox, s->loop, s);
        w.mailboxes[i] = &s->mailbox;
    }
    return news_hub_new(&w.hub, w.mailboxes, 2, 3, recv_news, &e);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        mailbox_fini(&w.sides[i].mailbox);
        ev_loop_destroy(w.sides[i].loop);
    }
    news_hub_free(w.hub);
    return 0;
}

static void heard(int side, int told, int lost)
{
    hear(side);
    assert_int_equal(w.sides[side].told, told);
    assert_int_equal(w.sides[side].lost, lost);
}

static void who_listens_is_told_and_no_other(void **state)
{
    (void)state;
    tell("nobody");
    heard(0, 0, 0);
    news_listen(w.hub, 1, true);
    tell("a key");
    heard(0, 0, 0);
    heard(1, 1, 0);
    assert_string_equal(w.sides[1].last, "a key");
    news_listen(w.hub, 1, false);
    tell("nobody");
    heard(1, 1, 0);
    news_tell(NULL, &(struct news){.what = NEWS_ALL});
}

static void what_has_arrived_makes_room(void **state)
{
    (void)state;
    news_listen(w.hub, 0, true);
    for (int i = 1; i <= 10; i++) {
        tell_times(3); /* as many as may be on their way */
        heard(0, 3 * i, 0);
    }
}

static void past_its_bound_a_slot_hears_once_of_a_loss_and_each_time_anew(void **state)
{
    (void)state;
    news_listen(w.hub, 0, true);
    for (int i = 1; i <= 5; i++) {
        tell_times(3 + i); /* the first three are on their way, the rest are one loss */
        heard(0, 3 * i, i);
    }
    tell_times(3); /* no place was lost with them */
    heard(0, 18, 5);
}

static void one_that_does_not_hear_takes_nothing_from_another(void **state)
{
    (void)state;
    news_listen(w.hub, 0, true);
    news_listen(w.hub, 1, true);
    for (int i = 1; i <= 10; i++) {
        tell("key");
        heard(1, i, 0);
    }
    heard(0, 3, 1);
    tell("key");
    heard(0, 4, 1);
    heard(1, 11, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_listens_is_told_and_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_arrived_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(
            past_its_bound_a_slot_hears_once_of_a_loss_and_each_time_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_does_not_hear_takes_nothing_from_another, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
