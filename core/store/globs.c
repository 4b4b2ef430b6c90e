#include "store/globs.h"

#include <stdlib.h>

struct shared_glob *shared_glob_new(const struct glob *g, bool soft)
{
    struct shared_glob *shared = malloc(sizeof *shared);
    if (!shared)
        return NULL;
    atomic_init(&shared->refs, 1);
    shared->soft = soft;
    shared->glob = *g;
    shared->glob.text = memcpy(shared->text, g->text, glob_literal_bytes(g));
    return shared;
}

struct shared_glob *shared_glob_ref(struct shared_glob *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void shared_glob_unref(struct shared_glob *g)
{
    if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
        free(g);
}

void globs_fini(struct globs *gs)
{
    for (unsigned i = 0; i < gs->count; i++)
        shared_glob_unref(gs->active[i]);
    gs->count = 0;
}

void globs_add(struct globs *gs, struct shared_glob *g)
{
    gs->active[gs->count++] = shared_glob_ref(g);
    gs->issued++;
}

enum mark globs_judge(const struct globs *gs, struct entry *e)
{
    unsigned behind = (uint8_t)(gs->issued - e->globs_seen);
    enum mark mark = MARK_NONE;
    for (unsigned i = gs->count - behind; i < gs->count && mark != MARK_HARD; i++)
        if (glob_matches(&gs->active[i]->glob, entry_key(e), NULL))
            mark = gs->active[i]->soft ? MARK_SOFT : MARK_HARD;
    e->globs_seen = gs->issued;
    return mark;
}

void globs_pass_done(struct globs *gs)
{
    for (unsigned i = 0; i < gs->in_pass; i++)
        shared_glob_unref(gs->active[i]);
    gs->count -= gs->in_pass;
    memmove(gs->active, gs->active + gs->in_pass, gs->count * sizeof gs->active[0]);
    gs->in_pass = 0;
}
