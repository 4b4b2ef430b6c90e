#include "base/err.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(char *text, const char *fmt, va_list args)
{
    int n = vsnprintf(text, ERR_TEXT_MAX, fmt, args);
    if (n >= ERR_TEXT_MAX)
        text[utf8_cut(text, ERR_TEXT_MAX - 1)] = '\0';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    e->code = code;
    e->retry_after_ms = -1;
    e->sick = false;
    e->retry = 0;
    e->word[0] = '\0';
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
    if (head_size > ERR_TEXT_MAX - 3)
        head_size = utf8_cut(head, ERR_TEXT_MAX - 3);
    size_t room = ERR_TEXT_MAX - 1 - head_size - 2;
    size_t old_size = strlen(old);
    if (old_size > room)
        old_size = utf8_cut(old, room);
    memcpy(e->text, head, head_size);
    memcpy(e->text + head_size, ": ", 2);
    memcpy(e->text + head_size + 2, old, old_size);
    e->text[head_size + 2 + old_size] = '\0';
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

bool err_is_sick(const struct err *e)
{
    return e->sick || e->code == ERR_BACKEND_DOWN || e->code == ERR_OVERLOADED ||
           e->code == ERR_TIMEOUT;
}
