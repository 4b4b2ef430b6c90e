/* Clients' gets and refreshes: the way of core/net/read.c and core/net/park.c, on tasks. */
#include "sim.h"

#define AGAIN_FIRST_MS 10

static void get_on_timer(struct sim *s, void *arg, uint32_t stamp);

static void arm(struct sim *s, struct get *g, int what, int64_t ms)
{
    g->timer_is = what;
    task_in(s, ms, get_on_timer, g, ++g->stamp);
}

static void close_get(struct sim *s, struct get *g, struct event e)
{
    e.kind = DID_GOT;
    e.key = g->key;
    e.id = g->id;
    g->open = false;
    g->stamp++;
    sim_note(s, e);
}

static void answer_error(struct sim *s, struct get *g, int code)
{
    close_get(s, g, (struct event){.code = code});
}

/* What hit says, and the bytes in s->out. */
static void answer_hit(struct sim *s, struct get *g, enum got_status status, const struct hit *hit,
                       bool negative)
{
    if (s->plant == PLANT_FRESH && status == GOT_STALE)
        status = GOT_HIT;
    close_get(s, g,
              (struct event){
                  .status = status,
                  .read = (int)hit->load_us,
                  .version = hit->version,
                  .flags = (hit->has_version ? F_HAS_VERSION : 0) | (negative ? F_ABSENT : 0),
                  .seen = negative ? 0 : source_version_of(s, g->key, buf_slice(&s->out)),
              });
}

static bool is_too_old(const struct get *g, bool has_version, int64_t version)
{
    return g->has_min && !(has_version && version >= g->min);
}

static enum lookup look_up(struct sim *s, int key, unsigned want, struct hit *hit)
{
    buf_clear(&s->out);
    return store_get(s->store, sim_key(s, key), s->hashes[key], s->now_ms, want, &s->out, hit);
}

/* What is stored and may be served when a load did not come through, else why. */
static void answer_failure(struct sim *s, struct get *g, int why)
{
    struct hit hit;
    enum lookup found = g->strict ? LOOKUP_MISS : look_up(s, g->key, WANT_STALE | WANT_KEPT, &hit);
    bool there = found == LOOKUP_FRESH || found == LOOKUP_STALE || found == LOOKUP_KEPT;
    if (there && !is_too_old(g, hit.has_version, hit.version))
        answer_hit(s, g, found == LOOKUP_FRESH ? GOT_HIT : GOT_STALE_ERROR, &hit, false);
    else
        answer_error(s, g, why);
}

static struct join_request join_of(struct sim *s, int key)
{
    return (struct join_request){
        .key = sim_key(s, key),
        .hash = s->hashes[key],
        .now_ms = s->now_ms,
        .generation = s->io_generation,
        .max_waiters = s->k.max_waiters,
    };
}

/* Joins g to a flight, or answers it. Whether it waits now. */
static bool join(struct sim *s, struct get *g)
{
    struct join_result joined = {0};
    struct join_request q = join_of(s, g->key);
    q.slot = g->slot;
    q.waiter = &g->waiter;
    q.reload = g->strict;
    q.min_version = g->has_min ? &g->min : NULL;
    buf_clear(&s->out);
    q.out = &s->out;
    switch (flights_join(s->flights, &q, &joined)) {
    case JOIN_HIT:
        answer_hit(s, g, GOT_HIT, &joined.hit, joined.lookup == LOOKUP_NEGATIVE);
        return false;
    case JOIN_STARTED: load_submit(s, g->key, joined.flight); return true;
    case JOIN_PARKED:
        if (joined.promote) /* the simulated queue has one class */
            flight_unref(joined.flight);
        return true;
    case JOIN_BACKOFF: answer_failure(s, g, joined.err.code); return false;
    case JOIN_FULL: answer_error(s, g, ERR_OVERLOADED); return false;
    default: answer_error(s, g, ERR_NOMEM); return false;
    }
}

static void rejoin(struct sim *s, struct get *g)
{
    g->stamp++;
    if (join(s, g))
        arm(s, g, GET_HARD, g->deadline_ms - s->now_ms);
}

static void read_join(struct sim *s, struct get *g, int64_t soft_ms)
{
    g->waiter.seq = marks_now(s->marks);
    if (!join(s, g))
        return;
    int64_t hard_ms = g->deadline_ms - s->now_ms;
    bool soft = soft_ms >= 0 && soft_ms < hard_ms;
    arm(s, g, soft ? GET_SOFT : GET_HARD, soft ? soft_ms : hard_ms);
}

static void join_for_nobody(struct sim *s, int key, bool reload, enum load_reason reason)
{
    struct join_result joined = {0};
    struct join_request q = join_of(s, key);
    q.reload = reload;
    q.reason = reason;
    q.replaces = !reload;
    q.owner = 1;
    if (flights_join(s->flights, &q, &joined) == JOIN_STARTED)
        load_submit(s, key, joined.flight);
}

void get_in_background(struct sim *s, int key, bool reload)
{
    join_for_nobody(s, key, reload, REASON_REFRESH);
}

void get_ahead(struct sim *s, int key)
{
    join_for_nobody(s, key, false, REASON_PREFETCH);
}

static void read_key(struct sim *s, struct get *g, const struct get_options *o)
{
    struct hit hit;
    enum lookup found = look_up(s, g->key, WANT_STALE, &hit);
    if (found != LOOKUP_MISS && is_too_old(g, hit.has_version, hit.version))
        found = LOOKUP_MISS;
    switch (found) {
    case LOOKUP_FRESH: answer_hit(s, g, GOT_HIT, &hit, false); return;
    case LOOKUP_NEGATIVE: answer_hit(s, g, GOT_HIT, &hit, true); return;
    case LOOKUP_STALE:
        if (o->stale_wait_ms > 0) {
            read_join(s, g, o->stale_wait_ms);
            return;
        }
        answer_hit(s, g, GOT_STALE, &hit, false);
        get_in_background(s, g->key, false);
        return;
    default: read_join(s, g, -1);
    }
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
    *g = (struct get){
        .id = s->get_count,
        .key = key,
        .open = true,
        .strict = o->refresh,
        .has_min = o->has_min && s->plant != PLANT_NO_MIN,
        .min = o->min,
        .deadline_ms = s->now_ms + o->timeout_ms,
        .slot = (unsigned)sim_up_to(s, SIM_SLOTS - 1),
    };
    list_init(&g->waiter.link);
    sim_note(s, (struct event){
                    .kind = DID_GET,
                    .key = key,
                    .id = g->id,
                    .version = o->min,
                    .flags = (o->has_min ? F_HAS_VERSION : 0) | (o->refresh ? F_REFRESH : 0),
                });
    if (o->refresh)
        read_join(s, g, -1);
    else
        read_key(s, g, o);
    if (g->open && !s->healing && sim_chance(s, 5))
        task_in(s, sim_up_to(s, 20), leave_later, g, 0);
}

/* The client has gone; a delivery that is under way finds g closed. */
void get_leave(struct sim *s, struct get *g)
{
    if (g->timer_is != GET_AGAIN)
        (void)flights_leave(s->flights, &g->waiter);
    g->open = false;
    g->stamp++;
    sim_note(s, (struct event){.kind = DID_LEFT, .key = g->key, .id = g->id});
}

static void on_soft(struct sim *s, struct get *g)
{
    struct hit hit;
    enum lookup found = look_up(s, g->key, WANT_STALE, &hit);
    bool there = (found == LOOKUP_FRESH || found == LOOKUP_STALE) &&
                 !is_too_old(g, hit.has_version, hit.version);
    if (!there)
        arm(s, g, GET_HARD, g->deadline_ms - s->now_ms);
    else if (flights_leave(s->flights, &g->waiter))
        answer_hit(s, g, found == LOOKUP_FRESH ? GOT_HIT : GOT_STALE, &hit, false);
}

static void get_on_timer(struct sim *s, void *arg, uint32_t stamp)
{
    struct get *g = arg;
    if (!g->open || stamp != g->stamp)
        return;
    switch (g->timer_is) {
    case GET_SOFT: on_soft(s, g); break;
    case GET_HARD:
        if (flights_leave(s->flights, &g->waiter))
            answer_failure(s, g, ERR_TIMEOUT);
        break;
    case GET_AGAIN: rejoin(s, g); break;
    }
}

/* The result was older than min_version: the source is asked again, until the deadline. */
static void ask_again(struct sim *s, struct get *g)
{
    int64_t wait_ms = AGAIN_FIRST_MS << (g->agains < 5 ? g->agains : 5);
    g->agains++;
    if (s->now_ms + wait_ms < g->deadline_ms)
        arm(s, g, GET_AGAIN, wait_ms);
    else
        answer_error(s, g, ERR_STALE_SOURCE);
}

static void answer_outcome(struct sim *s, struct get *g, const struct flight *f)
{
    struct err e;
    if (f->end == END_FAILED || f->end == END_REFUSED) {
        flight_error(f, &e);
        answer_failure(s, g, e.code);
        return;
    }
    bool absent = f->end == END_ABSENT;
    close_get(s, g,
              (struct event){
                  .status = GOT_MISS,
                  .read = (int)f->load_us,
                  .version = f->version,
                  .flags = (f->has_version ? F_HAS_VERSION : 0) | (absent ? F_ABSENT : 0),
                  .seen = absent ? 0 : source_version_of(s, g->key, entry_value(f->value)),
              });
}

static void deliver(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct flight_slot *slot = arg;
    const struct flight *f = slot->flight;
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct get *g = container_of(container_of(link, struct waiter, link), struct get, waiter);
        if (!g->open || (s->plant == PLANT_LOST && sim_chance(s, 2))) {
            g->stamp++;
            continue;
        }
        if (f->overtaken && g->waiter.seq > f->since)
            rejoin(s, g);
        else if (f->end == END_FOUND && is_too_old(g, f->has_version, f->version))
            ask_again(s, g);
        else
            answer_outcome(s, g, f);
    }
    flight_unref(slot->flight);
}

/* A message to each I/O thread that has waiters. */
void gets_deliver(struct sim *s, struct flight *f)
{
    for (unsigned i = 0; i < f->slot_count; i++)
        if (!list_empty(&f->slots[i].waiters))
            task_in(s, sim_up_to(s, 2), deliver, &f->slots[i], 0);
}
