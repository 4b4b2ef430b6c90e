#include "base/show.h"

#include <stdio.h>

const char *show_key(char *text, struct slice key)
{
    size_t n = 0;
    size_t most = key.size < SHOW_KEY_MAX ? key.size : SHOW_KEY_MAX;
    /* A cut inside a UTF-8 character would leave half of it. */
    while (most < key.size && most > 0 && ((unsigned char)key.data[most] & 0xC0) == 0x80)
        most--;
    for (size_t i = 0; i < most; i++) {
        unsigned char c = (unsigned char)key.data[i];
        if (c < 0x20 || c == 0x7F)
            n += (size_t)snprintf(text + n, SHOW_KEY_TEXT - n, "\\x%02x", c);
        else
            text[n++] = (char)c;
    }
    if (most < key.size) {
        memcpy(text + n, "...", 3);
        n += 3;
    }
    text[n] = '\0';
    return text;
}
