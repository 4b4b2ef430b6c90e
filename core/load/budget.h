/*
 * budget: how many further attempts a thread's loads may make: a share of the loads there are.
 *
 *   a load begins: + share    an attempt more: - 1    and `floor` a second come by themselves
 *
 * When a source fails, each of its loads wants to try again, and what was too much becomes more.
 * With a budget it becomes at most 1 + share times as much, after Finagle's RetryBudget (Twitter,
 * 2016). Pure: time is a parameter. Thread: its owner's. Limits: BUDGET_MOST saved up.
 */
#ifndef RTCACHE_LOAD_BUDGET_H
#define RTCACHE_LOAD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_MOST  50.0
#define BUDGET_FLOOR 2.0 /* a second, so that few loads can be tried again too */

struct budget {
    double left;
    int64_t since_ms;
};

static inline void budget_init(struct budget *b, int64_t now_ms)
{
    *b = (struct budget){.left = BUDGET_MOST / 2, .since_ms = now_ms};
}

static inline void budget_earn(struct budget *b, double share, int64_t now_ms)
{
    double past_s = (double)(now_ms - b->since_ms) / 1e3;
    b->since_ms = now_ms;
    b->left += share + (past_s > 0 ? past_s * BUDGET_FLOOR : 0);
    if (b->left > BUDGET_MOST)
        b->left = BUDGET_MOST;
}

/* false: there is none left. */
static inline bool budget_spend(struct budget *b, int64_t now_ms)
{
    budget_earn(b, 0, now_ms);
    if (b->left < 1)
        return false;
    b->left -= 1;
    return true;
}

#endif
