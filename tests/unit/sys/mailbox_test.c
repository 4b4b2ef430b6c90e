#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/mailbox.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDERS = 4, EACH = 20000 };

struct numbered {
    struct message message;
    int sender, number;
};

struct receiver {
    struct mailbox mailbox;
    struct ev_loop *loop;
    int next[SENDERS];
    int received, wanted, disorder;
};

static void count_recv(struct message *m, void *owner)
{
    struct receiver *r = owner;
    struct numbered *n = (struct numbered *)m;
    if (n->number != r->next[n->sender])
        r->disorder++;
    r->next[n->sender] = n->number + 1;
    if (++r->received == r->wanted)
        ev_break(r->loop, EVBREAK_ALL);
    free(n);
}

static void send_number(struct mailbox *mb, int sender, int number)
{
    struct numbered *n = malloc(sizeof *n);
    n->message.recv = count_recv;
    n->sender = sender;
    n->number = number;
    mailbox_send(mb, &n->message);
}

/* A loop that runs until ev_break, though nothing but a mailbox is in it. */
static void receiver_init(struct receiver *r, int wanted)
{
    *r = (struct receiver){.wanted = wanted, .loop = ev_loop_new(EVFLAG_AUTO)};
    mailbox_init(&r->mailbox, r->loop, r);
    ev_ref(r->loop);
}

static void receiver_fini(struct receiver *r)
{
    ev_unref(r->loop);
    mailbox_fini(&r->mailbox);
    ev_loop_destroy(r->loop);
}

struct sender {
    struct receiver *to;
    int id;
};

static void *send_many(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < EACH; i++)
        send_number(&s->to->mailbox, s->id, i);
    return NULL;
}

static void delivers_all_and_keeps_each_senders_order(void **state)
{
    (void)state;
    struct receiver r;
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    receiver_init(&r, SENDERS * EACH);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.to = &r, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    ev_run(r.loop, 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(r.received, SENDERS * EACH);
    assert_int_equal(r.disorder, 0);
    receiver_fini(&r);
}

/* Each message is sent only when the one before it was received: every one needs its own wake-up,
 * and a lost one would hang the test. */
struct ping {
    struct message message;
    struct receiver *to;
    sem_t received;
};

static void ping_recv(struct message *m, void *owner)
{
    struct receiver *r = owner;
    if (++r->received == r->wanted)
        ev_break(r->loop, EVBREAK_ALL);
    sem_post(&((struct ping *)m)->received);
}

static void *send_pings(void *arg)
{
    struct ping *p = arg;
    for (int i = 0; i < EACH / SENDERS; i++) {
        mailbox_send(&p->to->mailbox, &p->message);
        sem_wait(&p->received);
    }
    return NULL;
}

static void never_loses_a_wake_up(void **state)
{
    (void)state;
    struct receiver r;
    struct ping pings[2];
    pthread_t threads[2];
    receiver_init(&r, 2 * (EACH / SENDERS));
    for (int i = 0; i < 2; i++) {
        pings[i] = (struct ping){.message.recv = ping_recv, .to = &r};
        sem_init(&pings[i].received, 0, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, send_pings, &pings[i]), 0);
    }
    ev_run(r.loop, 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        sem_destroy(&pings[i].received);
    }
    assert_int_equal(r.received, r.wanted);
    receiver_fini(&r);
}

static void receives_what_is_left_when_it_ends(void **state)
{
    (void)state;
    struct receiver r;
    receiver_init(&r, 1000);
    for (int i = 0; i < 3; i++)
        send_number(&r.mailbox, 0, i);
    receiver_fini(&r);
    assert_int_equal(r.received, 3);
    assert_int_equal(r.disorder, 0);
    mailbox_fini(&r.mailbox); /* a second time does nothing */
}

static void drain_recv(struct message *m, void *owner)
{
    struct receiver *r = owner;
    r->received++;
    mailbox_drain(&r->mailbox);
    free(m);
}

static void keeps_the_order_when_it_is_drained_by_a_message(void **state)
{
    (void)state;
    struct receiver r;
    receiver_init(&r, 1000);
    struct message *m = malloc(sizeof *m);
    m->recv = drain_recv;
    send_number(&r.mailbox, 0, 0);
    mailbox_send(&r.mailbox, m);
    for (int i = 1; i < 10; i++)
        send_number(&r.mailbox, 0, i);
    mailbox_drain(&r.mailbox);
    assert_int_equal(r.received, 11);
    assert_int_equal(r.disorder, 0);
    receiver_fini(&r);
}

static int received_before_end;

static void end_recv(struct message *m, void *owner)
{
    struct receiver *r = owner;
    ev_break(r->loop, EVBREAK_ALL);
    ev_unref(r->loop);
    mailbox_fini(&r->mailbox);
    received_before_end = r->received;
    free(r);
    free(m);
}

static void may_be_ended_and_released_by_a_message(void **state)
{
    (void)state;
    struct receiver *r = malloc(sizeof *r);
    receiver_init(r, 1000);
    struct ev_loop *loop = r->loop;
    struct message *m = malloc(sizeof *m);
    m->recv = end_recv;
    send_number(&r->mailbox, 0, 0);
    mailbox_send(&r->mailbox, m);
    send_number(&r->mailbox, 0, 1);
    ev_run(loop, 0);
    assert_int_equal(received_before_end, 2);
    ev_loop_destroy(loop);
}

static void drain_and_leave_recv(struct message *m, void *owner)
{
    struct receiver *r = owner;
    free(m);
    mailbox_drain(&r->mailbox); /* in which the mailbox ends */
}

/* Whoever drains it outside of that touches it no more. */
static void may_be_ended_while_it_is_drained_by_a_message(void **state)
{
    (void)state;
    for (int deep = 1; deep <= 3; deep++) {
        struct receiver *r = malloc(sizeof *r);
        receiver_init(r, 1000);
        struct ev_loop *loop = r->loop;
        for (int i = 0; i <= deep; i++) {
            struct message *m = malloc(sizeof *m);
            m->recv = i == deep ? end_recv : drain_and_leave_recv;
            mailbox_send(&r->mailbox, m);
        }
        send_number(&r->mailbox, 0, 0);
        ev_run(loop, 0);
        assert_int_equal(received_before_end, 1); /* what was left came with the end */
        ev_loop_destroy(loop);
    }
}

static void what_is_put_out_together_arrives_together_and_in_order(void **state)
{
    (void)state;
    struct receiver r;
    struct outbox out = {.newest = NULL};
    receiver_init(&r, 1000);
    outbox_flush(&out, &r.mailbox); /* nothing is in it */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            struct numbered *n = malloc(sizeof *n);
            *n = (struct numbered){.message.recv = count_recv, .number = 3 * round + i};
            outbox_add(&out, &n->message);
        }
        mailbox_drain(&r.mailbox);
        assert_int_equal(r.received, 3 * round);
        outbox_flush(&out, &r.mailbox);
        outbox_flush(&out, &r.mailbox); /* they are not sent twice */
        mailbox_drain(&r.mailbox);
        assert_int_equal(r.received, 3 * round + 3);
    }
    assert_int_equal(r.disorder, 0);
    receiver_fini(&r);
}

static void a_mailbox_alone_does_not_keep_its_loop_running(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct mailbox mb;
    mailbox_init(&mb, loop, NULL);
    ev_run(loop, 0);
    mailbox_fini(&mb);
    ev_loop_destroy(loop);
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers_all_and_keeps_each_senders_order),
        cmocka_unit_test(never_loses_a_wake_up),
        cmocka_unit_test(receives_what_is_left_when_it_ends),
        cmocka_unit_test(keeps_the_order_when_it_is_drained_by_a_message),
        cmocka_unit_test(may_be_ended_and_released_by_a_message),
        cmocka_unit_test(may_be_ended_while_it_is_drained_by_a_message),
        cmocka_unit_test(what_is_put_out_together_arrives_together_and_in_order),
        cmocka_unit_test(a_mailbox_alone_does_not_keep_its_loop_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
