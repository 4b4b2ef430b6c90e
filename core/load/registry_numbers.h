/*
 * registry_numbers: how the registry's table goes, for whoever shows it.
 *
 *   main thread --tell--> state, counts, error, refused rows <--read-- I/O threads
 *
 * Shape: plain values under a lock of their own, which is a leaf. Thread: any. Limits: the first
 * REGISTRY_REFUSALS rows that were refused; the rest is counted.
 */
#ifndef RTCACHE_LOAD_REGISTRY_NUMBERS_H
#define RTCACHE_LOAD_REGISTRY_NUMBERS_H

#include "base/err.h"
#include "base/glob.h"

#include <pthread.h>

#define REGISTRY_REFUSALS 16

enum registry_state {
    REGISTRY_OK,
    REGISTRY_UNREAD,  /* never since the start: the file's loaders alone are in force */
    REGISTRY_KEPT,    /* never since the start: the rows of the last life are in force */
    REGISTRY_DOWN,    /* it was read, but not when it was looked at last */
    REGISTRY_REFUSED, /* what was read last is wrong */
};

/* A row that is wrong. */
struct registry_refusal {
    char pattern[GLOB_MAX + 1]; /* cut to that; "": it is no one row's */
    char text[ERR_TEXT_MAX];
};

struct registry_counts {
    enum registry_state state;
    uint64_t looks, failures, told, taken, refused;
    int64_t read_wall_ms;    /* 0: never */
    char error[ERR_TEXT_MAX]; /* why it is not OK; "": it is */
    struct registry_refusal refusals[REGISTRY_REFUSALS];
    size_t refusal_count; /* also of those that are not in the list */
};

struct registry_numbers {
    pthread_mutex_t lock;
    struct registry_counts counts;
};

void registry_numbers_init(struct registry_numbers *n);
void registry_numbers_fini(struct registry_numbers *n);
void registry_numbers_set(struct registry_numbers *n, const struct registry_counts *counts);
void registry_numbers_read(struct registry_numbers *n, struct registry_counts *out);

const char *registry_state_name(enum registry_state state);

#endif
