/*
 * pick: which key is asked for next.
 *
 *   in turn:   each once, scattered over all of them, then again in the same order
 *   by chance: each as likely, or the n-th most wanted as likely as 1/n (Zipf's law, exponent 1)
 *
 * Shape: a few words; O(1) a key, whatever their number. By W. Hoermann and G. Derflinger,
 * "Rejection-inversion to generate variates from monotone discrete distributions" (1996).
 * Thread: one. Limits: the same run each time, the seed is fixed.
 */
#ifndef BENCH_PICK_H
#define BENCH_PICK_H

#include <stdbool.h>
#include <stdint.h>

struct pick {
    unsigned keys, next;
    bool in_order, zipf;
    double low, high; /* of Zipf's law: the logarithms that are drawn between */
    uint64_t random;
};

/* keys: at least 1. first: in turn, where in their order to begin. */
void pick_init(struct pick *p, unsigned keys, bool zipf);
void pick_in_order(struct pick *p, unsigned first);
/* 0 to keys - 1 */
unsigned pick_key(struct pick *p);
/* In [0, 1). */
double pick_chance(struct pick *p);

#endif
