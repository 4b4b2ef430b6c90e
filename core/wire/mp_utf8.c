#include "wire/mp.h"

/* The size of the well-formed sequence at p (first byte >= 0x80), 0 where there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    size_t size;

    if (c >= 0xc2 && c <= 0xdf) {
        size = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        size = 3;
        if (c == 0xe0)
            low = 0xa0; /* shorter forms exist below */
        if (c == 0xed)
            high = 0x9f; /* surrogates above */
    } else if (c >= 0xf0 && c <= 0xf4) {
        size = 4;
        if (c == 0xf0)
            low = 0x90;
        if (c == 0xf4)
            high = 0x8f; /* nothing above U+10FFFF */
    } else {
        return 0;
    }
    if (n < size || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* Whether n bytes, fewer than 8, are all below 0x80: by two words that overlap. */
static bool is_short_ascii(const unsigned char *p, size_t n)
{
    uint32_t first = 0, last = 0;
    if (n >= 4) {
        memcpy(&first, p, 4);
        memcpy(&last, p + n - 4, 4);
    } else if (n > 0) {
        first = p[0];
        last = (uint32_t)p[n / 2] | p[n - 1];
    }
    return ((first | last) & 0x80808080U) == 0;
}

size_t mp_utf8_prefix(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0;

    while (i < s.size) {
        uint64_t word;
        while (s.size - i >= 8) {
            memcpy(&word, p + i, 8);
            if (word & 0x8080808080808080U)
                break;
            i += 8;
        }
        if (s.size - i < 8 && is_short_ascii(p + i, s.size - i))
            return s.size;
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        size_t n = utf8_sequence(p + i, s.size - i);
        if (n == 0)
            return i;
        i += n;
    }
    return i;
}

bool mp_utf8_valid(struct slice s)
{
    return mp_utf8_prefix(s) == s.size;
}
