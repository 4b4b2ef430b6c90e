/*
 * text: bytes written one after the other, and decimal numbers, for requests and answers in text.
 *
 * Thread: any. Limits: the room is the caller's; numbers of at most 18 digits.
 */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>
#include <string.h>

/* The end of what was written. */
static inline char *put_bytes(char *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

#define put_literal(out, text) put_bytes(out, text, sizeof(text) - 1)

static inline char *put_decimal(char *out, size_t n)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (count)
        *out++ = digits[--count];
    return out;
}

/* The decimal number that ends before the line's end; -1: none. */
static inline long take_decimal(const char *in, const char *end)
{
    long n = 0;
    if (in == end || end - in > 18)
        return -1;
    for (; in < end; in++) {
        if (*in < '0' || *in > '9')
            return -1;
        n = n * 10 + (*in - '0');
    }
    return n;
}

#endif
