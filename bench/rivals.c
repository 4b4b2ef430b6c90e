#include "rivals.h"

#include "queues.h"

#include <stdbool.h>

static void *array(size_t count, size_t size)
{
    void *a = calloc(count, size);
    if (!a)
        errx(2, "no memory for %zu keys", count);
    return a;
}

/* ---- S3-FIFO ---- */

enum { S3_SMALL = 1, S3_MAIN, S3_GHOST };
#define S3_SHARE 10
#define S3_READS 3

static void s3_forget(struct queues *q, size_t room)
{
    while (q->size[S3_GHOST] > room)
        queues_remove(q, queues_oldest(q, S3_GHOST));
}

/* One leaves. */
static void s3_evict(struct queues *q, uint8_t *reads, size_t room, size_t small)
{
    for (;;) {
        unsigned from = q->size[S3_SMALL] > small || !q->size[S3_MAIN] ? S3_SMALL : S3_MAIN;
        uint32_t key = queues_oldest(q, from);
        if (from == S3_SMALL && reads[key] <= 1) {
            queues_move(q, S3_GHOST, key);
            s3_forget(q, room - small);
            return;
        }
        if (from == S3_MAIN && reads[key] == 0) {
            queues_remove(q, key);
            return;
        }
        reads[key] = from == S3_MAIN ? reads[key] - 1 : 0;
        queues_move(q, S3_MAIN, key);
    }
}

size_t rival_s3fifo(const struct trace *t, size_t room)
{
    struct queues q;
    queues_init(&q, t->distinct);
    uint8_t *reads = array(t->distinct, sizeof *reads);
    size_t small = room / S3_SHARE, misses = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        if (q.in[key] == S3_SMALL || q.in[key] == S3_MAIN) {
            reads[key] += reads[key] < S3_READS;
            continue;
        }
        misses++;
        while (q.size[S3_SMALL] + q.size[S3_MAIN] >= room)
            s3_evict(&q, reads, room, small);
        bool known = q.in[key] == S3_GHOST;
        if (known)
            queues_remove(&q, key);
        reads[key] = 0;
        queues_push(&q, known ? S3_MAIN : S3_SMALL, key);
    }
    queues_fini(&q);
    free(reads);
    return misses;
}

/* ---- ARC ---- */

enum { ARC_ONCE = 1, ARC_OFTEN, ARC_ONCE_GHOST, ARC_OFTEN_GHOST };

static void arc_replace(struct queues *q, double target, bool often)
{
    size_t once = q->size[ARC_ONCE];
    bool first = once > 0 && ((double)once > target || (often && (double)once == target) ||
                              q->size[ARC_OFTEN] == 0);
    uint32_t key = queues_oldest(q, first ? ARC_ONCE : ARC_OFTEN);
    queues_move(q, first ? ARC_ONCE_GHOST : ARC_OFTEN_GHOST, key);
}

static double arc_step(const struct queues *q, unsigned grows, unsigned shrinks)
{
    double step = (double)q->size[shrinks] / (double)q->size[grows];
    return step > 1 ? step : 1;
}

/* Of a key that is in no queue. */
static void arc_make_room(struct queues *q, size_t room, double target)
{
    size_t once = q->size[ARC_ONCE] + q->size[ARC_ONCE_GHOST];
    size_t all = once + q->size[ARC_OFTEN] + q->size[ARC_OFTEN_GHOST];
    if (once == room && q->size[ARC_ONCE] == room) {
        queues_remove(q, queues_oldest(q, ARC_ONCE));
        return;
    }
    if (once == room)
        queues_remove(q, queues_oldest(q, ARC_ONCE_GHOST));
    else if (all == 2 * room)
        queues_remove(q, queues_oldest(q, ARC_OFTEN_GHOST));
    if (all >= room)
        arc_replace(q, target, false);
}

size_t rival_arc(const struct trace *t, size_t room)
{
    struct queues q;
    queues_init(&q, t->distinct);
    double target = 0;
    size_t misses = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        unsigned in = q.in[key];
        misses += in != ARC_ONCE && in != ARC_OFTEN;
        if (in == ARC_ONCE_GHOST) {
            target += arc_step(&q, ARC_ONCE_GHOST, ARC_OFTEN_GHOST);
            target = target < (double)room ? target : (double)room;
        } else if (in == ARC_OFTEN_GHOST) {
            target -= arc_step(&q, ARC_OFTEN_GHOST, ARC_ONCE_GHOST);
            target = target > 0 ? target : 0;
        }
        if (in == ARC_ONCE_GHOST || in == ARC_OFTEN_GHOST)
            arc_replace(&q, target, in == ARC_OFTEN_GHOST);
        if (in) {
            queues_move(&q, ARC_OFTEN, key);
        } else {
            arc_make_room(&q, room, target);
            queues_push(&q, ARC_ONCE, key);
        }
    }
    queues_fini(&q);
    return misses;
}

/* ---- W-TinyLFU ---- */

enum { TLFU_WINDOW = 1, TLFU_PROBATION, TLFU_PROTECTED };
#define TLFU_PROTECTED_PART 0.8
#define TLFU_MOST           15
#define TLFU_AGE            10 /* requests over the room, before all counts are halved */

/* Exact counts in place of a sketch. */
struct tlfu_counts {
    uint8_t *of; /* owned */
    size_t keys, seen, age;
};

static void tlfu_count(struct tlfu_counts *c, uint32_t key)
{
    c->of[key] += c->of[key] < TLFU_MOST;
    if (++c->seen < c->age)
        return;
    for (size_t i = 0; i < c->keys; i++)
        c->of[i] /= 2;
    c->seen /= 2;
}

static void tlfu_read(struct queues *q, uint32_t key, size_t guarded)
{
    if (q->in[key] == TLFU_WINDOW) {
        queues_move(q, TLFU_WINDOW, key);
        return;
    }
    queues_move(q, TLFU_PROTECTED, key);
    if (q->size[TLFU_PROTECTED] > guarded)
        queues_move(q, TLFU_PROBATION, queues_oldest(q, TLFU_PROTECTED));
}

/* The window's oldest against main's. */
static void tlfu_admit(struct queues *q, const struct tlfu_counts *c, size_t main)
{
    uint32_t key = queues_oldest(q, TLFU_WINDOW);
    queues_remove(q, key);
    if (q->size[TLFU_PROBATION] + q->size[TLFU_PROTECTED] < main) {
        queues_push(q, TLFU_PROBATION, key);
        return;
    }
    if (main == 0)
        return;
    uint32_t victim = queues_oldest(q, q->size[TLFU_PROBATION] ? TLFU_PROBATION : TLFU_PROTECTED);
    if (c->of[key] <= c->of[victim])
        return;
    queues_remove(q, victim);
    queues_push(q, TLFU_PROBATION, key);
}

size_t rival_wtlfu(const struct trace *t, size_t room, double part)
{
    struct queues q;
    queues_init(&q, t->distinct);
    struct tlfu_counts c = {.of = array(t->distinct, 1), .keys = t->distinct};
    size_t window = (size_t)((double)room * part), misses = 0;
    window = window > 0 ? window : 1;
    size_t main = room - window, guarded = (size_t)((double)main * TLFU_PROTECTED_PART);
    c.age = TLFU_AGE * room;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        tlfu_count(&c, key);
        if (q.in[key]) {
            tlfu_read(&q, key, guarded);
            continue;
        }
        misses++;
        queues_push(&q, TLFU_WINDOW, key);
        if (q.size[TLFU_WINDOW] > window)
            tlfu_admit(&q, &c, main);
    }
    queues_fini(&q);
    free(c.of);
    return misses;
}
