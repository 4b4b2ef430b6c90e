/*
 * packed: MessagePack, as far as requests and answers of benchmarks need it.
 *
 * Thread: any. Limits: integers are unsigned, of 32 bits; extension types are refused.
 */
#ifndef BENCH_PACKED_H
#define BENCH_PACKED_H

#include "protocol.h"

/* The end of what was written. A u32 takes five bytes whatever its value is. */
char *packed_put_u32(char *out, uint32_t n);
char *packed_put_str(char *out, struct text t);
char *packed_put_array(char *out, unsigned count);

struct token {
    bool is_nil, is_int, is_array;
    uint32_t number; /* an integer */
    size_t children; /* values that follow and belong to it */
    size_t payload;  /* bytes of a str or bin */
};

/* Reads one head and steps over its payload. As `take` of a protocol. */
ssize_t packed_take_token(const char *in, size_t len, struct token *t);
/* One value with all that is in it. head: its first token; *bytes: of all str and bin in it. */
ssize_t packed_take_value(const char *in, size_t len, struct token *head, size_t *bytes);

#endif
