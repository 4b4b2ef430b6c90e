#include "conf/conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* After a quoted text that begins at s; a doubled quote belongs to it, and where escapes is set
 * what a backslash stands before. */
static const char *skip_quoted(const char *s, bool escapes)
{
    char quote = *s++;
    for (; *s; s++) {
        if (escapes && *s == '\\' && s[1])
            s++;
        else if (*s == quote && s[1] == quote)
            s++;
        else if (*s == quote)
            return s + 1;
    }
    return s;
}

static const char *skip_line(const char *s)
{
    return s + strcspn(s, "\n");
}

/* Comments of this form nest, as PostgreSQL has it. */
static const char *skip_block(const char *s)
{
    int depth = 0;
    do {
        int step = s[0] == '/' && s[1] == '*' ? 1 : s[0] == '*' && s[1] == '/' ? -1 : 0;
        depth += step;
        s += step ? 2 : *s != '\0';
    } while (depth > 0 && *s);
    return s;
}

static const char *skip_name(const char *s)
{
    while (is_name_char(*s))
        s++;
    return s;
}

/* After $tag$ ... $tag$ where one begins at s; else NULL. */
static const char *skip_dollar(const char *s)
{
    const char *end = s + 1;
    if (isdigit((unsigned char)*end))
        return NULL;
    end = skip_name(end);
    if (*end != '$')
        return NULL;
    size_t tag = (size_t)(end + 1 - s);
    for (const char *at = s + tag; (at = strchr(at, '$')) != NULL; at++)
        if (strncmp(at, s, tag) == 0)
            return at + tag;
    return s + strlen(s);
}

/* After a name or a number that begins at s; E'...' is a literal with escapes. */
static const char *skip_word(const char *s)
{
    if ((*s == 'e' || *s == 'E') && s[1] == '\'')
        return skip_quoted(s + 1, true);
    while (is_name_char(*s) || *s == '$') /* a$1 is a name */
        s++;
    return s;
}

const char *conf_sql_next(const char *sql, const char **end, int *number)
{
    for (const char *s = sql; *s;) {
        const char *next = s + 1;
        if (*s == '\'' || *s == '"') {
            next = skip_quoted(s, false);
        } else if (s[0] == '-' && s[1] == '-') {
            next = skip_line(s);
        } else if (s[0] == '/' && s[1] == '*') {
            next = skip_block(s);
        } else if (is_name_char(*s)) {
            next = skip_word(s);
        } else if (*s == '$' && isdigit((unsigned char)s[1])) {
            char *after;
            long n = strtol(s + 1, &after, 10);
            *number = n > 65535 ? 65536 : (int)n;
            *end = after;
            return s;
        } else if (*s == '$') {
            const char *after = skip_dollar(s);
            next = after ? after : next;
            if (!after && is_name_char(s[1])) {
                *number = 0;
                *end = skip_name(s + 1);
                return s;
            }
        }
        s = next;
    }
    return NULL;
}

int conf_sql_number(struct slice parameter, int number, const struct glob_star *stars,
                    unsigned count)
{
    struct slice name = slice_of(parameter.data + 1, parameter.size - 1);
    for (unsigned i = 0; i < count && number == 0; i++)
        if (stars[i].type != GLOB_ANY && slice_eq(stars[i].name, name))
            return (int)i + 1;
    return number;
}

int conf_sql_parameters(const char *sql, const struct glob_star *stars, unsigned count)
{
    int highest = 0, number;
    const char *at, *end;
    for (; (at = conf_sql_next(sql, &end, &number)) != NULL; sql = end) {
        number = conf_sql_number(slice_of(at, (size_t)(end - at)), number, stars, count);
        highest = number > highest ? number : highest;
    }
    return highest > 65535 ? 65535 : highest;
}
