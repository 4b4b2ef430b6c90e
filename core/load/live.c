#include "load/live.h"

#include <stdlib.h>
#include <string.h>

/* Each field is one number of backend_stats or runtime_stats, as words that any thread may read. */
#define BACKEND_FIELDS(X)                                                                          \
    X(queries)                                                                                     \
    X(failures)                                                                                    \
    X(connects)                                                                                    \
    X(disconnects)                                                                                 \
    X(cancels)                                                                                     \
    X(timeouts)                                                                                    \
    X(groups)                                                                                      \
    X(groups_failed)                                                                               \
    X(reruns)                                                                                      \
    X(descriptions)                                                                                \
    X(stale)                                                                                       \
    X(lost)                                                                                        \
    X(retired)                                                                                     \
    X(grown)                                                                                       \
    X(unprepared)                                                                                  \
    X(statements_shared)                                                                           \
    X(statements_alone)                                                                            \
    X(connections)                                                                                 \
    X(idle)                                                                                        \
    X(in_flight)                                                                                   \
    X(queued)
#define SCRIPT_FIELDS(X)                                                                           \
    X(runs)                                                                                        \
    X(failures)                                                                                    \
    X(cpu_stops)                                                                                   \
    X(memory_stops)                                                                                \
    X(call_stops)                                                                                  \
    X(collections)                                                                                 \
    X(replaced)                                                                                    \
    X(memory_bytes)                                                                                \
    X(parked)

#define WORD(field) _Atomic uint64_t field;
#define TELL(field) atomic_store_explicit(&to->field, now->field, memory_order_relaxed);
#define ADD(field)  sum->field += atomic_load_explicit(&from->field, memory_order_relaxed);

struct backend_numbers {
    BACKEND_FIELDS(WORD)
};

struct script_numbers {
    SCRIPT_FIELDS(WORD)
};

static void ref(_Atomic int *refs)
{
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* Whether it was the last one. */
static bool unref(_Atomic int *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* ---- loaders ---- */

struct live_loader *live_loader_new(const char *pattern, uint16_t slot, uint32_t threads)
{
    size_t size = sizeof(struct live_loader) + threads * sizeof(struct live_lane);
    struct live_loader *l = aligned_alloc(_Alignof(struct live_loader), size);
    if (!l)
        return NULL;
    memset(l, 0, size);
    atomic_init(&l->refs, 1);
    l->slot = slot;
    l->threads = threads;
    l->pattern = strdup(pattern);
    if (l->pattern)
        return l;
    free(l);
    return NULL;
}

struct live_loader *live_loader_ref(struct live_loader *l)
{
    ref(&l->refs);
    return l;
}

void live_loader_unref(struct live_loader *l)
{
    if (!l || !unref(&l->refs))
        return;
    free(l->pattern);
    free(l);
}

/* ---- backends ---- */

struct live_backend *live_backend_new(uint32_t threads)
{
    struct live_backend *b = calloc(1, sizeof *b);
    if (b)
        b->told = calloc(threads, sizeof *b->told);
    if (!b || !b->told) {
        free(b);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    atomic_init(&b->feed.lag_ms, -1);
    b->threads = threads;
    return b;
}

struct live_backend *live_backend_ref(struct live_backend *b)
{
    ref(&b->refs);
    return b;
}

void live_backend_unref(struct live_backend *b)
{
    if (!b || !unref(&b->refs))
        return;
    free(b->told);
    free(b);
}

void live_backend_tell(struct live_backend *b, size_t thread, const struct backend_stats *now)
{
    struct backend_numbers *to = &b->told[thread];
    BACKEND_FIELDS(TELL)
}

void live_backend_ask(const struct live_backend *b, struct backend_stats *sum)
{
    *sum = (struct backend_stats){0};
    for (size_t t = 0; t < b->threads; t++) {
        const struct backend_numbers *from = &b->told[t];
        BACKEND_FIELDS(ADD)
    }
}

/* ---- scripts ---- */

struct live_scripts *live_scripts_new(uint32_t threads)
{
    struct live_scripts *s = calloc(1, sizeof *s);
    if (s)
        s->told = calloc(threads, sizeof *s->told);
    if (!s || !s->told) {
        free(s);
        return NULL;
    }
    atomic_init(&s->refs, 1);
    s->threads = threads;
    return s;
}

struct live_scripts *live_scripts_ref(struct live_scripts *s)
{
    ref(&s->refs);
    return s;
}

void live_scripts_unref(struct live_scripts *s)
{
    if (!s || !unref(&s->refs))
        return;
    free(s->told);
    free(s);
}

void live_scripts_tell(struct live_scripts *s, size_t thread, const struct runtime_stats *now)
{
    struct script_numbers *to = &s->told[thread];
    SCRIPT_FIELDS(TELL)
}

void live_scripts_ask(const struct live_scripts *s, struct runtime_stats *sum)
{
    *sum = (struct runtime_stats){0};
    for (size_t t = 0; t < s->threads; t++) {
        const struct script_numbers *from = &s->told[t];
        SCRIPT_FIELDS(ADD)
    }
}
