/*
 * route_fuzz: lines of patterns, and a last line that is the key, against a table of what matches
 * (which pattern's end, from which byte of the key on). Run: ./dev fuzz route
 */
#include "load/route.h"
#include "wire/mp.h"

#include <stdio.h>
#include <stdlib.h>

#define PATTERNS_MAX 8
#define KEY_MAX      64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* A pattern as tokens: a byte, or STAR and its type. */
enum { ANY, TEXT, UUID, INT };
#define STAR 256
struct oracle {
    int token[GLOB_MAX];
    size_t size, prefix, literal, stars;
    int type[GLOB_STARS_MAX + 1];
    bool text, typed;
    bool can[GLOB_MAX + 1][KEY_MAX + 1]; /* the rest of the pattern, the rest of the key */
};

static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] == '\0')
            return false;
    return mp_utf8_prefix(s) == s.size;
}

/* What is printed of what is read is the same. */
static bool is_int(struct slice s)
{
    char text[32], again[32];
    if (s.size == 0 || s.size >= sizeof text || memchr(s.data, '\0', s.size))
        return false;
    memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    snprintf(again, sizeof again, "%lld", strtoll(text, NULL, 10));
    return strcmp(text, again) == 0;
}

static bool is_uuid(struct slice s)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (s.size != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < s.size; i++)
        if (shape[i] == '-' ? s.data[i] != '-'
                            : s.data[i] == '\0' || !strchr("0123456789abcdef", s.data[i]))
            return false;
    return true;
}

static bool takes(int type, struct slice run)
{
    return type == ANY || (type == INT && is_int(run)) || (type == UUID && is_uuid(run)) ||
           (type == TEXT && run.size > 0);
}

/* Behind the star at pattern. */
static const char *read_star(const char *pattern, int *type)
{
    *type = ANY;
    if (*pattern == '*')
        return pattern;
    const char *word = strchr(pattern, ':') + 1;
    *type = *word == 'i' ? INT : *word == 'u' ? UUID : TEXT;
    return strchr(pattern, '}');
}

static void oracle_read(struct oracle *o, const char *pattern)
{
    o->size = o->prefix = o->literal = o->stars = 0;
    o->text = o->typed = false;
    for (; *pattern; pattern++) {
        bool is_star = *pattern == '*' || *pattern == '{';
        if (is_star) {
            int *type = &o->type[o->stars++];
            pattern = read_star(pattern, type);
            o->token[o->size++] = STAR + *type;
            o->text |= *type == TEXT;
            o->typed |= *type != ANY;
            continue;
        }
        pattern += *pattern == '\\';
        o->token[o->size++] = (unsigned char)*pattern;
        o->literal++;
        o->prefix += o->stars == 0;
    }
}

/* typed false: as if all stars were plain. */
static bool oracle_fill(struct oracle *o, struct slice key, bool typed)
{
    for (size_t p = o->size + 1; p-- > 0;)
        for (size_t k = key.size + 1; k-- > 0;) {
            bool can = p == o->size && k == key.size;
            if (p < o->size && o->token[p] < STAR)
                can = k < key.size && (unsigned char)key.data[k] == o->token[p] &&
                      o->can[p + 1][k + 1];
            for (size_t end = k; p < o->size && o->token[p] >= STAR && end <= key.size; end++)
                can |= o->can[p + 1][end] &&
                       takes(typed ? o->token[p] - STAR : ANY, slice_of(key.data + k, end - k));
            o->can[p][k] = can;
        }
    return o->can[0][0] && !(typed && o->text && !is_text(key));
}

static void expect_captures(const struct oracle *o, struct slice key, const struct glob_match *m)
{
    size_t k = 0;
    unsigned captures = 0;
    for (size_t p = 0; p < o->size; p++) {
        if (o->token[p] < STAR) {
            k++;
            continue;
        }
        size_t start = k;
        while (!o->can[p + 1][k] ||
               !takes(o->token[p] - STAR, slice_of(key.data + start, k - start)))
            k++;
        expect(slice_eq(m->capture[captures++], slice_of(key.data + start, k - start)));
    }
    expect(k == key.size && captures == m->captures);
}

static int width(int type)
{
    return type == ANY ? 2 : type == TEXT;
}

/* Whether a goes before b, of which a was given later. */
static bool is_before(const struct oracle *a, const struct oracle *b)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    if (a->literal != b->literal)
        return a->literal > b->literal;
    for (size_t i = 0; i < a->stars && i < b->stars; i++)
        if (width(a->type[i]) != width(b->type[i]))
            return width(a->type[i]) < width(b->type[i]);
    return false;
}

static void compare(const char *const *patterns, size_t count, const struct routes *r,
                    struct slice key)
{
    static struct oracle oracles[PATTERNS_MAX];
    int best = -1, misfit = -1;
    for (size_t i = 0; i < count; i++) {
        struct oracle *o = &oracles[i];
        oracle_read(o, patterns[i]);
        if (oracle_fill(o, key, true)) {
            if (best < 0 || is_before(o, &oracles[best]))
                best = (int)i;
        } else if (o->typed && oracle_fill(o, key, false)) {
            if (misfit < 0 || is_before(o, &oracles[misfit]))
                misfit = (int)i;
        }
    }
    struct glob_match m;
    int want = best >= 0 ? best : misfit >= 0 ? ROUTE_MISFIT - misfit : ROUTE_NONE;
    expect(routes_match(r, key, &m) == want);
    expect(routes_match(r, key, NULL) == want);
    if (best < 0)
        return;
    expect_captures(&oracles[best], key, &m);
    m.captures = 0;
    routes_capture(r, best, key, &m);
    expect_captures(&oracles[best], key, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    expect(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    const char *patterns[PATTERNS_MAX];
    size_t count = 0;
    char *at = text, *newline;
    bool all_right = true;
    while (count < PATTERNS_MAX && (newline = memchr(at, '\n', (size_t)(text + size - at)))) {
        *newline = '\0';
        patterns[count] = at;
        all_right &= route_check(patterns[count++], NULL) == 0;
        at = newline + 1;
    }
    struct slice key = slice_of(at, (size_t)(text + size - at));
    key.size = key.size < KEY_MAX ? key.size : KEY_MAX;

    struct routes *r;
    struct err e;
    err_clear(&e);
    int rc = routes_new(&r, patterns, count, &e);
    expect((rc == 0) == (r != NULL) && (rc == 0 || (rc == ERR_CONFIG && e.text[0])));
    expect(rc != 0 || all_right);
    if (r)
        compare(patterns, count, r, key);
    routes_free(r);
    free(text);
    return 0;
}
