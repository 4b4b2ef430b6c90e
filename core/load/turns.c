/* What a set's loads ask, and how many loads it bears at once: of the gates that have something to
 * begin, one after the other has its turn, foreground before refreshes before prefetches. */
#include "load/loader_priv.h"

#include "base/clock.h"

#define STARTS_A_TURN 1000 /* loads; then the loop looks at its sockets and timers again */

static uint32_t share_of(int64_t total, int64_t threads)
{
    int64_t share = (total + threads - 1) / threads;
    return share > UINT32_MAX ? UINT32_MAX : (uint32_t)share;
}

void turns_init(struct turns *s, struct loader_set *set, const struct conf_backend *b)
{
    int64_t threads = set->snapshot->conf->loader_threads;
    s->set = set;
    list_init(&s->marked);
    list_init(&s->gates);
    if (b)
        limit_init(&s->limit, share_of(b->min_loads, threads), share_of(b->max_loads, threads));
    else
        limit_init(&s->limit, UINT32_MAX, UINT32_MAX);
}

uint32_t turns_room(const struct turns *s)
{
    uint32_t most = limit_now(&s->limit);
    return s->in_flight < most ? most - s->in_flight : 0;
}

void turns_ended(struct turns *s, int64_t us, bool dropped)
{
    limit_ended(&s->limit, (uint64_t)(us > 0 ? us : 0), dropped, s->in_flight, clock_us());
}

static bool has_work(const struct gate *g)
{
    return g->ready && g->queued > 0 && g->in_flight < g->max_loads;
}

void turns_mark(struct gate *g)
{
    struct turns *s = g->turns;
    if (has_work(g) && list_empty(&g->turn))
        list_push_back(&s->gates, &g->turn);
    if (!list_empty(&s->gates) && list_empty(&s->marked))
        list_push_back(&s->set->loader->marked, &s->marked);
}

/* Singles and bulks are one rank: their gate lets them take turns. */
static int rank_of(enum load_class class)
{
    return class == CLASS_BULK ? CLASS_SINGLE : (int)class;
}

static struct gate *next_gate(struct turns *s)
{
    struct gate *best = NULL;
    int rank = CLASS_COUNT;
    list_for_each_safe (link, next, &s->gates) {
        struct gate *g = container_of(link, struct gate, turn);
        if (!has_work(g)) {
            list_remove(&g->turn);
            continue;
        }
        int its = rank_of(gate_first_class(g));
        if (its < rank) {
            rank = its;
            best = g;
        }
        if (rank == CLASS_SINGLE)
            break;
    }
    if (best) {
        list_remove(&best->turn);
        list_push_back(&s->gates, &best->turn);
    }
    return best;
}

/* How many of `most` loads began. */
static unsigned start(struct turns *s, unsigned most)
{
    unsigned began = 0;
    struct gate *g;
    while (began < most && turns_room(s) > 0 && (g = next_gate(s))) {
        gate_start(g);
        began++;
    }
    return began;
}

void turns_start_all(struct loader *l)
{
    unsigned left = STARTS_A_TURN;
    struct list *link, unfinished;
    list_init(&unfinished);
    while (left > 0 && (link = list_pop_front(&l->marked))) {
        struct turns *s = container_of(link, struct turns, marked);
        struct loader_set *set = loader_set_ref(s->set);
        left -= start(s, left);
        if (left == 0 && list_empty(&s->marked))
            list_push_back(&unfinished, &s->marked);
        loader_set_unref(set);
    }
    list_splice(&l->marked, &unfinished);
    l->turn++;
    if (list_empty(&l->marked))
        ev_idle_stop(l->worker.loop, &l->unfinished);
    else
        ev_idle_start(l->worker.loop, &l->unfinished);
}
