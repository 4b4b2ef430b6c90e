#include "conf/checks_sql.h"

#include <stdio.h>

/* The nearest star's name, for a parameter of a name that the pattern does not have; or none. */
static const char *near_star(struct slice name, const struct glob_star *stars, unsigned count,
                             char room[GLOB_STARS_MAX + 1][CONF_NAME_MAX + 1])
{
    const char *names[GLOB_STARS_MAX];
    size_t named = 0;
    for (unsigned i = 0; i < count; i++) {
        if (stars[i].type == GLOB_ANY || stars[i].name.size > CONF_NAME_MAX)
            continue;
        snprintf(room[named], sizeof room[named], "%.*s", SLICE_ARG(stars[i].name));
        names[named] = room[named];
        named++;
    }
    snprintf(room[GLOB_STARS_MAX], sizeof room[0], "%.*s", SLICE_ARG(name));
    return conf_nearest(room[GLOB_STARS_MAX], names, named);
}

/* name: of a parameter that is none of the stars, with its $. */
static void write_unknown(char *text, struct slice name, const char *pattern,
                          const struct glob_star *stars, unsigned count)
{
    char room[GLOB_STARS_MAX + 1][CONF_NAME_MAX + 1];
    const char *near = near_star(slice_of(name.data + 1, name.size - 1), stars, count, room);
    snprintf(text, ERR_TEXT_MAX,
             "\"sql\" has %.*s, but the pattern \"%.128s\" has no star of that name%s%s%s",
             SLICE_ARG(name), pattern, near ? "; did you mean $" : "", near ? near : "",
             near ? "?" : "");
}

void checks_sql_parameters(const struct conf_loader *l, void (*told)(void *arg, const char *text),
                           void *arg)
{
    struct glob_star stars[GLOB_STARS_MAX];
    char text[ERR_TEXT_MAX];
    const char *at, *end;
    int number, highest = 0;
    if (!l->sql || !l->pattern || glob_check(slice_str(l->pattern), NULL) != 0)
        return; /* what is wrong with it is told elsewhere */
    unsigned count = glob_stars(slice_str(l->pattern), stars);
    for (const char *sql = l->sql; (at = conf_sql_next(sql, &end, &number)) != NULL; sql = end) {
        struct slice name = slice_of(at, (size_t)(end - at));
        highest = number > highest ? number : highest;
        if (number > 0 || conf_sql_number(name, number, stars, count) > 0)
            continue;
        if (at[1] == '0') {
            told(arg, "\"sql\" has $0, but parameters count from $1");
            continue;
        }
        write_unknown(text, name, l->pattern, stars, count);
        told(arg, text);
    }
    if (highest <= (int)count)
        return;
    snprintf(text, sizeof text, "\"sql\" has $%d, but the pattern \"%.128s\" has %u star%s",
             highest > 65535 ? 65535 : highest, l->pattern, count, count == 1 ? "" : "s");
    told(arg, text);
}
