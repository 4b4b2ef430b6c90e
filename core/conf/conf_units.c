#include "conf/conf_units.h"

#include "conf/conf.h"

#include <stdio.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first, for showing. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit micros[] = {
    {"s", 1000000},
    {"ms", 1000},
    {"us", 1},
    {NULL, 0},
};
static const struct unit sizes[] = {
    {"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}, {NULL, 0},
};

#define DURATION_FORM "a duration such as \"60s\" (units: ms, s, min, h, d)"
#define MICROS_FORM   "a short duration such as \"500us\" (units: us, ms, s)"
#define SIZE_FORM     "a size such as \"256mb\" (units: kb, mb, gb; none: bytes)"

/* Digits, perhaps with a fraction, as whole and part / scale. NULL: no number. */
static const char *read_number(const char *text, int64_t *whole, int64_t *part, int64_t *scale)
{
    *whole = *part = 0;
    *scale = 1;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(*whole, (int64_t)10, whole) ||
            __builtin_add_overflow(*whole, (int64_t)(*text - '0'), whole))
            return NULL;
    if (*text != '.')
        return text;
    text++;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (*scale >= 1000000)
            return NULL;
        *scale *= 10;
        *part = *part * 10 + (*text - '0');
    }
    return text;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    while (*name == ' ')
        name++;
    for (; units->name; units++)
        if (strcasecmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* ERR_CONFIG where the number is no whole multiple of the smallest unit, or too large. */
static int scaled(int64_t whole, int64_t part, int64_t scale, int64_t factor, int64_t *out)
{
    int64_t product;
    if (part * factor % scale != 0 || __builtin_mul_overflow(whole, factor, &product) ||
        __builtin_add_overflow(product, part * factor / scale, &product))
        return ERR_CONFIG;
    *out = product;
    return 0;
}

int conf_parse_duration(const char *text, int64_t *ms, struct err *e)
{
    int64_t whole, part, scale;
    const char *rest = read_number(text, &whole, &part, &scale);
    if (!rest)
        return err_set(e, ERR_CONFIG, "expected " DURATION_FORM ", found \"%.64s\"", text);
    if (*rest == '\0' && whole == 0 && part == 0) {
        *ms = 0;
        return 0;
    }
    if (*rest == '\0')
        return err_set(e, ERR_CONFIG,
                       "expected " DURATION_FORM
                       ", found \"%.64s\" without a unit: write \"%.64ss\"",
                       text, text);
    const struct unit *unit = find_unit(durations, rest);
    if (!unit)
        return err_set(e, ERR_CONFIG, "expected " DURATION_FORM ", found \"%.64s\"", text);
    if (scaled(whole, part, scale, unit->factor, ms) != 0)
        return err_set(e, ERR_CONFIG, "\"%.64s\" is no whole number of milliseconds in range",
                       text);
    return 0;
}

int conf_parse_micros(const char *text, int64_t *us, struct err *e)
{
    int64_t whole, part, scale;
    const char *rest = read_number(text, &whole, &part, &scale);
    if (rest && *rest == '\0' && whole == 0 && part == 0) {
        *us = 0;
        return 0;
    }
    const struct unit *unit = rest ? find_unit(micros, rest) : NULL;
    if (!unit)
        return err_set(e, ERR_CONFIG, "expected " MICROS_FORM ", found \"%.64s\"", text);
    if (scaled(whole, part, scale, unit->factor, us) != 0)
        return err_set(e, ERR_CONFIG, "\"%.64s\" is no whole number of microseconds in range",
                       text);
    return 0;
}

int conf_parse_size(const char *text, int64_t *bytes, struct err *e)
{
    int64_t whole, part, scale;
    const char *rest = read_number(text, &whole, &part, &scale);
    const struct unit *unit = NULL;
    if (rest)
        unit = find_unit(sizes, *rest ? rest : "b");
    if (!unit)
        return err_set(e, ERR_CONFIG, "expected " SIZE_FORM ", found \"%.64s\"", text);
    if (scaled(whole, part, scale, unit->factor, bytes) != 0)
        return err_set(e, ERR_CONFIG, "\"%.64s\" is no whole number of bytes in range", text);
    return 0;
}

static const char *show(const struct unit *units, int64_t value, const char *zero,
                        const char *smallest, char *shown)
{
    while (units->factor > 1 && value % units->factor != 0)
        units++;
    const char *name = value == 0 ? zero : units->factor == 1 ? smallest : units->name;
    snprintf(shown, CONF_SHOWN_MAX, "%lld%s", (long long)(value / units->factor), name);
    return shown;
}

const char *conf_units_show_duration(int64_t ms, char *shown)
{
    return show(durations, ms, "s", "ms", shown);
}

const char *conf_units_show_micros(int64_t us, char *shown)
{
    return show(micros, us, "us", "us", shown);
}

const char *conf_units_show_size(int64_t bytes, char *shown)
{
    return show(sizes, bytes, "", "", shown);
}
