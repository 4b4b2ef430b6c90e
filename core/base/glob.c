#include "base/glob.h"

#include "base/utf8.h"

#include <string.h>

#define NOWHERE    SIZE_MAX
#define INT_DIGITS 19 /* of the largest int64_t */
#define INT_LEAST  "9223372036854775808"
#define INT_MOST   "9223372036854775807"
#define UUID_SIZE  36

/* ---- typed stars ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t int_size(struct slice s)
{
    size_t sign = s.size > 0 && s.data[0] == '-', n = sign;
    while (n < s.size && n - sign <= INT_DIGITS && is_digit(s.data[n]))
        n++;
    size_t digits = n - sign;
    if (digits == 0 || digits > INT_DIGITS || (s.data[sign] == '0' && (sign || digits > 1)))
        return 0;
    const char *most = sign ? INT_LEAST : INT_MOST;
    return digits == INT_DIGITS && memcmp(s.data + sign, most, INT_DIGITS) > 0 ? 0 : n;
}

static size_t uuid_size(struct slice s)
{
    if (s.size < UUID_SIZE)
        return 0;
    for (size_t i = 0; i < UUID_SIZE; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = is_digit(s.data[i]) || (s.data[i] >= 'a' && s.data[i] <= 'f');
        if (hyphen ? s.data[i] != '-' : !hex)
            return 0;
    }
    return UUID_SIZE;
}

size_t glob_fixed_size(enum glob_type type, struct slice s)
{
    return type == GLOB_INT ? int_size(s) : uuid_size(s);
}

bool glob_is_text(struct slice s)
{
    for (size_t n; s.size > 0; s = slice_of(s.data + n, s.size - n)) {
        n = utf8_size(s);
        if (n == 0 || s.data[0] == '\0')
            return false;
    }
    return true;
}

int64_t glob_int(struct slice capture)
{
    bool negative = capture.size > 0 && capture.data[0] == '-';
    uint64_t v = 0;
    for (size_t i = negative; i < capture.size; i++)
        v = v * 10 + (uint64_t)(capture.data[i] - '0');
    return (int64_t)(negative ? 0 - v : v);
}

/* ---- matching ---- */

static bool is_loose(const struct glob *g, unsigned star)
{
    return g->type[star] <= GLOB_TEXT;
}

/* The last segment of the block that begins with that one. */
static unsigned block_last(const struct glob *g, unsigned segment)
{
    while (segment < g->stars && !is_loose(g, segment))
        segment++;
    return segment;
}

/* Where the block ends that begins at `at`, or NOWHERE. */
static size_t match_block(const struct glob *g, unsigned first, unsigned last, struct slice key,
                          size_t at, struct glob_match *m)
{
    for (unsigned i = first;; i++) {
        struct slice literal = glob_segment(g, i);
        if (key.size - at < literal.size ||
            (literal.size && memcmp(key.data + at, literal.data, literal.size) != 0))
            return NOWHERE;
        at += literal.size;
        if (i == last)
            return at;
        size_t size =
            glob_fixed_size((enum glob_type)g->type[i], slice_of(key.data + at, key.size - at));
        if (size == 0)
            return NOWHERE;
        m->capture[i] = slice_of(key.data + at, size);
        at += size;
    }
}

/* The first place of a block in the middle, not before `at`; *end: where it ends there. */
static size_t find_block(const struct glob *g, unsigned first, unsigned last, struct slice key,
                         size_t at, struct glob_match *m, size_t *end)
{
    struct slice literal = glob_segment(g, first);
    for (; at <= key.size; at++) {
        const char *found = literal.size
                                ? memmem(key.data + at, key.size - at, literal.data, literal.size)
                                : key.data + at;
        if (!found)
            return NOWHERE;
        at = (size_t)(found - key.data);
        *end = match_block(g, first, last, key, at, m);
        if (*end != NOWHERE)
            return at;
    }
    return NOWHERE;
}

/* The first place of the last block, not before `at`, from where it goes to the key's end. */
static size_t find_last(const struct glob *g, unsigned first, struct slice key, size_t at,
                        struct glob_match *m)
{
    size_t shortest = g->end[g->stars] - (first == 0 ? 0 : g->end[first - 1]), longest;
    longest = shortest;
    for (unsigned i = first; i < g->stars; i++) {
        shortest += g->type[i] == GLOB_UUID ? UUID_SIZE : 1;
        longest += g->type[i] == GLOB_UUID ? UUID_SIZE : 1 + INT_DIGITS;
    }
    if (key.size > longest && at < key.size - longest)
        at = key.size - longest;
    for (; at + shortest <= key.size; at++)
        if (match_block(g, first, g->stars, key, at, m) == key.size)
            return at;
    return NOWHERE;
}

static bool match_all(const struct glob *g, struct slice key, struct glob_match *m)
{
    unsigned last = block_last(g, 0);
    size_t end = match_block(g, 0, last, key, 0, m), begin;
    while (last < g->stars && end != NOWHERE) {
        unsigned star = last, first = star + 1;
        size_t from = end + (g->type[star] == GLOB_TEXT);
        last = block_last(g, first);
        if (last == g->stars) {
            begin = find_last(g, first, key, from, m);
            m->capture[star] = slice_of(key.data + end, begin == NOWHERE ? 0 : begin - end);
            return begin != NOWHERE;
        }
        begin = find_block(g, first, last, key, from, m, &from);
        if (begin == NOWHERE)
            return false;
        m->capture[star] = slice_of(key.data + end, begin - end);
        end = from;
    }
    return end == key.size;
}

/* Most patterns have one star, and what it takes is what the literals around it leave. */
static bool is_simple(const struct glob *g)
{
    return g->stars == 1 && (is_loose(g, 0) || g->end[1] == g->end[0]);
}

/* g is simple; key has its prefix, and is no shorter than its literals. */
static bool match_simple(const struct glob *g, struct slice key, struct glob_match *m)
{
    struct slice suffix = glob_segment(g, 1);
    size_t size = key.size - g->end[1];
    struct slice capture = slice_of(key.data + g->end[0], size);
    if (suffix.size && memcmp(capture.data + size, suffix.data, suffix.size) != 0)
        return false;
    if (g->type[0] != GLOB_ANY && size == 0)
        return false;
    m->capture[0] = capture;
    return is_loose(g, 0) || glob_fixed_size((enum glob_type)g->type[0], capture) == size;
}

bool glob_fits_rest(const struct glob *g, struct slice key)
{
    struct glob plain = *g;
    struct glob_match unused;
    memset(plain.type, GLOB_ANY, sizeof plain.type);
    return match_all(&plain, key, &unused);
}

bool glob_matches_rest(const struct glob *g, struct slice key, struct glob_match *m)
{
    struct glob_match unused;
    if (!m)
        m = &unused;
    m->captures = 0;
    if (g->stars == 0)
        return key.size == g->end[0];
    if (key.size < glob_literal_bytes(g))
        return false;
    bool matches = (!g->has_text || glob_is_text(key)) &&
                   (is_simple(g) ? match_simple(g, key, m) : match_all(g, key, m));
    if (g->misfits)
        return !matches && glob_fits_rest(g, key);
    m->captures = matches ? g->stars : 0;
    return matches;
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
