#include "wire/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, struct slice bytes)
{
    size_t size = (bytes.size + 2) / 3 * 4;
    if (size == 0)
        return 0;
    int rc = buf_grow(out, size);
    if (rc != 0)
        return rc;
    const unsigned char *in = (const unsigned char *)bytes.data;
    char *to = out->data + out->size;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t n = bytes.size - i;
        uint32_t v = (uint32_t)in[i] << 16;
        if (n > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            v |= in[i + 2];
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = n > 1 ? digits[v >> 6 & 63] : '=';
        *to++ = n > 2 ? digits[v & 63] : '=';
    }
    out->size += size;
    return 0;
}

/* -1 where c is no digit. */
static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct buf *out, struct slice text)
{
    size_t padding = 0;

    if (text.size == 0)
        return 0;
    if (text.size % 4 != 0)
        return ERR_BAD_VALUE;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    int rc = buf_grow(out, text.size / 4 * 3);
    if (rc != 0)
        return rc;
    char *to = out->data + out->size;
    for (size_t i = 0; i < text.size; i += 4) {
        uint32_t v = 0;
        for (size_t j = i; j < i + 4; j++) {
            int digit = j >= text.size - padding ? 0 : digit_value(text.data[j]);
            if (digit < 0)
                return ERR_BAD_VALUE;
            v = v << 6 | (uint32_t)digit;
        }
        *to++ = (char)(v >> 16);
        *to++ = (char)(v >> 8);
        *to++ = (char)v;
    }
    out->size += text.size / 4 * 3 - padding;
    return 0;
}
