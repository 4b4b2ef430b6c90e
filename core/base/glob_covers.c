/* Whether all that one pattern matches is matched by another. */
#include "base/glob.h"

enum { SYMBOLS_MAX = GLOB_MAX + GLOB_STARS_MAX, SYMBOL_STAR = 256 /* and its type */ };

/* What a pattern is made of: bytes, and stars as SYMBOL_STAR + type. */
struct symbols {
    uint16_t list[SYMBOLS_MAX];
    size_t count;
    char bytes[SYMBOLS_MAX]; /* the bytes of list; NUL for a star */
};

static void take_symbols(struct symbols *s, const struct glob *p)
{
    s->count = 0;
    for (unsigned i = 0; i <= p->stars; i++) {
        struct slice literal = glob_segment(p, i);
        if (i > 0) {
            s->bytes[s->count] = '\0';
            s->list[s->count++] = (uint16_t)(SYMBOL_STAR + p->type[i - 1]);
        }
        for (size_t k = 0; k < literal.size; k++) {
            s->bytes[s->count] = literal.data[k];
            s->list[s->count++] = (unsigned char)literal.data[k];
        }
    }
}

/* From `at`, which is reached: what a star of that type may take. A text star meets no plain one
 * here: see all_text. */
static void take_star(const struct symbols *s, size_t at, enum glob_type type, bool *next)
{
    if (type <= GLOB_TEXT) {
        next[at] |= type == GLOB_ANY;
        while (at < s->count)
            next[++at] = true;
        return;
    }
    if (at < s->count && s->list[at] == SYMBOL_STAR + (unsigned)type) {
        next[at + 1] = true;
        return;
    }
    size_t size = glob_fixed_size(type, slice_of(s->bytes + at, s->count - at));
    if (size > 0)
        next[at + size] = true;
}

static bool all_text(const struct glob *p)
{
    for (unsigned i = 0; i < p->stars; i++)
        if (p->type[i] == GLOB_ANY)
            return false;
    for (unsigned i = 0; i <= p->stars; i++)
        if (!glob_is_text(glob_segment(p, i)))
            return false;
    return true;
}

/* reached[n]: what comes before in g may take the first n symbols of p. */
bool glob_covers(const struct glob *g, const struct glob *p)
{
    struct symbols s;
    bool rows[2][SYMBOLS_MAX + 1] = {{true}}, *reached = rows[0], *next = rows[1];
    if (g->has_text && !all_text(p))
        return false;
    take_symbols(&s, p);
    for (unsigned i = 0; i <= g->stars; i++) {
        struct slice literal = glob_segment(g, i);
        if (i > 0) {
            memset(next, 0, s.count + 1);
            enum glob_type type = (enum glob_type)g->type[i - 1];
            bool all = false; /* what a loose star takes from its first place holds the rest */
            for (size_t n = 0; n <= s.count && !all; n++)
                if (reached[n]) {
                    take_star(&s, n, type, next);
                    all = type <= GLOB_TEXT;
                }
            bool *old = reached;
            reached = next;
            next = old;
        }
        for (size_t n = s.count + 1; n-- > 0;) {
            bool same = n >= literal.size && reached[n - literal.size];
            for (size_t k = 0; same && k < literal.size; k++)
                same = s.list[n - literal.size + k] == (unsigned char)literal.data[k];
            reached[n] = same;
        }
    }
    return reached[s.count];
}
