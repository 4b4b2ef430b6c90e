/* Two threads that join and leave, one that ends, invalidations in between: who owns a waiter. */
#include "flight_world.h"

enum { HAMMER_ROUNDS = 20000, HAMMER_KEYS = 4 };

/* A queue of flights or slots, by their message. */
struct inbox {
    pthread_mutex_t lock;
    struct message *first, **last;
};

struct hammer {
    struct world *world;
    unsigned slot;
    struct inbox inboxes[2]; /* delivered slots */
    struct inbox loads;      /* flights to be ended */
    _Atomic bool joining_over;
};

static void inbox_put(struct inbox *box, struct message *m)
{
    pthread_mutex_lock(&box->lock);
    m->next = NULL;
    *box->last = m;
    box->last = &m->next;
    pthread_mutex_unlock(&box->lock);
}

static struct message *inbox_take(struct inbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct message *m = box->first;
    if (m) {
        box->first = m->next;
        if (!box->first)
            box->last = &box->first;
    }
    pthread_mutex_unlock(&box->lock);
    return m;
}

struct joiner {
    struct hammer *hammer;
    unsigned slot;
    uint64_t parked, left, delivered, hits;
};

static void receive(struct joiner *j)
{
    struct message *m;
    while ((m = inbox_take(&j->hammer->inboxes[j->slot]))) {
        struct flight_slot *slot = container_of(m, struct flight_slot, message);
        struct list *link;
        while ((link = list_pop_front(&slot->waiters))) {
            free(container_of(link, struct waiter, link));
            j->delivered++;
        }
        flight_unref(slot->flight);
    }
}

static void invalidate_it(struct world *w, const struct join_request *q)
{
    bool dropped;
    struct invalidation i = {.key = q->key, .hash = q->hash, .now_ms = w->now_ms};
    assert_int_equal(flights_invalidate(w->flights, &i, &dropped), 0);
}

static void *joiner_main(void *arg)
{
    struct joiner *j = arg;
    struct world *w = j->hammer->world;
    uint64_t rng = j->slot + 1;
    for (int i = 0; i < HAMMER_ROUNDS; i++) {
        rng = rng * 6364136223846793005U + 1442695040888963407U;
        char key[2] = {(char)('a' + (rng >> 33) % HAMMER_KEYS), 0};
        struct waiter *waiter = calloc(1, sizeof *waiter);
        struct join_result r = {0};
        struct join_request q = request_for(w, key, waiter);
        struct buf room;
        buf_init(&room, 0);
        q.out = &room;
        q.slot = j->slot;
        q.max_waiters = 1000000;
        q.reload = (rng >> 40) % 2;
        enum join joined = flights_join(w->flights, &q, &r);
        buf_fini(&room);
        if ((rng >> 45) % 5 == 0)
            invalidate_it(w, &q);
        if (joined == JOIN_HIT) {
            j->hits++;
            free(waiter);
        } else {
            j->parked++;
            if (joined == JOIN_STARTED)
                inbox_put(&j->hammer->loads, &r.flight->message);
            if ((rng >> 50) % 3 == 0 && flights_leave(w->flights, waiter)) {
                j->left++;
                free(waiter);
            }
        }
        receive(j);
    }
    return NULL;
}

static void end_one(struct hammer *h, struct flight *f)
{
    struct verdict v;
    struct outcome o = found(value_a);
    if (!begin(h->world, f, 1, NULL)) {
        flight_unref(f);
        return;
    }
    flights_end(h->world->flights, f, &o, h->world->now_ms, &v);
    for (unsigned i = 0; i < 2; i++)
        if (!list_empty(&f->slots[i].waiters))
            inbox_put(&h->inboxes[i], &f->slots[i].message);
    flight_unref(f);
}

static void *ender_main(void *arg)
{
    struct hammer *h = arg;
    for (;;) {
        bool over = h->joining_over;
        struct message *m = inbox_take(&h->loads);
        if (m)
            end_one(h, container_of(m, struct flight, message));
        else if (over)
            return NULL;
    }
}

static void inbox_init(struct inbox *box)
{
    pthread_mutex_init(&box->lock, NULL);
    box->first = NULL;
    box->last = &box->first;
}

static void every_parked_waiter_leaves_or_is_delivered_once(void **state)
{
    struct hammer h = {.world = *state};
    struct joiner joiners[2] = {{.hammer = &h, .slot = 0}, {.hammer = &h, .slot = 1}};
    pthread_t threads[3];
    inbox_init(&h.inboxes[0]);
    inbox_init(&h.inboxes[1]);
    inbox_init(&h.loads);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, joiner_main, &joiners[i]), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, ender_main, &h), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    h.joining_over = true;
    pthread_join(threads[2], NULL);
    for (int i = 0; i < 2; i++) {
        receive(&joiners[i]);
        assert_int_equal(joiners[i].parked, joiners[i].left + joiners[i].delivered);
        assert_true(joiners[i].delivered > 0);
    }
    struct flights_stats stats;
    flights_read_stats(h.world->flights, &stats);
    assert_int_equal(stats.loading, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_parked_waiter_leaves_or_is_delivered_once, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
