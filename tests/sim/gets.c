/* Clients' gets and refreshes, on tasks: serve/ask and serve/parked decide, as in the server. */
#include "sim.h"

static void get_on_timer(struct sim *s, void *arg, uint32_t stamp);

static void close_get(struct sim *s, struct get *g, struct event e)
{
    e.kind = DID_GOT;
    e.key = g->key;
    e.id = g->id;
    g->open = false;
    g->stamp++;
    sim_note(s, e);
}

/* A value, whose bytes are in s->out, or an absence. */
static void answer_hit(struct sim *s, struct get *g, const struct ask_verdict *v)
{
    static const enum got_status told[] = {
        [STATUS_HIT] = GOT_HIT, [STATUS_STALE] = GOT_STALE, [STATUS_STALE_ERROR] = GOT_STALE_ERROR};
    const struct hit *hit = &v->hit;
    bool absent = v->kind == VERDICT_ABSENT;
    enum got_status status = absent ? GOT_HIT : told[v->status];
    if (s->plant == PLANT_FRESH && status == GOT_STALE)
        status = GOT_HIT;
    close_get(s, g,
              (struct event){
                  .status = status,
                  .read = (int)hit->load_us,
                  .version = hit->version,
                  .flags = (hit->has_version ? F_HAS_VERSION : 0) | (absent ? F_ABSENT : 0),
                  .seen = absent ? 0 : source_version_of(s, g->key, buf_slice(&s->out)),
              });
}

/* The I/O thread that has this slot. */
static struct asker asker_of(struct sim *s, unsigned slot)
{
    return (struct asker){
        .store = s->store,
        .flights = s->flights,
        .marks = s->marks,
        .metrics = s->metrics,
        .rng = &s->rng,
        .slot = slot,
    };
}

static struct ask_loader loader_of(struct sim *s, unsigned slot, int key)
{
    const struct snapshot *its = s->adopted[slot];
    struct ask_loader l = {.generation = its->generation};
    l.policy = snapshot_policy(its, sim_key(s, key), &l.index);
    l.counters = snapshot_counters(its, 0, (size_t)l.index);
    return l;
}

static struct ask_room room_of(struct sim *s)
{
    buf_clear(&s->out);
    return (struct ask_room){.out = &s->out};
}

/* What a verdict has for the loader thread. */
static void submit(struct sim *s, const struct ask_verdict *v)
{
    struct outbox box = {0};
    if (v->flight && v->promote)
        loader_thread_promote(s->loader, v->flight, &box);
    else if (v->flight)
        loader_thread_submit(s->loader, v->flight, &box);
    loader_thread_flush(s->loader, &box);
}

/* Does what v says, as net/read.c and net/park.c do with answers and timers. */
static void follow(struct sim *s, struct get *g, struct ask_verdict *v)
{
    struct asker by = asker_of(s, g->slot);
    struct ask_loader l = loader_of(s, g->slot, g->key);
    submit(s, v);
    v->flight = NULL;
    if (v->kind == VERDICT_WAIT)
        ask_join(&by, &g->parked, &l, s->now_ms, v->stale, room_of(s), v);
    else if (v->kind == VERDICT_REJOIN)
        parked_rejoin(&by, &g->parked, &l, s->now_ms, room_of(s), v);
    submit(s, v);
    if (v->kind == VERDICT_FAILED)
        (void)ask_kept(&by, &g->parked.ask, s->now_ms, room_of(s), v);
    switch (v->kind) {
    case VERDICT_VALUE:
    case VERDICT_ABSENT: answer_hit(s, g, v); break;
    case VERDICT_TIMER: task_in(s, v->wait_ms, get_on_timer, g, ++g->stamp); break;
    case VERDICT_DUE: break;
    default: close_get(s, g, (struct event){.code = v->err.code}); break;
    }
}

static void read_key(struct sim *s, struct get *g)
{
    struct ask_verdict v;
    struct asker by = asker_of(s, g->slot);
    struct ask_loader l = loader_of(s, g->slot, g->key);
    const struct ask *q = &g->parked.ask;
    enum lookup found = ask_get(&by, q, s->now_ms, false, room_of(s).out, &v.hit);
    v.kind = found == LOOKUP_FRESH ? VERDICT_VALUE : VERDICT_ABSENT;
    v.status = STATUS_HIT;
    v.flight = NULL;
    if (found != LOOKUP_FRESH && found != LOOKUP_NEGATIVE)
        ask_decide(&by, q, &l, s->now_ms, found, &v);
    follow(s, g, &v);
}

static struct ask ask_of(struct sim *s, int key)
{
    return (struct ask){
        .key = sim_key(s, key), .hash = s->hashes[key], .timeout_ms = -1, .stale_wait_ms = -1};
}

void get_in_background(struct sim *s, int key, bool reload)
{
    struct ask_verdict v = {.flight = NULL};
    struct asker by = asker_of(s, 0);
    struct ask_loader l = loader_of(s, 0, key);
    struct ask q = ask_of(s, key);
    q.strict = reload;
    ask_refresh(&by, &q, &l, s->now_ms, true, &v);
    submit(s, &v);
}

static void leave_later(struct sim *s, void *arg, uint32_t stamp)
{
    struct get *g = arg;
    (void)stamp;
    if (g->open)
        get_leave(s, g);
}

void get_start(struct sim *s, int key, const struct get_options *o)
{
    if (s->get_count == SIM_GETS)
        return;
    struct get *g = &s->gets[s->get_count++];
    struct ask q = ask_of(s, key);
    q.strict = o->refresh;
    q.has_min = o->has_min && s->plant != PLANT_NO_MIN;
    q.min_version = o->min;
    q.timeout_ms = o->timeout_ms;
    q.stale_wait_ms = o->stale_wait_ms;
    q.bulk = sim_chance(s, 20);
    *g = (struct get){
        .id = s->get_count,
        .key = key,
        .open = true,
        .slot = (unsigned)sim_up_to(s, SIM_SLOTS - 1),
    };
    parked_init(&g->parked, &q);
    sim_note(s, (struct event){
                    .kind = DID_GET,
                    .key = key,
                    .id = g->id,
                    .version = o->min,
                    .flags = (o->has_min ? F_HAS_VERSION : 0) | (o->refresh ? F_REFRESH : 0),
                });
    if (o->refresh) {
        struct ask_verdict v;
        struct asker by = asker_of(s, g->slot);
        struct ask_loader l = loader_of(s, g->slot, g->key);
        ask_refresh(&by, &q, &l, s->now_ms, false, &v);
        follow(s, g, &v);
    } else {
        read_key(s, g);
    }
    if (g->open && !s->healing && sim_chance(s, 5))
        task_in(s, sim_up_to(s, 20), leave_later, g, 0);
}

/* The client has gone; a delivery that is under way finds g closed. */
void get_leave(struct sim *s, struct get *g)
{
    struct asker by = asker_of(s, g->slot);
    (void)parked_leave(&by, &g->parked);
    g->open = false;
    g->stamp++;
    sim_note(s, (struct event){.kind = DID_LEFT, .key = g->key, .id = g->id});
}

static void get_on_timer(struct sim *s, void *arg, uint32_t stamp)
{
    struct get *g = arg;
    struct ask_verdict v;
    if (!g->open || stamp != g->stamp)
        return;
    struct asker by = asker_of(s, g->slot);
    parked_time(&by, &g->parked, s->now_ms, room_of(s), &v);
    follow(s, g, &v);
}

static void answer_outcome(struct sim *s, struct get *g, const struct flight *f)
{
    bool absent = f->outcome.end == END_ABSENT;
    close_get(s, g,
              (struct event){
                  .status = GOT_MISS,
                  .read = (int)f->outcome.load_us,
                  .version = f->outcome.version,
                  .flags = (f->outcome.has_version ? F_HAS_VERSION : 0) | (absent ? F_ABSENT : 0),
                  .seen = absent ? 0 : source_version_of(s, g->key, entry_value(f->outcome.value)),
              });
}

void gets_deliver(struct message *m, void *owner)
{
    struct sim *s = owner;
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    const struct flight *f = slot->flight;
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct waiter *w = container_of(link, struct waiter, link);
        struct get *g = container_of(w, struct get, parked.waiter);
        struct asker by = asker_of(s, g->slot);
        struct ask_verdict v;
        g->stamp++; /* its timer is of the wait that is over */
        if (!g->open || (s->plant == PLANT_LOST && sim_chance(s, 2)))
            continue;
        parked_deliver(&by, &g->parked, f, s->now_ms, true, &v);
        if (v.kind == VERDICT_OUTCOME)
            answer_outcome(s, g, f);
        else
            follow(s, g, &v);
    }
    flight_unref(slot->flight);
}
