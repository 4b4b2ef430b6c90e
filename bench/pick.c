#include "pick.h"

#include <math.h>

/* Odd, and a prime larger than any number of keys: popular keys, and those of one moment, lie
 * anywhere. */
#define SCATTER UINT64_C(2654435761)

void pick_init(struct pick *p, unsigned keys, bool zipf)
{
    *p = (struct pick){.keys = keys, .zipf = zipf, .random = 88172645463325252};
    p->low = log(1.5) - 1;
    p->high = log((double)keys + .5);
}

void pick_in_order(struct pick *p, unsigned first)
{
    p->in_order = true;
    p->next = first % p->keys;
}

static uint64_t next_random(struct pick *p)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random;
}

double pick_chance(struct pick *p)
{
    return (double)(next_random(p) >> 11) * 0x1p-53;
}

/* 1 is the most wanted. */
static unsigned zipf_rank(struct pick *p)
{
    const double near = 1 - exp(log(2.5) - .5);
    while (true) {
        double u = p->high + pick_chance(p) * (p->low - p->high);
        double x = exp(u), k = floor(x + .5);
        k = k < 1 ? 1 : k > p->keys ? p->keys : k;
        if (k - x <= near || u >= log(k + .5) - 1 / k)
            return (unsigned)k;
    }
}

unsigned pick_key(struct pick *p)
{
    if (p->in_order) {
        unsigned rank = p->next++;
        p->next = p->next == p->keys ? 0 : p->next;
        return (unsigned)(rank * SCATTER % p->keys);
    }
    if (p->zipf)
        return (unsigned)(zipf_rank(p) * SCATTER % p->keys);
    return (unsigned)((next_random(p) >> 32) * p->keys >> 32);
}
