/* The events of a run, and how they read. */
#include "history.h"

#include "base/err.h"
#include "base/hash.h"

#include <stdlib.h>

void history_clear(struct history *h)
{
    h->count = 0;
}

void history_free(struct history *h)
{
    free(h->events);
    *h = (struct history){0};
}

void history_add(struct history *h, const struct event *e)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 1024;
        h->events = realloc(h->events, h->capacity * sizeof *h->events);
        if (!h->events) {
            fputs("sim: no memory for the history\n", stderr);
            abort();
        }
    }
    h->events[h->count++] = *e;
}

uint64_t history_hash(const struct history *h)
{
    return hash_bytes(h->events, h->count * sizeof *h->events, 0);
}

static const char *const names[] = {
    [DID_KEY] = "key",
    [DID_FLOOR_TTL] = "floor_ttl",
    [DID_COMMIT] = "COMMIT",
    [DID_SHOWN] = "shown",
    [DID_APPLIED] = "applied",
    [DID_LOAD] = "load",
    [DID_ATTEMPT] = "attempt",
    [DID_READ] = "read",
    [DID_BELOW] = "below",
    [DID_END] = "end",
    [DID_ABANDONED] = "abandoned",
    [DID_GET] = "GET",
    [DID_GOT] = "GOT",
    [DID_LEFT] = "left",
    [DID_SET] = "SET",
    [DID_WRITE] = "WRITE",
    [DID_WRITTEN] = "WRITTEN",
    [DID_UNANSWERED] = "never answered",
    [DID_INVALIDATE] = "INVALIDATE",
    [DID_EXPIRE] = "EXPIRE",
    [DID_TOUCH] = "TOUCH",
    [DID_TAG] = "TAG",
    [DID_MATCH] = "MATCH",
    [DID_EVICT] = "evict",
    [DID_DROPPED] = "floors dropped",
    [DID_RELOAD] = "RELOAD",
    [DID_ADOPT] = "reload, for requests",
    [DID_JUMP] = "clock jumps",
    [DID_QUIET] = "quiet",
    [DID_STOP] = "STOP",
    [DID_SETTLED] = "settled",
};

static const char *const statuses[] = {"miss", "hit", "stale", "stale_error", "nothing"};
static const char *const sources[] = {"primary", "replica, and its primary", "replica alone"};

static void print_flags(const struct event *e, FILE *out)
{
    static const struct {
        int flag;
        const char *word;
    } words[] = {
        {F_VERSIONED, "versioned"}, {F_ABSENT, "absent"},   {F_PRIMARY, "primary"},
        {F_UNCHANGED, "unchanged"}, {F_STORED, "STORED"},   {F_GONE, "gone"},
        {F_SOFT, "soft"},           {F_DOUBTED, "doubted"}, {F_STRONG, "strong"},
        {F_BATCH, "batch"},         {F_REFRESH, "refresh"}, {F_UNDONE, "undone"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (e->flags & words[i].flag)
            fprintf(out, " %s", words[i].word);
}

static bool tells_version(const struct event *e)
{
    switch (e->kind) {
    case DID_COMMIT:
    case DID_SHOWN:
    case DID_APPLIED:
    case DID_READ:
    case DID_BELOW:
    case DID_SET: return true;
    case DID_END: return e->code == 0 && !(e->flags & F_ABSENT);
    default: return e->flags & F_HAS_VERSION;
    }
}

static void print_event(const struct event *e, size_t order, FILE *out)
{
    fprintf(out, "%5zu %6lld ms  ", order, (long long)e->at_ms);
    fprintf(out, e->key >= 0 ? "k:%d  " : "     ", e->key);
    fputs(names[e->kind], out);
    if (e->kind == DID_KEY)
        fprintf(out, " from a %s", sources[e->code]);
    if (e->id)
        fprintf(out, " %s%d", e->kind == DID_TAG ? "t:" : "#", e->id);
    if (e->read)
        fprintf(out, " r%d", e->read);
    if (tells_version(e))
        fprintf(out, " v%lld", (long long)e->version);
    print_flags(e, out);
    if (e->kind == DID_GOT && e->code == 0)
        fprintf(out, e->flags & F_ABSENT ? " %s" : " %s, bytes of v%lld", statuses[e->status],
                (long long)e->seen);
    if (e->kind == DID_QUIET)
        fprintf(out, " %s", statuses[e->status]);
    if (e->tags)
        fprintf(out, e->kind == DID_MATCH ? " keys %x" : " tags %x", (unsigned)e->tags);
    if (e->ttl_ms)
        fprintf(out, " ttl %lld ms", (long long)e->ttl_ms);
    if (e->until_ms)
        fprintf(out, " in doubt until %lld ms", (long long)e->until_ms);
    if (e->kind != DID_KEY && e->code != 0)
        fprintf(out, " %s", err_name(e->code));
    fputc('\n', out);
}

void history_print(const struct history *h, size_t count, int key, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct event *e = &h->events[i];
        bool aside = e->kind == DID_MATCH && key >= 0 && !(e->tags & 1 << key);
        if (key < 0 || (!aside && (e->key == key || e->key < 0)))
            print_event(e, i, out);
    }
}
