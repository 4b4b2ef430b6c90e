#include "store/marks.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    uint64_t seq; /* 0: none yet */
    bool soft;
    struct glob glob;
    char room[GLOB_MAX];
};

struct marks_state {
    _Atomic uint64_t seq;
    _Atomic uint64_t newest_glob;
    pthread_mutex_t lock;
    size_t next;        /* of patterns: the oldest one, which goes next */
    uint64_t forgotten; /* the newest pattern that is no longer remembered */
    uint64_t hash_seed;
    struct pattern patterns[MARKS_GLOBS];
};

int marks_new(struct marks **out, size_t tag_slots, uint64_t seed, struct err *e)
{
    *out = NULL;
    if (tag_slots == 0 || tag_slots > UINT32_MAX || (tag_slots & (tag_slots - 1)) != 0)
        return err_set(e, ERR_CONFIG, "tag_slots: %zu is no power of two", tag_slots);
    struct marks *m = malloc(sizeof *m);
    struct marks_state *state = calloc(1, sizeof *state);
    _Atomic uint64_t *slots = calloc(2 * (tag_slots + 1), sizeof *slots);
    if (!m || !state || !slots) {
        free(m);
        free(state);
        free(slots);
        return err_set(e, ERR_NOMEM, "no memory for %zu tag slots", tag_slots);
    }
    pthread_mutex_init(&state->lock, NULL);
    state->hash_seed = seed;
    *m = (struct marks){
        .any = slots,
        .hard = slots + tag_slots + 1,
        .newest = &state->seq,
        .state = state,
        .slot_mask = (uint32_t)(tag_slots - 1),
    };
    *out = m;
    return 0;
}

void marks_free(struct marks *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->state->lock);
    free(m->state);
    free(m->any);
    free(m);
}

uint64_t marks_now(const struct marks *m)
{
    return m ? atomic_load_explicit(&m->state->seq, memory_order_acquire) : 0;
}

uint32_t marks_slot(const struct marks *m, struct slice tag)
{
    return (uint32_t)hash_slice(tag, m->state->hash_seed) & m->slot_mask;
}

static void raise_to(_Atomic uint64_t *at, uint64_t seq)
{
    uint64_t now = atomic_load_explicit(at, memory_order_relaxed);
    while (now < seq && !atomic_compare_exchange_weak(at, &now, seq)) {
    }
}

/* What begins between the steps has read the source after the change that is told of here. */
uint64_t marks_tag(struct marks *m, struct slice tag, bool soft)
{
    const uint32_t slots[] = {marks_slot(m, tag), marks_any_tag(m)};
    uint64_t seq = atomic_fetch_add(&m->state->seq, 1) + 1;
    for (int i = 0; i < 2; i++) {
        if (!soft)
            raise_to(&m->hard[slots[i]], seq);
        raise_to(&m->any[slots[i]], seq); /* last: who sees it sees the other */
    }
    return seq;
}

uint64_t marks_all_tags(struct marks *m, bool soft)
{
    uint64_t seq = atomic_fetch_add(&m->state->seq, 1) + 1;
    for (uint32_t slot = 0; slot <= marks_any_tag(m); slot++) {
        if (!soft)
            raise_to(&m->hard[slot], seq);
        raise_to(&m->any[slot], seq);
    }
    return seq;
}

uint64_t marks_glob(struct marks *m, const struct glob *g, bool soft)
{
    struct marks_state *st = m->state;
    pthread_mutex_lock(&st->lock);
    struct pattern *p = &st->patterns[st->next];
    st->next = (st->next + 1) % MARKS_GLOBS;
    st->forgotten = p->seq; /* 0: it was free */
    uint64_t seq = atomic_fetch_add(&st->seq, 1) + 1;
    p->seq = seq;
    p->soft = soft;
    p->glob = *g;
    p->glob.text = memcpy(p->room, g->text, glob_literal_bytes(g));
    raise_to(&st->newest_glob, seq);
    pthread_mutex_unlock(&st->lock);
    return seq;
}

enum mark marks_judge_tags(const struct marks *m, const void *slots, size_t count, uint64_t since)
{
    if (marks_quiet(m, slots, count, since))
        return MARK_NONE;
    const char *at = slots;
    for (size_t i = 0; i < count; i++) {
        uint32_t n;
        memcpy(&n, at + i * sizeof n, sizeof n);
        if (atomic_load_explicit(&m->hard[n], memory_order_acquire) > since)
            return MARK_HARD;
    }
    return MARK_SOFT;
}

enum mark marks_judge_key(struct marks *m, struct slice key, uint64_t since)
{
    struct marks_state *st = m ? m->state : NULL;
    if (!st || atomic_load_explicit(&st->newest_glob, memory_order_acquire) <= since)
        return MARK_NONE;
    enum mark mark = MARK_NONE;
    pthread_mutex_lock(&st->lock);
    if (st->forgotten > since)
        mark = MARK_HARD;
    for (size_t i = 0; i < MARKS_GLOBS && mark != MARK_HARD; i++) {
        const struct pattern *p = &st->patterns[i];
        if (p->seq > since && glob_matches(&p->glob, key, NULL))
            mark = p->soft ? MARK_SOFT : MARK_HARD;
    }
    pthread_mutex_unlock(&st->lock);
    return mark;
}
