#include "script/pattern.h"

#include <ctype.h>

#define ESCAPE '%'

void pattern_init(struct pattern *p, struct slice subject, struct slice pattern,
                  bool (*overdue)(void *arg), void *arg)
{
    *p = (struct pattern){.subject = subject, .pattern = pattern, .overdue = overdue, .arg = arg};
}

static inline const char *subject_end(const struct pattern *p)
{
    return p->subject.data + p->subject.size;
}

static inline const char *pattern_end(const struct pattern *p)
{
    return p->pattern.data + p->pattern.size;
}

static const char *give_up(struct pattern *p, const char *problem)
{
    if (!p->problem)
        p->problem = problem;
    return NULL;
}

/* Counts a step of work. False: the time is over. */
static inline bool spend(struct pattern *p)
{
    if (++p->steps % PATTERN_LOOK == 0 && p->overdue && p->overdue(p->arg))
        give_up(p, "the pattern took too much time");
    return !p->problem;
}

/* The end of the single-character item (a character, a class, a set) that begins at `at`. */
static const char *item_end(struct pattern *p, const char *at)
{
    const char *end = pattern_end(p);
    if (*at == ESCAPE)
        return at + 1 < end ? at + 2 : give_up(p, "malformed pattern (ends with '%')");
    if (*at++ != '[')
        return at;
    if (at < end && *at == '^')
        at++;
    bool first = true; /* a ] that comes first stands for itself */
    while (at < end && (first || *at != ']')) {
        first = false;
        if (*at == ESCAPE && ++at == end)
            break;
        at++;
    }
    return at < end ? at + 1 : give_up(p, "malformed pattern (missing ']')");
}

static bool in_class(unsigned char c, unsigned char class)
{
    bool is;
    switch (tolower(class)) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'g': is = isgraph(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    case 'z': is = c == 0; break;
    default: return class == c;
    }
    return is != (isupper(class) != 0);
}

/* set: from its [ up to and without its ]. */
static bool in_set(unsigned char c, const char *set, const char *end)
{
    bool yes = true;
    if (*++set == '^') {
        yes = false;
        set++;
    }
    for (; set < end; set++) {
        if (*set == ESCAPE) {
            if (in_class(c, (unsigned char)*++set))
                return yes;
        } else if (end - set > 2 && set[1] == '-') {
            if ((unsigned char)set[0] <= c && c <= (unsigned char)set[2])
                return yes;
            set += 2;
        } else if ((unsigned char)*set == c) {
            return yes;
        }
    }
    return !yes;
}

static bool matches_one(const struct pattern *p, const char *s, const char *item, const char *end)
{
    if (s >= subject_end(p))
        return false;
    unsigned char c = (unsigned char)*s;
    switch (*item) {
    case '.': return true;
    case ESCAPE: return in_class(c, (unsigned char)item[1]);
    case '[': return in_set(c, item, end - 1);
    default: return (unsigned char)*item == c;
    }
}

static const char *match_here(struct pattern *p, const char *s, const char *at);

/* %bxy: from an x to the y that balances it. */
static const char *match_balance(struct pattern *p, const char *s, const char *at)
{
    if (pattern_end(p) - at < 2)
        return give_up(p, "malformed pattern (missing arguments to '%b')");
    if (s >= subject_end(p) || *s != at[0])
        return NULL;
    size_t open = 1;
    while (++s < subject_end(p) && spend(p)) {
        if (*s == at[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == at[0]) {
            open++;
        }
    }
    return NULL;
}

static const char *match_longest(struct pattern *p, const char *s, const char *item,
                                 const char *item_stop, const char *rest)
{
    ptrdiff_t n = 0;
    while (matches_one(p, s + n, item, item_stop) && spend(p))
        n++;
    for (; n >= 0 && spend(p); n--) {
        const char *end = match_here(p, s + n, rest);
        if (end)
            return end;
    }
    return NULL;
}

static const char *match_shortest(struct pattern *p, const char *s, const char *item,
                                  const char *item_stop, const char *rest)
{
    while (spend(p)) {
        const char *end = match_here(p, s, rest);
        if (end)
            return end;
        if (!matches_one(p, s, item, item_stop))
            return NULL;
        s++;
    }
    return NULL;
}

static const char *open_capture(struct pattern *p, const char *s, const char *at, ptrdiff_t size)
{
    if (p->captures >= PATTERN_CAPTURES)
        return give_up(p, "too many captures");
    p->capture[p->captures++] = (struct pattern_capture){.at = s, .size = size};
    const char *end = match_here(p, s, at);
    if (!end)
        p->captures--;
    return end;
}

static const char *close_capture(struct pattern *p, const char *s, const char *at)
{
    int i = p->captures - 1;
    while (i >= 0 && p->capture[i].size != PATTERN_OPEN)
        i--;
    if (i < 0)
        return give_up(p, "invalid pattern capture");
    p->capture[i].size = s - p->capture[i].at;
    const char *end = match_here(p, s, at);
    if (!end)
        p->capture[i].size = PATTERN_OPEN;
    return end;
}

/* %1 to %9: the text of that capture again. */
static const char *match_again(struct pattern *p, const char *s, char digit)
{
    int i = digit - '1';
    if (i < 0 || i >= p->captures || p->capture[i].size == PATTERN_OPEN)
        return give_up(p, "invalid capture index");
    if (p->capture[i].size == PATTERN_POSITION)
        return NULL;
    size_t size = (size_t)p->capture[i].size;
    if ((size_t)(subject_end(p) - s) < size || memcmp(p->capture[i].at, s, size) != 0)
        return NULL;
    return s + size;
}

/* %f[set]: between a character outside of the set and one inside; the ends count as '\0'. */
static bool at_frontier(const struct pattern *p, const char *s, const char *set, const char *stop)
{
    unsigned char before = s == p->subject.data ? 0 : (unsigned char)s[-1];
    unsigned char after = s == subject_end(p) ? 0 : (unsigned char)*s;
    return !in_set(before, set, stop - 1) && in_set(after, set, stop - 1);
}

/* One item and what quantifies it. *at is moved and the new s returned where the caller goes on;
 * *done: the return value is the answer for the whole rest. */
static const char *match_item(struct pattern *p, const char *s, const char **at, bool *done)
{
    const char *item = *at;
    const char *stop = item_end(p, item);
    *done = true;
    if (!stop)
        return NULL;
    char quantifier = stop < pattern_end(p) ? *stop : '\0';
    switch (quantifier) {
    case '*': return match_longest(p, s, item, stop, stop + 1);
    case '+':
        return matches_one(p, s, item, stop) ? match_longest(p, s + 1, item, stop, stop + 1) : NULL;
    case '-': return match_shortest(p, s, item, stop, stop + 1);
    case '?':
        if (matches_one(p, s, item, stop)) {
            const char *end = match_here(p, s + 1, stop + 1);
            if (end || p->problem)
                return end;
        }
        *at = stop + 1;
        *done = false;
        return s;
    default:
        if (!matches_one(p, s, item, stop))
            return NULL;
        *at = stop;
        *done = false;
        return s + 1;
    }
}

/* What %b, %f and %1 to %9 begin; as match_item. */
static const char *match_special(struct pattern *p, const char *s, const char **at, bool *done)
{
    const char *item = *at;
    *done = false;
    if (item[1] == 'b') {
        s = match_balance(p, s, item + 2);
        *at = item + 4;
    } else if (item[1] == 'f') {
        item += 2;
        *done = true;
        if (item >= pattern_end(p) || *item != '[')
            return give_up(p, "malformed pattern (missing '[' after '%f')");
        const char *stop = item_end(p, item);
        if (!stop || !at_frontier(p, s, item, stop))
            return NULL;
        *at = stop;
        *done = false;
    } else {
        s = match_again(p, s, item[1]);
        *at = item + 2;
    }
    *done = s == NULL;
    return s;
}

static bool is_special(const struct pattern *p, const char *at)
{
    return *at == ESCAPE && at + 1 < pattern_end(p) &&
           (at[1] == 'b' || at[1] == 'f' || (at[1] >= '0' && at[1] <= '9'));
}

static const char *match_rest(struct pattern *p, const char *s, const char *at)
{
    const char *end = pattern_end(p);
    while (at < end && spend(p)) {
        bool done;
        if (*at == '(') {
            if (at + 1 < end && at[1] == ')')
                return open_capture(p, s, at + 2, PATTERN_POSITION);
            return open_capture(p, s, at + 1, PATTERN_OPEN);
        }
        if (*at == ')')
            return close_capture(p, s, at + 1);
        if (*at == '$' && at + 1 == end)
            return s == subject_end(p) ? s : NULL;
        s = is_special(p, at) ? match_special(p, s, &at, &done) : match_item(p, s, &at, &done);
        if (done)
            return s;
    }
    return p->problem ? NULL : s;
}

static const char *match_here(struct pattern *p, const char *s, const char *at)
{
    if (p->depth >= PATTERN_DEPTH)
        return give_up(p, "pattern too complex");
    p->depth++;
    const char *end = match_rest(p, s, at);
    p->depth--;
    return end;
}

const char *pattern_match(struct pattern *p, const char *at)
{
    p->captures = 0;
    return match_here(p, at, p->pattern.data);
}

const char *pattern_search(struct pattern *p, const char *at, bool anchored, const char **end)
{
    do {
        *end = pattern_match(p, at);
        if (*end)
            return at;
    } while (!anchored && at++ < subject_end(p) && !p->problem);
    return NULL;
}

bool pattern_is_plain(struct slice pattern)
{
    for (size_t i = 0; i < pattern.size; i++)
        if (strchr("^$*+?.([%-", pattern.data[i]) && pattern.data[i] != '\0')
            return false;
    return true;
}

const char *pattern_find_plain(struct slice s, struct slice text)
{
    return text.size == 0 ? s.data : memmem(s.data, s.size, text.data, text.size);
}
