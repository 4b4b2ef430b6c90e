/* Restarts: what outlives them, and as what it may be served. */
#include "check_state.h"

void check_down(struct check *c, const struct event *e)
{
    bool stopped = e->flags & F_STORED;
    for (int i = 0; i <= CHECK_GETS && !stopped; i++)
        c->gets[i].open = false; /* its client has lost its connection */
    for (int i = 0; i < HISTORY_KEYS; i++) {
        struct check_key *k = &c->keys[i];
        k->told = k->told && k->write == 0;
        k->load = k->write = 0;
    }
}

void check_up(struct check *c, const struct event *e)
{
    c->started_until_ms = e->until_ms;
    for (int i = 0; i < HISTORY_KEYS && !(e->flags & F_STORED); i++)
        c->keys[i].doubt_count = 0; /* they are covered as any write of before is (RULE_START) */
}

void check_back(struct check *c, const struct event *e, size_t order)
{
    struct check_key *k = &c->keys[e->key];
    if (e->until_ms > 0 && k->doubt_count < CHECK_DOUBTS)
        k->doubts[k->doubt_count++] = (struct check_doubt){order, e->until_ms};
    if (e->status == BACK_PROVEN)
        return;
    k->told = false;
    k->unproven = order;
    if (e->status == BACK_NONE) {
        k->not_kept = order;
    } else if (!(e->flags &
                 F_STORED)) { /* also what a restart between has left out, of an older file */
        k->exempt = order;
        k->not_kept = 0;
    }
}

bool check_restarted(struct check *c, size_t i)
{
    const struct event *e = &c->history->events[i];
    const struct check_key *k = &c->keys[e->key];
    size_t stored = c->reads[e->read].ended;
    if (e->status == GOT_MISS)
        return true;
    if (stored < k->not_kept)
        return check_broken(c, RULE_RESTART, i, e->key, k->not_kept);
    if (stored < k->unproven && (e->status == GOT_HIT || e->flags & F_ABSENT))
        return check_broken(c, RULE_RESTART, i, e->key, k->unproven);
    return true;
}

bool check_exempt(const struct check *c, size_t i)
{
    const struct event *e = &c->history->events[i];
    bool stale = e->status == GOT_STALE || e->status == GOT_STALE_ERROR;
    return stale && c->reads[e->read].ended < c->keys[e->key].exempt;
}
