/*
 * options: the command line of the load generator. Limits: bad words end the program, which tells
 * all that there are.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "protocol.h"

struct options {
    const struct protocol *protocol;
    const char *address, *prefix; /* borrowed from argv */
    unsigned connections, depth, keys, many, value, first;
    bool in_order, zipf, fill;
    uint64_t requests; /* 0: by time */
    double seconds, warmup, rate, sets;
    int pid;
};

void options_read(struct options *o, int argc, char **argv);

#endif
