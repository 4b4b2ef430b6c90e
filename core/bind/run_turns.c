#include "bind/run_turns.h"

#include "bind/runtime_priv.h"

/* Of the clock: less than that is nobody's disadvantage. The time of a step that is too short for
 * the hook is known no better than to a millisecond. */
#define AHEAD_US    4000
#define WHOLE_US    1000 /* a script whose runs take so long pays the time that they take */
#define CHEAPEST_US 250  /* below, and above: no more is made of the difference */
#define DEAREST_US  8000
#define EXPECTED_OF 8 /* runs, of which the last counts for one */

void run_turns_init(struct run_turns *t)
{
    *t = (struct run_turns){.left_us = INT64_MAX};
    list_init(&t->ready);
    list_init(&t->late);
}

/* What is charged for us of CPU, where a run takes run_us. */
static int64_t price_of(int64_t us, int64_t run_us)
{
    int64_t rate = run_us < CHEAPEST_US ? CHEAPEST_US : run_us > DEAREST_US ? DEAREST_US : run_us;
    return us * rate / WHOLE_US;
}

void run_account_init(struct run_account *a, int64_t most_us)
{
    *a = (struct run_account){.next_us = price_of(most_us, most_us)};
}

/* What it will have paid after its next run. */
static int64_t finish_us(const struct runtime *rt, int script)
{
    const struct run_account *a = &rt->scripts[script].account;
    return a->spent_us + a->next_us;
}

int64_t runtime_ahead_us(const struct runtime *rt, int script)
{
    int64_t us = finish_us(rt, script) - rt->turns.clock_us;
    return us > AHEAD_US ? us : 0;
}

static bool is_ahead(const struct runtime *rt, int script)
{
    return runtime_ahead_us(rt, script) > 0;
}

void runtime_awake(struct runtime *rt, int script)
{
    struct run_account *a = &rt->scripts[script].account;
    if (a->spent_us < rt->turns.clock_us)
        a->spent_us = rt->turns.clock_us;
}

void run_turns_charge(struct runtime *rt, int script, int64_t us)
{
    struct run_account *a = &rt->scripts[script].account;
    a->spent_us += price_of(us, us > a->expected_us ? us : a->expected_us);
    if (rt->turns.left_us != INT64_MAX)
        rt->turns.left_us -= us;
}

void run_turns_had(struct runtime *rt, int script, int64_t us)
{
    int64_t before_us = rt->scripts[script].account.spent_us;
    if (before_us > rt->turns.clock_us)
        rt->turns.clock_us = before_us;
    run_turns_charge(rt, script, us);
}

void run_turns_ended(struct runtime *rt, int script, int64_t us)
{
    struct run_account *a = &rt->scripts[script].account;
    a->expected_us = a->known ? a->expected_us + (us - a->expected_us) / EXPECTED_OF : us;
    a->next_us = price_of(a->expected_us, a->expected_us);
    a->known = true;
}

bool run_turns_are_free(struct runtime *rt, int script)
{
    const struct run_turns *t = &rt->turns;
    if (t->left_us <= 0 || !list_empty(&t->ready))
        return false;
    runtime_awake(rt, script);
    return t->left_us == INT64_MAX || !is_ahead(rt, script);
}

void run_turns_add(struct runtime *rt, struct run *r)
{
    runtime_awake(rt, r->script);
    bool late = rt->turns.left_us != INT64_MAX && is_ahead(rt, r->script);
    list_push_back(late ? &rt->turns.late : &rt->turns.ready, &r->turn);
}

/* NULL: none is late. */
static struct run *least_of(const struct runtime *rt)
{
    struct run *least = NULL;
    list_for_each (link, &rt->turns.late) {
        struct run *r = container_of(link, struct run, turn);
        if (!least || finish_us(rt, r->script) < finish_us(rt, least->script))
            least = r;
    }
    return least;
}

struct run *run_turns_ready(struct runtime *rt)
{
    struct run_turns *t = &rt->turns;
    struct list *link;
    while ((link = list_pop_front(&t->ready)) != NULL) {
        struct run *r = container_of(link, struct run, turn);
        if (t->left_us == INT64_MAX || !is_ahead(rt, r->script))
            return r;
        list_push_back(&t->late, &r->turn);
    }
    return NULL;
}

struct run *run_turns_next(struct runtime *rt)
{
    struct run *r = run_turns_ready(rt);
    if (!r && (r = least_of(rt)) != NULL)
        list_remove(&r->turn);
    return r;
}

bool runtime_waits(const struct runtime *rt, int64_t *ahead_us)
{
    const struct run *least = list_empty(&rt->turns.ready) ? least_of(rt) : NULL;
    *ahead_us = least ? runtime_ahead_us(rt, least->script) : 0;
    return least || !list_empty(&rt->turns.ready);
}

void runtime_turn(struct runtime *rt, int64_t us)
{
    rt->turns.left_us = us;
}

/* ---- from one runtime to the next ---- */

static int index_in(const struct runtime *rt, const struct script *s, int guess)
{
    for (int i = 0; i < rt->script_count; i++) {
        int at = (i + guess) % rt->script_count;
        const struct script *other = &rt->scripts[at];
        if (other->fingerprint == s->fingerprint && strcmp(other->file, s->file) == 0)
            return at;
    }
    return -1;
}

void runtime_carry_accounts(struct runtime *rt, const struct runtime *before)
{
    rt->turns.clock_us = before->turns.clock_us;
    rt->turns.left_us = before->turns.left_us;
    for (int i = 0; i < rt->script_count; i++) {
        int at = index_in(before, &rt->scripts[i], i);
        if (at >= 0)
            rt->scripts[i].account = before->scripts[at].account;
    }
}
