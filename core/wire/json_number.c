#include "wire/json_number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Begins the string that stands for a number. No other string of the text can begin so: in JSON a
 * NUL is written as this escape, and a text that has both the escape and a number that would need
 * the mark is refused. */
#define MARK "\\u0000"

#define DIGITS_MAX 320 /* of an integer that a double can be, and more */
#define SHOWN      40  /* characters of a number in a message */

struct settling {
    struct slice text;
    struct buf *out;
    bool marked; /* a number is a string by now, so the text has no escape like it */
    struct err *e;
};

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* The index after the string that opens at text.data[i]. */
static size_t string_end(struct slice text, size_t i)
{
    for (i++; i < text.size && text.data[i] != '"'; i++)
        if (text.data[i] == '\\')
            i++;
    return i < text.size ? i + 1 : text.size;
}

/* Whether the digits, without a sign, are those that the shortest text of d begins with, followed
 * by zeros. */
static bool are_digits_of(const char *digits, double d)
{
    char text[40];
    int precision = 0;
    do
        snprintf(text, sizeof text, "%.*e", precision, d);
    while (strtod(text, NULL) != d && ++precision < 17);
    size_t at = 0;
    for (const char *c = text; *c != 'e'; c++)
        if (*c != '.' && digits[at++] != *c)
            return false;
    return digits[at + strspn(digits + at, "0")] == '\0' &&
           strlen(digits) == (size_t)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
}

/* Whether an integer past 64 bits is a double. number: '-' and digits alone. */
static bool is_double(const char *number)
{
    char text[DIGITS_MAX + 8];
    const char *digits = number + (number[0] == '-');
    double d = strtod(digits, NULL);
    if (!isfinite(d))
        return false;
    snprintf(text, sizeof text, "%.0f", d);
    return strcmp(text, digits) == 0 || are_digits_of(digits, d);
}

static int refuse(const struct settling *s, struct slice number)
{
    return err_set(s->e, ERR_BAD_VALUE,
                   "the number %.*s%s has no exact form in 64 bits: read it as a text",
                   (int)(number.size < SHOWN ? number.size : SHOWN), number.data,
                   number.size <= SHOWN ? "" : "...");
}

/* Writes an integer. text: the number with a NUL behind it. */
static int write_integer(struct settling *s, const char *text, struct slice number)
{
    errno = 0;
    (void)strtoll(text, NULL, 10);
    if (errno != ERANGE)
        return buf_append(s->out, number.data, number.size);
    errno = 0;
    (void)strtoull(text, NULL, 10);
    if (text[0] != '-' && errno != ERANGE) {
        if (!s->marked && memmem(s->text.data, s->text.size, MARK, strlen(MARK)))
            return refuse(s, number);
        s->marked = true;
        return buf_printf(s->out, "\"" MARK "%s\"", text);
    }
    if (!is_double(text))
        return refuse(s, number);
    return buf_printf(s->out, "%s.0", text);
}

static int write_number(struct settling *s, struct slice number)
{
    char text[DIGITS_MAX];
    if (number.size >= sizeof text)
        return refuse(s, number);
    memcpy(text, number.data, number.size);
    text[number.size] = '\0';
    const char *digits = text + (text[0] == '-');
    if (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9')
        return buf_append(s->out, number.data, number.size); /* it is no JSON, as the reader says */
    if (*digits != '\0' && digits[strspn(digits, "0123456789")] == '\0')
        return write_integer(s, text, number);
    if (!isfinite(strtod(text, NULL)))
        return refuse(s, number);
    return buf_append(s->out, number.data, number.size);
}

int json_number_settle(struct slice text, struct buf *out, bool *marked, struct err *e)
{
    int rc = 0;
    struct settling s = {.text = text, .out = out, .e = e};
    for (size_t i = 0; rc == 0 && i < text.size;) {
        size_t from = i;
        if (is_number_byte(text.data[i])) {
            while (i < text.size && is_number_byte(text.data[i]))
                i++;
            rc = write_number(&s, slice_of(text.data + from, i - from));
        } else {
            i = text.data[i] == '"' ? string_end(text, i) : i + 1;
            rc = buf_append(out, text.data + from, i - from);
        }
    }
    *marked = s.marked;
    return rc;
}

bool json_number_is(struct slice string, uint64_t *v)
{
    char text[24];
    if (string.size < 2 || string.size >= sizeof text || string.data[0] != '\0')
        return false;
    memcpy(text, string.data + 1, string.size - 1);
    text[string.size - 1] = '\0';
    *v = strtoull(text, NULL, 10);
    return true;
}
