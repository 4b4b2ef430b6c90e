#include "server/misfits.h"

#include "base/log.h"
#include "server/server.h"

#define PATTERNS_MOST 16 /* of one reload */
#define AGAIN_S       .1

/* Whether the keys of a pattern are others by its types, and before did not have it. */
static bool is_new_and_typed(const struct conf *before, struct slice pattern)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, pattern, room);
    for (size_t i = 0; before && i < before->loader_count && g.typed; i++)
        if (glob_order(slice_str(before->loaders[i].pattern), pattern) == 0)
            return false;
    return g.typed;
}

/* Where that are many patterns, everything goes. */
static int drop_one(struct misfits *m, const char *pattern)
{
    const struct changes *changes = &m->server->own;
    struct err e;
    bool all = m->count + 1 == PATTERNS_MOST;
    int rc = all ? change_match(changes, slice_str("*"), false, CAUSE_INVALIDATE, &e)
                 : change_misfits(changes, slice_str(pattern), &e);
    journal_flush(&m->server->lane);
    if (rc == 0)
        m->count++;
    else
        log_warn("reload.misfits", "pattern=%s error=%s", log_q(all ? "*" : pattern),
                 log_q(e.text));
    return rc;
}

/* false: it goes on there later. */
static bool drop_all(struct misfits *m, const struct conf *now)
{
    for (; m->next < now->loader_count && m->count < PATTERNS_MOST; m->next++) {
        const char *pattern = now->loaders[m->next].pattern;
        if (is_new_and_typed(m->of, slice_str(pattern)) && drop_one(m, pattern) != 0)
            return false;
    }
    return true;
}

void misfits_become_due(struct misfits *m, struct conf *before)
{
    conf_unref(m->of);
    m->of = m->due ? NULL : conf_ref(before);
    m->due = true;
    m->next = m->count = 0;
}

void misfits_drop(struct misfits *m)
{
    struct server *s = m->server;
    if (!m->due)
        return;
    if (!drop_all(m, s->snapshot->conf)) {
        ev_timer_again(s->loop, &m->again);
        return;
    }
    m->due = false;
    misfits_fini(m);
    misfits_stop(m);
}

static void misfits_on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    misfits_drop(timer->data);
}

void misfits_init(struct misfits *m, struct server *s)
{
    *m = (struct misfits){.server = s};
    ev_timer_init(&m->again, misfits_on_again, 0., AGAIN_S);
    m->again.data = m;
}

void misfits_stop(struct misfits *m)
{
    ev_timer_stop(m->server->loop, &m->again);
}

void misfits_fini(struct misfits *m)
{
    conf_unref(m->of);
    m->of = NULL;
}
