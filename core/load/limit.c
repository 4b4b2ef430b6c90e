#include "load/limit.h"

#include <math.h>

#define WINDOW_US    100000
#define WINDOW_LEAST 10   /* loads that make a window tell something */
#define WARM_UP      100  /* loads before the usual time is known */
#define TOLERANCE    2.0  /* times the usual that are no slowdown yet */
#define SHARE        0.02 /* of a window's mean in the usual time */
#define SMOOTH       0.5  /* of a window's finding in the limit */

void limit_init(struct limit *l, uint32_t least, uint32_t most)
{
    *l = (struct limit){.least = least < most ? least : most, .most = most, .now = most};
}

/* The source got faster for good: the usual time follows sooner than it does upwards. */
static void learn(struct limit *l, double mean_us)
{
    if (l->usual_us == 0 || l->seen < WARM_UP) {
        l->usual_us = l->usual_us == 0 ? mean_us : l->usual_us + 0.5 * (mean_us - l->usual_us);
        return;
    }
    double share = mean_us < l->usual_us ? SHARE * 5 : SHARE;
    l->usual_us += share * (mean_us - l->usual_us);
}

static void decide(struct limit *l, double mean_us)
{
    double gradient = l->usual_us * TOLERANCE / mean_us;
    gradient = gradient > 1 ? 1 : gradient < 0.5 ? 0.5 : gradient;
    if (l->dropped * 2 > l->count)
        gradient = 0.5;
    double base = l->now;
    if (gradient < 1 && base > l->widest)
        base = l->widest; /* what was never used says nothing */
    bool held = l->widest + 1 >= l->now;
    double next = gradient < 1 ? base * gradient : held ? base + ceil(sqrt(base)) : base;
    if (gradient < 1) {
        next = base + SMOOTH * (next - base);
        l->lowered++;
    }
    l->now = next < l->least ? l->least : next > l->most ? l->most : next;
}

void limit_ended(struct limit *l, uint64_t us, bool dropped, uint32_t in_flight, int64_t now_us)
{
    if (l->least == l->most)
        return;
    l->seen++;
    l->sum_us += (double)(us > 0 ? us : 1);
    l->count++;
    l->dropped += dropped;
    if (in_flight > l->widest)
        l->widest = in_flight;
    if (l->window_ends_us == 0)
        l->window_ends_us = now_us + WINDOW_US;
    if (now_us < l->window_ends_us || l->count < WINDOW_LEAST)
        return;
    double mean_us = l->sum_us / l->count;
    if (l->seen >= WARM_UP && l->usual_us > 0)
        decide(l, mean_us);
    learn(l, mean_us);
    l->sum_us = 0;
    l->count = l->dropped = l->widest = 0;
    l->window_ends_us = now_us + WINDOW_US;
}
