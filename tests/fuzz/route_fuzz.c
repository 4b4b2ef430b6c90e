/*
 * route_fuzz: lines of patterns, and a last line that is the key, against a table of what matches
 * (which pattern's end, from which byte of the key on). Run: ./dev fuzz route
 */
#include "load/route.h"

#include <stdlib.h>

#define PATTERNS_MAX 8
#define KEY_MAX      64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* A pattern as tokens: a byte, or STAR. */
#define STAR 256
struct oracle {
    int token[GLOB_MAX];
    size_t size, prefix, literal;
    bool can[GLOB_MAX + 1][KEY_MAX + 1]; /* the rest of the pattern, the rest of the key */
};

static void oracle_fill(struct oracle *o, const char *pattern, struct slice key)
{
    o->size = o->prefix = o->literal = 0;
    bool star = false;
    for (; *pattern; pattern++) {
        bool is_star = *pattern == '*';
        pattern += *pattern == '\\';
        o->token[o->size++] = is_star ? STAR : (unsigned char)*pattern;
        star |= is_star;
        o->literal += !is_star;
        o->prefix += !star;
    }
    for (size_t p = o->size + 1; p-- > 0;)
        for (size_t k = key.size + 1; k-- > 0;) {
            if (p == o->size)
                o->can[p][k] = k == key.size;
            else if (o->token[p] == STAR)
                o->can[p][k] = o->can[p + 1][k] || (k < key.size && o->can[p][k + 1]);
            else
                o->can[p][k] = k < key.size && (unsigned char)key.data[k] == o->token[p] &&
                               o->can[p + 1][k + 1];
        }
}

static void expect_captures(const struct oracle *o, struct slice key, const struct glob_match *m)
{
    size_t k = 0;
    unsigned captures = 0;
    for (size_t p = 0; p < o->size; p++) {
        if (o->token[p] != STAR) {
            k++;
            continue;
        }
        size_t start = k;
        while (!o->can[p + 1][k])
            k++;
        expect(slice_eq(m->capture[captures++], slice_of(key.data + start, k - start)));
    }
    expect(k == key.size && captures == m->captures);
}

static void compare(const char *const *patterns, size_t count, const struct routes *r,
                    struct slice key)
{
    static struct oracle oracles[PATTERNS_MAX];
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        struct oracle *o = &oracles[i];
        oracle_fill(o, patterns[i], key);
        if (!o->can[0][0])
            continue;
        if (best < 0 || o->prefix > oracles[best].prefix ||
            (o->prefix == oracles[best].prefix && o->literal > oracles[best].literal))
            best = (int)i;
    }
    struct glob_match m;
    expect(routes_match(r, key, &m) == best);
    expect(routes_match(r, key, NULL) == best);
    if (best >= 0)
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
