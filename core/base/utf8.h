/*
 * utf8: where characters begin and end (RFC 3629).
 *
 * Shape: pure, O(1). Thread: any. Limits: says nothing about which characters are wise to print.
 */
#ifndef RTCACHE_BASE_UTF8_H
#define RTCACHE_BASE_UTF8_H

#include "base/slice.h"

#include <stdint.h>

/* The bytes of the well-formed character at the start of s; 0 where there is none. */
static inline size_t utf8_size(struct slice s)
{
    static const uint32_t least[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    const unsigned char *p = (const unsigned char *)s.data;
    if (s.size == 0 || p[0] < 0x80)
        return s.size != 0;
    size_t size = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC0 || p[0] > 0xF4 || s.size < size)
        return 0;
    uint32_t code = p[0] & 0x7FU >> size;
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3FU);
    }
    if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    return size;
}

/* The size of text without the beginning of a character whose end was cut off. */
static inline size_t utf8_cut(const char *text, size_t size)
{
    for (size_t back = 1; back <= 4 && back <= size; back++) {
        unsigned char c = (unsigned char)text[size - back];
        if ((c & 0xC0) == 0x80)
            continue;
        if (c > 0xF4) /* begins nothing */
            return size;
        size_t wanted = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return wanted > back ? size - back : size;
    }
    return size;
}

#endif
