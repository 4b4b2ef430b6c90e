#include "base/decimal.h"

#define DIGITS_MAX  20 /* of a uint64_t */
#define DIGITS_READ 18 /* so many never overflow */

int decimal_print(struct buf *out, int64_t v)
{
    char text[DIGITS_MAX + 1];
    char *at = text + sizeof text;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0)
        *--at = '-';
    return buf_append(out, at, (size_t)(text + sizeof text - at));
}

bool decimal_parse(struct slice text, int64_t *out)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t i = negative;
    int64_t v = 0;
    if (text.size <= i || text.size > i + DIGITS_READ)
        return false;
    for (; i < text.size; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *out = negative ? -v : v;
    return true;
}
