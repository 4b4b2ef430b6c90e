#include "base/show.h"

#include "base/utf8.h"

#include <stdio.h>

/* Terminals obey U+0080 to U+009F too. */
static bool is_control(const unsigned char *p, size_t size)
{
    return p[0] < 0x20 || p[0] == 0x7F || (size == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

size_t show_bytes(char *text, size_t room, struct slice s, const char *quoted)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t n = 0, size;
    for (size_t i = 0; i < s.size; i += size) {
        size = utf8_size(slice_of(p + i, s.size - i));
        bool escape = size == 0 || is_control(p + i, size);
        bool quote = !escape && size == 1 && p[i] && strchr(quoted, p[i]);
        size += size == 0;
        size_t width = escape ? 4 * size : size + quote;
        if (width >= room - n)
            break;
        for (size_t k = 0; escape && k < size; k++)
            snprintf(text + n + 4 * k, 5, "\\x%02x", p[i + k]);
        if (quote)
            text[n] = '\\';
        if (!escape)
            memcpy(text + n + quote, p + i, size);
        n += width;
    }
    text[n] = '\0';
    return n;
}

const char *show_key(char *text, struct slice key)
{
    size_t most = key.size > SHOW_KEY_MAX ? utf8_cut(key.data, SHOW_KEY_MAX) : key.size;
    size_t n = show_bytes(text, SHOW_KEY_TEXT, slice_of(key.data, most), "");
    if (most < key.size)
        memcpy(text + n, "...", 4);
    return text;
}
