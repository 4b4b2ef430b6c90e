#include "base/decimal.h"

#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX  20 /* of a uint64_t */
#define DIGITS_SAFE 18 /* so many never overflow */

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

void decimal_print_float(double d, char out[DECIMAL_FLOAT_MAX])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, DECIMAL_FLOAT_MAX, "%.*g", digits, d);
        if (strtod(out, NULL) == d)
            return;
    }
}

/* Digits that may not fit. */
static bool parse_long(struct slice digits, bool negative, int64_t *out)
{
    uint64_t v = 0, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = (unsigned char)digits.data[i] - (unsigned)'0';
        if (digit > 9 || v > (most - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool decimal_parse(struct slice text, int64_t *out)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t i = negative;
    int64_t v = 0;
    if (text.size <= i)
        return false;
    if (text.size > i + DIGITS_SAFE)
        return parse_long(slice_of(text.data + i, text.size - i), negative, out);
    for (; i < text.size; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *out = negative ? -v : v;
    return true;
}

bool decimal_parse_printed(struct slice text, int64_t *out)
{
    size_t first = text.size > 0 && text.data[0] == '-';
    bool spare = text.size > first && text.data[first] == '0' && text.size > (first ? 0 : 1);
    return !spare && decimal_parse(text, out);
}
