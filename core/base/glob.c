#include "base/glob.h"

#include "base/show.h"

#include <string.h>

int glob_check(struct slice pattern, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    if (pattern.size == 0)
        return err_set(e, ERR_CONFIG, "a pattern is empty");
    show_key(text, pattern);
    if (pattern.size > GLOB_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%s\" has %zu bytes; the most is %d", text,
                       pattern.size, GLOB_MAX);
    unsigned stars = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] == '*')
            stars++;
        if (pattern.data[i] != '\\')
            continue;
        i++;
        if (i == pattern.size || (pattern.data[i] != '*' && pattern.data[i] != '\\'))
            return err_set(e, ERR_CONFIG,
                           "pattern \"%s\" has a lone backslash at byte %zu; write \\* for a "
                           "star and \\\\ for a backslash",
                           text, i);
    }
    if (stars > GLOB_STARS_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%s\" has %u stars; the most is %d", text, stars,
                       GLOB_STARS_MAX);
    return 0;
}

void glob_compile(struct glob *g, struct slice pattern, char *room)
{
    *g = (struct glob){.text = room};
    uint16_t size = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] == '*') {
            g->end[g->stars++] = size;
            continue;
        }
        if (pattern.data[i] == '\\')
            i++;
        room[size++] = pattern.data[i];
    }
    g->end[g->stars] = size;
}

/* Taking each middle segment at its first place is enough: where any arrangement matches, that one
 * does. */
bool glob_matches_rest(const struct glob *g, struct slice key, struct glob_match *m)
{
    size_t at = g->end[0];
    if (g->stars == 0)
        return key.size == at;
    struct slice suffix = glob_segment(g, g->stars);
    if (key.size < glob_literal_bytes(g))
        return false;
    size_t end = key.size - suffix.size;
    if (suffix.size && memcmp(key.data + end, suffix.data, suffix.size) != 0)
        return false;
    struct glob_match unused;
    if (!m)
        m = &unused;
    m->captures = g->stars;
    for (unsigned i = 1; i < g->stars; i++) {
        struct slice middle = glob_segment(g, i);
        const char *found =
            middle.size ? memmem(key.data + at, end - at, middle.data, middle.size) : key.data + at;
        if (!found)
            return false;
        m->capture[i - 1] = slice_of(key.data + at, (size_t)(found - key.data) - at);
        at = (size_t)(found - key.data) + middle.size;
    }
    m->capture[g->stars - 1] = slice_of(key.data + at, end - at);
    return true;
}

bool glob_matches(const struct glob *g, struct slice key, struct glob_match *m)
{
    if (key.size == 0)
        key.data = "";
    if (m)
        m->captures = 0;
    struct slice prefix = glob_segment(g, 0);
    if (key.size < prefix.size || (prefix.size && memcmp(key.data, prefix.data, prefix.size) != 0))
        return false;
    return glob_matches_rest(g, key, m);
}
