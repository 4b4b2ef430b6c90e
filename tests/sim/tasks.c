/* The virtual clock: a heap of tasks by time, and by a seeded number within a millisecond. */
#include "sim.h"

#include <stdlib.h>

static bool before(const struct task *a, const struct task *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->tie < b->tie;
}

void task_in(struct sim *s, int64_t ms, task_fn fn, void *arg, uint32_t stamp)
{
    if (s->task_count == SIM_TASKS) {
        fputs("sim: too many tasks\n", stderr);
        abort();
    }
    struct task t = {s->now_ms + (ms > 0 ? ms : 0), rng_next(&s->rng), fn, arg, stamp};
    size_t at = s->task_count++;
    for (; at > 0 && before(&t, &s->tasks[(at - 1) / 2]); at = (at - 1) / 2)
        s->tasks[at] = s->tasks[(at - 1) / 2];
    s->tasks[at] = t;
}

static struct task pop(struct sim *s)
{
    struct task first = s->tasks[0], last = s->tasks[--s->task_count];
    size_t at = 0, child;
    while ((child = at * 2 + 1) < s->task_count) {
        if (child + 1 < s->task_count && before(&s->tasks[child + 1], &s->tasks[child]))
            child++;
        if (!before(&s->tasks[child], &last))
            break;
        s->tasks[at] = s->tasks[child];
        at = child;
    }
    s->tasks[at] = last;
    return first;
}

void tasks_run(struct sim *s, int64_t until_ms)
{
    while (s->task_count > 0 && s->tasks[0].at_ms <= until_ms) {
        struct task t = pop(s);
        if (s->now_ms < t.at_ms)
            s->now_ms = t.at_ms;
        t.fn(s, t.arg, t.stamp);
    }
    if (until_ms != INT64_MAX && s->now_ms < until_ms)
        s->now_ms = until_ms;
}
