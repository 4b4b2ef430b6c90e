/* Who does what when: clients that read, write and invalidate, and others that change the source.
 */
#include "sim.h"

#define LAST_TURNS 8 /* while the server goes down */

static void get(struct sim *s, int key)
{
    const struct row *r = &s->rows[key];
    struct get_options o = {
        .refresh = sim_chance(s, 8),
        .has_min = r->versioned && sim_chance(s, 15),
        .timeout_ms = sim_chance(s, 10) ? sim_up_to(s, 10) : s->k.wait_timeout_ms,
        .stale_wait_ms = s->k.stale_wait_ms,
    };
    if (o.has_min)
        o.min = sim_chance(s, 60) ? r->shown : sim_up_to(s, r->head);
    get_start(s, key, &o);
}

/* Who changed the row tells of it: before it is shown, at once, late, twice, not at all. */
static void tell(struct sim *s, int key, int64_t unseen_ms)
{
    int version = s->rows[key].head;
    while (sim_chance(s, s->k.told_percent)) {
        bool plain = sim_chance(s, s->k.plain_percent);
        int64_t ms = sim_chance(s, 30) ? 0 : unseen_ms + sim_up_to(s, sim_chance(s, 20) ? 80 : 5);
        change_key_later(s, ms, key, version, plain);
        if (sim_chance(s, 60))
            break;
    }
}

static void commit(struct sim *s, int key)
{
    if (source_locked(s, key))
        return;
    struct commit c = {
        .key = key,
        .absent = sim_chance(s, 25),
        .unseen_ms = sim_chance(s, 40) ? sim_up_to(s, s->k.unseen_ms) : 0,
    };
    if (source_commit(s, &c))
        tell(s, key, c.unseen_ms);
}

static void invalidate(struct sim *s, int key)
{
    const struct row *r = &s->rows[key];
    bool plain = sim_chance(s, s->k.plain_percent);
    int version = sim_chance(s, 60) ? r->head : (int)sim_up_to(s, r->head);
    change_key_later(s, 0, key, version, plain);
}

static void act(struct sim *s)
{
    int key = (int)sim_up_to(s, s->k.keys - 1);
    int luck = (int)rng_below(&s->rng, 100);
    if (luck < 46)
        get(s, key);
    else if (luck < 60)
        commit(s, key);
    else if (luck < 66)
        invalidate(s, key);
    else if (luck < 75)
        write_start(s, key, sim_chance(s, 25));
    else if (luck < 79)
        change_set_key(s, key);
    else if (luck < 82)
        change_expire_key(s, key);
    else if (luck < 84)
        change_touch(s, key);
    else if (luck < 89)
        get_in_background(s, key, sim_chance(s, 50));
    else
        change_some(s);
}

static void on_turn(struct sim *s, void *arg, uint32_t stamp)
{
    act(s);
    if (stamp > 1)
        task_in(s, sim_chance(s, 40) ? 0 : sim_up_to(s, s->k.pace_ms), on_turn, arg, stamp - 1);
}

void clients_start(struct sim *s)
{
    task_in(s, 0, on_turn, NULL, (uint32_t)s->k.ops);
}

static void note_unanswered(struct sim *s)
{
    const struct put_of *left = writes_unanswered(s);
    if (left)
        sim_note(s, (struct event){.kind = DID_UNANSWERED, .key = left->key});
}

/* Nothing is in the air. What is stored is noted; then everything is told of, and read once more.
 */
void clients_finish(struct sim *s)
{
    struct get_options o = {.timeout_ms = 10 * s->k.load_timeout_ms};
    note_unanswered(s);
    for (int key = 0; key < s->k.keys; key++)
        change_quiet_end(s, key);
    s->healing = true;
    s->now_ms += s->k.floor_ttl_ms + s->k.write_timeout_ms + 1000; /* no backoff, doubt or floor */
    for (int key = 0; key < s->k.keys; key++) {
        int64_t version = s->rows[key].head;
        change_key(s, key, NULL, false);
        change_key(s, key, &version, s->rows[key].states[version].absent);
    }
    sim_note(s, (struct event){.kind = DID_SETTLED, .key = -1});
    for (int key = 0; key < s->k.keys; key++) {
        get_start(s, key, &o);
        tasks_run(s, INT64_MAX); /* a breaker that was open lets one load through, and is closed */
    }
    for (int key = 0; key < s->k.keys; key++)
        change_quiet_end(s, key);
}

void clients_stop(struct sim *s)
{
    s->healing = false;
    sim_note(s, (struct event){.kind = DID_STOP, .key = -1});
    task_in(s, 0, on_turn, NULL, LAST_TURNS);
    tasks_run(s, s->now_ms + sim_up_to(s, LAST_TURNS * s->k.pace_ms / 2));
    world_stop(s);
    note_unanswered(s);
}
