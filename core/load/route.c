#include "load/route.h"

#include <stdlib.h>

struct pattern {
    struct glob glob;
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
    uint32_t *place;          /* by index: where the pattern is */
    size_t group_count;
    char *text;
};

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
    return glob_check(slice_str(pattern ? pattern : ""), e);
}

/* An int and a uuid have no key in common; a text may be either, and a plain star takes all. */
static int width_order(uint8_t a, uint8_t b)
{
    int order = (a == GLOB_ANY) - (b == GLOB_ANY);
    return order != 0 ? order : (a == GLOB_TEXT) - (b == GLOB_TEXT);
}

/* Star by star, from the left. */
static int narrower(const struct glob *a, const struct glob *b)
{
    int order = 0;
    for (unsigned i = 0; order == 0 && i < a->stars && i < b->stars; i++)
        order = width_order(a->type[i], b->type[i]);
    return order;
}

static int pattern_order(const void *left, const void *right)
{
    const struct pattern *a = left, *b = right;
    int order = slice_order(glob_segment(&a->glob, 0), glob_segment(&b->glob, 0));
    if (order != 0)
        return order;
    size_t a_size = glob_literal_bytes(&a->glob), b_size = glob_literal_bytes(&b->glob);
    if (a_size != b_size)
        return a_size > b_size ? -1 : 1;
    order = narrower(&a->glob, &b->glob);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* The patterns are sorted: equal prefixes stand together, and what begins a prefix before it. */
static void make_groups(struct routes *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice prefix = glob_segment(&r->patterns[i].glob, 0);
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

static int text_order(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return glob_order(slice_str(*a), slice_str(*b));
}

/* Each pattern has one spelling only but for the names of its stars. */
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
    qsort(sorted, count, sizeof *sorted, text_order);
    int rc = 0;
    for (size_t i = 1; i < count && rc == 0; i++) {
        if (glob_order(slice_str(sorted[i - 1]), slice_str(sorted[i])) != 0)
            continue;
        bool same = strcmp(sorted[i - 1], sorted[i]) == 0;
        rc = same ? err_set(e, ERR_CONFIG, "pattern \"%s\" is given twice", sorted[i])
                  : err_set(e, ERR_CONFIG, "patterns \"%s\" and \"%s\" match the same keys",
                            sorted[i - 1], sorted[i]);
    }
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
    r->place = calloc(count + 1, sizeof *r->place);
    r->text = malloc(bytes);
    if (!r->patterns || !r->groups || !r->place || !r->text)
        goto no_memory;
    char *text = r->text;
    for (size_t i = 0; i < count; i++) {
        r->patterns[i].index = (int)i;
        glob_compile(&r->patterns[i].glob, slice_str(patterns[i]), text);
        text += glob_literal_bytes(&r->patterns[i].glob);
    }
    qsort(r->patterns, count, sizeof *r->patterns, pattern_order);
    for (size_t i = 0; i < count; i++)
        r->place[r->patterns[i].index] = (uint32_t)i;
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
    free(r->place);
    free(r->text);
    free(r);
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

int routes_match(const struct routes *r, struct slice key, struct glob_match *m)
{
    int misfit = ROUTE_NONE;
    if (key.size == 0)
        key.data = "";
    ptrdiff_t at = group_before(r, key);
    if (at < 0)
        return ROUTE_NONE;
    struct slice nearest = r->groups[at].prefix;
    size_t common = 0;
    while (common < nearest.size && common < key.size && nearest.data[common] == key.data[common])
        common++;
    struct glob_match found;
    for (; at >= 0; at = r->groups[at].parent) {
        const struct group *g = &r->groups[at];
        if (g->prefix.size > common)
            continue;
        for (size_t i = g->first; i < g->first + g->count; i++) {
            const struct glob *glob = &r->patterns[i].glob;
            if (!glob_matches_rest(glob, key, &found)) {
                if (glob->typed && misfit == ROUTE_NONE && glob_fits_rest(glob, key))
                    misfit = ROUTE_MISFIT - r->patterns[i].index;
                continue;
            }
            if (m) {
                m->captures = found.captures;
                memcpy(m->capture, found.capture, found.captures * sizeof *found.capture);
            }
            return r->patterns[i].index;
        }
    }
    return misfit;
}

void routes_capture(const struct routes *r, int loader, struct slice key, struct glob_match *m)
{
    (void)glob_matches_rest(&r->patterns[r->place[loader]].glob, key, m);
}
