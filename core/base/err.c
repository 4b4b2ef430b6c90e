#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a text that filled its buffer back to the last whole UTF-8 character. */
static void cut_at_char(char *text, size_t size)
{
    size_t at = size;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    if (at == 0)
        return;
    unsigned char lead = (unsigned char)text[at - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (at - 1 + want > size)
        text[at - 1] = '\0';
}

static void fill(char *text, const char *fmt, va_list args)
{
    int n = vsnprintf(text, ERR_TEXT_MAX, fmt, args);
    if (n >= ERR_TEXT_MAX)
        cut_at_char(text, ERR_TEXT_MAX - 1);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    e->code = code;
    e->retry_after_ms = -1;
    va_list args;
    va_start(args, fmt);
    fill(e->text, fmt, args);
    va_end(args);
    return code;
}

void err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return;
    char old[ERR_TEXT_MAX];
    memcpy(old, e->text, sizeof old);
    char head[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    fill(head, fmt, args);
    va_end(args);
    size_t head_size = strlen(head);
    size_t old_size = strlen(old);
    if (head_size + 2 + old_size >= ERR_TEXT_MAX) {
        size_t room = head_size + 2 < ERR_TEXT_MAX ? ERR_TEXT_MAX - 1 - head_size - 2 : 0;
        old_size = old_size < room ? old_size : room;
        old[old_size] = '\0';
        cut_at_char(old, old_size);
        old_size = strlen(old);
    }
    if (head_size + 2 >= ERR_TEXT_MAX)
        head_size = ERR_TEXT_MAX - 3;
    memcpy(e->text, head, head_size);
    memcpy(e->text + head_size, ": ", 2);
    memcpy(e->text + head_size + 2, old, old_size + 1);
}

static const struct {
    const char *wire;
    bool retryable;
} codes[ERR_COUNT] = {
#define ERR_ROW(name, number, wire_name, may_retry, text) [-(number)] = {wire_name, may_retry},
    ERR_CODES(ERR_ROW)
#undef ERR_ROW
};

const char *err_name(int code)
{
    if (code == 0)
        return "OK";
    if (code > 0 || code <= -ERR_COUNT)
        return codes[-ERR_INTERNAL].wire;
    return codes[-code].wire;
}

bool err_retryable(int code)
{
    return code < 0 && code > -ERR_COUNT && codes[-code].retryable;
}
