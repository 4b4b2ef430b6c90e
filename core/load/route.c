#include "load/route.h"

#include <stdlib.h>

/*
 * A compiled pattern: its literal bytes without the escapes, cut into stars + 1 segments. The
 * first segment is the prefix, the last one the suffix; either may be empty.
 */
struct pattern {
    const char *text;
    uint16_t end[ROUTE_CAPTURES_MAX + 1]; /* of segment i, within text */
    uint16_t stars;
    int index; /* as given to routes_new */
};

/* All patterns with one prefix; parent: the group whose prefix is the longest proper one of ours.
 */
struct group {
    struct slice prefix;
    size_t first, count;
    ptrdiff_t parent; /* -1: none */
};

struct routes {
    struct pattern *patterns; /* by prefix, then by specificity */
    struct group *groups;     /* by prefix, in the order of memcmp */
    size_t group_count;
    char *text;
};

static struct slice segment(const struct pattern *p, unsigned i)
{
    size_t start = i == 0 ? 0 : p->end[i - 1];
    return slice_of(p->text + start, p->end[i] - start);
}

static size_t literal_bytes(const struct pattern *p)
{
    return p->end[p->stars];
}

/* The order of bytes; a prefix comes before what it begins. */
static int slice_order(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

int route_check(const char *pattern, struct err *e)
{
    if (!pattern || pattern[0] == '\0')
        return err_set(e, ERR_CONFIG, "a pattern is empty");
    size_t size = strlen(pattern);
    if (size > ROUTE_PATTERN_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%.32s...\" has %zu bytes; the most is %d", pattern,
                       size, ROUTE_PATTERN_MAX);
    unsigned stars = 0;
    for (const char *at = pattern; *at; at++) {
        if (*at == '*')
            stars++;
        if (*at != '\\')
            continue;
        at++;
        if (*at != '*' && *at != '\\')
            return err_set(e, ERR_CONFIG,
                           "pattern \"%s\" has a lone backslash at byte %zu; write \\* for a "
                           "star and \\\\ for a backslash",
                           pattern, (size_t)(at - pattern));
    }
    if (stars > ROUTE_CAPTURES_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%s\" has %u stars; the most is %d", pattern, stars,
                       ROUTE_CAPTURES_MAX);
    return 0;
}

/* source has passed route_check. Writes at most strlen(source) bytes to text. */
static void compile(struct pattern *p, const char *source, char *text, int index)
{
    *p = (struct pattern){.text = text, .index = index};
    uint16_t size = 0;
    for (const char *at = source; *at; at++) {
        if (*at == '*') {
            p->end[p->stars++] = size;
            continue;
        }
        if (*at == '\\')
            at++;
        text[size++] = *at;
    }
    p->end[p->stars] = size;
}

static int pattern_order(const void *left, const void *right)
{
    const struct pattern *a = left, *b = right;
    int order = slice_order(segment(a, 0), segment(b, 0));
    if (order != 0)
        return order;
    size_t a_size = literal_bytes(a), b_size = literal_bytes(b);
    if (a_size != b_size)
        return a_size > b_size ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* The patterns are sorted: equal prefixes stand together, and what begins a prefix before it. */
static void make_groups(struct routes *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice prefix = segment(&r->patterns[i], 0);
        struct group *last = r->group_count ? &r->groups[r->group_count - 1] : NULL;
        if (last && slice_eq(last->prefix, prefix)) {
            last->count++;
            continue;
        }
        ptrdiff_t parent = (ptrdiff_t)r->group_count - 1;
        while (parent >= 0) {
            struct slice begin = r->groups[parent].prefix;
            if (begin.size < prefix.size && memcmp(begin.data, prefix.data, begin.size) == 0)
                break;
            parent = r->groups[parent].parent;
        }
        r->groups[r->group_count++] =
            (struct group){.prefix = prefix, .first = i, .count = 1, .parent = parent};
    }
}

static int string_order(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Each pattern has one spelling only, so equal patterns are equal texts. */
static int check_all(const char *const *patterns, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int rc = route_check(patterns[i], e);
        if (rc != 0)
            return rc;
    }
    const char **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return err_set(e, ERR_NOMEM, "no memory for %zu patterns", count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = patterns[i];
    qsort(sorted, count, sizeof *sorted, string_order);
    int rc = 0;
    for (size_t i = 1; i < count && rc == 0; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            rc = err_set(e, ERR_CONFIG, "pattern \"%s\" is given twice", sorted[i]);
    free(sorted);
    return rc;
}

int routes_new(struct routes **out, const char *const *patterns, size_t count, struct err *e)
{
    *out = NULL;
    if (count > INT32_MAX)
        return err_set(e, ERR_CONFIG, "%zu patterns are too many", count);
    int rc = check_all(patterns, count, e);
    if (rc != 0)
        return rc;
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(patterns[i]);
    struct routes *r = calloc(1, sizeof *r);
    if (!r)
        goto no_memory;
    r->patterns = calloc(count + 1, sizeof *r->patterns);
    r->groups = calloc(count + 1, sizeof *r->groups);
    r->text = malloc(bytes);
    if (!r->patterns || !r->groups || !r->text)
        goto no_memory;
    char *text = r->text;
    for (size_t i = 0; i < count; i++) {
        compile(&r->patterns[i], patterns[i], text, (int)i);
        text += literal_bytes(&r->patterns[i]);
    }
    qsort(r->patterns, count, sizeof *r->patterns, pattern_order);
    make_groups(r, count);
    *out = r;
    return 0;

no_memory:
    routes_free(r);
    return err_set(e, ERR_NOMEM, "no memory for %zu patterns", count);
}

void routes_free(struct routes *r)
{
    if (!r)
        return;
    free(r->patterns);
    free(r->groups);
    free(r->text);
    free(r);
}

/* The prefix is known to match. Taking each middle segment at its first place is enough: where any
 * arrangement matches, that one does. */
static bool pattern_matches(const struct pattern *p, struct slice key, struct route_match *m)
{
    size_t at = p->end[0];
    if (p->stars == 0)
        return key.size == at;
    struct slice suffix = segment(p, p->stars);
    if (key.size < literal_bytes(p))
        return false;
    size_t end = key.size - suffix.size;
    if (suffix.size && memcmp(key.data + end, suffix.data, suffix.size) != 0)
        return false;
    m->captures = p->stars;
    for (unsigned i = 1; i < p->stars; i++) {
        struct slice middle = segment(p, i);
        const char *found =
            middle.size ? memmem(key.data + at, end - at, middle.data, middle.size) : key.data + at;
        if (!found)
            return false;
        m->capture[i - 1] = slice_of(key.data + at, (size_t)(found - key.data) - at);
        at = (size_t)(found - key.data) + middle.size;
    }
    m->capture[p->stars - 1] = slice_of(key.data + at, end - at);
    return true;
}

/* The last group whose prefix is not after the key, or -1: every group whose prefix begins the key
 * is that one or one of its ancestors. */
static ptrdiff_t group_before(const struct routes *r, struct slice key)
{
    size_t low = 0, high = r->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_order(r->groups[middle].prefix, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (ptrdiff_t)low - 1;
}

int routes_match(const struct routes *r, struct slice key, struct route_match *m)
{
    if (key.size == 0)
        key.data = "";
    ptrdiff_t at = group_before(r, key);
    if (at < 0)
        return -1;
    struct slice nearest = r->groups[at].prefix;
    size_t common = 0;
    while (common < nearest.size && common < key.size && nearest.data[common] == key.data[common])
        common++;
    struct route_match found;
    for (; at >= 0; at = r->groups[at].parent) {
        const struct group *g = &r->groups[at];
        if (g->prefix.size > common)
            continue;
        for (size_t i = g->first; i < g->first + g->count; i++) {
            found.captures = 0;
            if (!pattern_matches(&r->patterns[i], key, &found))
                continue;
            if (m) {
                m->captures = found.captures;
                memcpy(m->capture, found.capture, found.captures * sizeof *found.capture);
            }
            return r->patterns[i].index;
        }
    }
    return -1;
}
