/*
 * glob: one pattern of keys, compiled: literal bytes and stars, plain and typed ones.
 *
 *   user:*              *            any run of bytes, the empty one too
 *   user:{id:int}       {name:int}   a 64-bit integer as it is printed: 0, 42, -7; not 007, +7, -0
 *   doc:{key:uuid}      {name:uuid}  8-4-4-4-12 lower-case hexadecimal digits
 *   page:{slug:text}    {name:text}  a run of bytes that is not empty; the whole key is UTF-8, no
 * NUL
 *
 * `\*`, `\{` and `\\` are literal. Captures: every star but the last takes the shortest run that
 * lets the pattern match, the last one takes the rest.
 * Shape: the literal bytes without escapes, cut into stars + 1 segments: the first is the prefix,
 * the last the suffix, either may be empty. What {int} and {uuid} take is known from where it
 * begins (a digit cannot follow an int, a typed star cannot touch another one), so segments with
 * such stars between them are one block, which has one end for each beginning, and a later one for
 * a later beginning. Taking each block at its first place is enough, as it is for a literal. No
 * recursion, no backtracking and no memory: O(key bytes x pattern bytes) at worst. Thread: any, it
 * is constant. Limits: GLOB_*.
 */
#ifndef RTCACHE_BASE_GLOB_H
#define RTCACHE_BASE_GLOB_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

#define GLOB_MAX       256 /* bytes as written */
#define GLOB_STARS_MAX 8

/* The narrower a type, the greater. */
enum glob_type { GLOB_ANY, GLOB_TEXT, GLOB_UUID, GLOB_INT };

struct glob {
    const char *text;                 /* borrowed */
    uint16_t end[GLOB_STARS_MAX + 1]; /* of segment i, within text */
    uint16_t stars;
    uint8_t type[GLOB_STARS_MAX]; /* enum glob_type */
    bool typed, has_text;         /* any of them is not GLOB_ANY; any is GLOB_TEXT */
    bool misfits; /* it stands for the keys that would match if all stars were plain, and do not */
};

struct glob_match {
    struct slice capture[GLOB_STARS_MAX]; /* borrowed from the key */
    unsigned captures;
};

/* A star as it is written. */
struct glob_star {
    struct slice name; /* borrowed from the pattern; empty: a plain star */
    enum glob_type type;
};

/* ERR_CONFIG says what is wrong, and at which byte. */
int glob_check(struct slice pattern, struct err *e) MUST_USE;

/* pattern has passed glob_check; at most its size in bytes is written to room, which g borrows. */
void glob_compile(struct glob *g, struct slice pattern, char *room);

/* A pattern that g is compiled from, but for the names of stars and `misfits`; no longer than the
 * one that it was. room: GLOB_MAX bytes, which it borrows. */
struct slice glob_write(const struct glob *g, char *room);

/* The stars of a pattern that has passed glob_check; how many. */
unsigned glob_stars(struct slice pattern, struct glob_star stars[GLOB_STARS_MAX]);

/* The pattern with plain stars in the place of typed ones; room: GLOB_MAX bytes, which it borrows.
 */
struct slice glob_plain(struct slice pattern, char *room);

/* A total order of patterns that have passed glob_check; 0: they differ by names of stars at most,
 * so that they match the same keys. */
int glob_order(struct slice a, struct slice b);

/* m may be NULL. */
bool glob_matches(const struct glob *g, struct slice key, struct glob_match *m);
/* The same, where the prefix is known to match. */
bool glob_matches_rest(const struct glob *g, struct slice key, struct glob_match *m);

/* Whether a key, whose prefix is known to match, would match if all stars were plain. */
bool glob_fits_rest(const struct glob *g, struct slice key);

/* Whether g matches whatever p matches. false where that is not seen: it takes the stars of p for
 * what g's stars take, which is never wrong that way. O(size of g x size of p). */
bool glob_covers(const struct glob *g, const struct glob *p);

/* How many bytes a star of type GLOB_INT or GLOB_UUID takes at the start of s; 0: it takes none. */
size_t glob_fixed_size(enum glob_type type, struct slice s);

/* Whether a text can be matched by a pattern with a text star: it is UTF-8 without NUL. */
bool glob_is_text(struct slice s);

/* The number that an int star has matched. */
int64_t glob_int(struct slice capture);

/* Whether a backslash has to stand before it in a pattern, where it is meant literally. */
static inline bool glob_is_special(char c)
{
    return c == '*' || c == '{' || c == '\\';
}

static inline struct slice glob_segment(const struct glob *g, unsigned i)
{
    size_t start = i == 0 ? 0 : g->end[i - 1];
    return slice_of(g->text + start, g->end[i] - start);
}

static inline size_t glob_literal_bytes(const struct glob *g)
{
    return g->end[g->stars];
}

#endif
