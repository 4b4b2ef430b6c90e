/* A pattern as it is written: checked, compiled, and its stars named. */
#include "base/glob.h"
#include "base/show.h"

#define TYPES "int, uuid and text"

/* What comes next in a pattern: a literal byte, or a star. */
struct token {
    char byte;
    bool is_star;
    struct glob_star star;
};

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_name_char(s.data[i], i == 0))
            return false;
    return s.size > 0;
}

static const char *const type_words[] = {
    [GLOB_TEXT] = "text", [GLOB_UUID] = "uuid", [GLOB_INT] = "int"};

static bool read_type(struct slice word, enum glob_type *type)
{
    for (int t = GLOB_TEXT; t <= GLOB_INT; t++)
        if (slice_eq_str(word, type_words[t])) {
            *type = (enum glob_type)t;
            return true;
        }
    return false;
}

/* name:type, between the braces. Returns what is wrong, or NULL. */
static const char *read_star(struct slice inner, struct glob_star *star)
{
    const char *colon = inner.size ? memchr(inner.data, ':', inner.size) : NULL;
    if (!colon)
        return "a star without a type";
    star->name = slice_of(inner.data, (size_t)(colon - inner.data));
    if (star->name.size == 0)
        return "a star without a name";
    if (!is_name(star->name))
        return "a star whose name is not of a-z, 0-9 and _ with no digit first,";
    struct slice word = slice_of(colon + 1, inner.size - star->name.size - 1);
    return read_type(word, &star->type) ? NULL : "a star of a type that is none of " TYPES;
}

/* The token at *at, which goes behind it. Returns what is wrong, or NULL. */
static const char *next_token(struct slice p, size_t *at, struct token *t)
{
    char c = p.data[(*at)++];
    *t = (struct token){.byte = c, .is_star = c == '*' || c == '{'};
    if (c == '\\') {
        if (*at == p.size || !glob_is_special(p.data[*at]))
            return "a lone backslash";
        t->byte = p.data[(*at)++];
    } else if (c == '{') {
        const char *close = memchr(p.data + *at, '}', p.size - *at);
        if (!close)
            return "a { without a }";
        struct slice inner = slice_of(p.data + *at, (size_t)(close - p.data) - *at);
        *at += inner.size + 1;
        return read_star(inner, &t->star);
    }
    return NULL;
}

/* ---- checking ---- */

/* What has been read so far. */
struct so_far {
    struct glob_star stars[GLOB_STARS_MAX];
    unsigned count;
    struct token last;
    bool any, text;
};

/* Whether a star may stand where it does. Returns what is wrong, or NULL. */
static const char *add_star(struct so_far *s, const struct glob_star *star)
{
    bool typed = star->type != GLOB_ANY;
    if (s->any && s->last.is_star && (typed || s->last.star.type != GLOB_ANY))
        return "a star that touches another one";
    for (unsigned i = 0; i < s->count && i < GLOB_STARS_MAX && typed; i++)
        if (slice_eq(s->stars[i].name, star->name))
            return "a star of the name of an earlier one";
    if (s->count < GLOB_STARS_MAX)
        s->stars[s->count] = *star;
    s->count++;
    s->text |= star->type == GLOB_TEXT;
    return NULL;
}

static const char *add_token(struct so_far *s, const struct token *t)
{
    const char *wrong = NULL;
    if (t->is_star)
        wrong = add_star(s, &t->star);
    else if (s->any && s->last.is_star && s->last.star.type == GLOB_INT && t->byte >= '0' &&
             t->byte <= '9')
        wrong = "a digit right behind an int star";
    s->last = *t;
    s->any = true;
    return wrong;
}

static int refuse(struct slice pattern, size_t at, const char *wrong, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    const char *how = "";
    if (pattern.data[at] == '{')
        how = "; a typed star is {name:type}, a { of the key is \\{";
    else if (pattern.data[at] == '\\')
        how = "; write \\* for a star, \\{ for a { and \\\\ for a backslash";
    return err_set(e, ERR_CONFIG, "pattern \"%s\" has %s at byte %zu%s", show_key(text, pattern),
                   wrong, at + 1, how);
}

int glob_check(struct slice pattern, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    struct so_far so_far = {.count = 0};
    struct token t;
    if (pattern.size == 0)
        return err_set(e, ERR_CONFIG, "a pattern is empty");
    if (pattern.size > GLOB_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%s\" has %zu bytes; the most is %d",
                       show_key(text, pattern), pattern.size, GLOB_MAX);
    for (size_t at = 0, begin; at < pattern.size;) {
        begin = at;
        const char *wrong = next_token(pattern, &at, &t);
        if (!wrong)
            wrong = add_token(&so_far, &t);
        if (wrong)
            return refuse(pattern, begin, wrong, e);
    }
    if (so_far.count > GLOB_STARS_MAX)
        return err_set(e, ERR_CONFIG, "pattern \"%s\" has %u stars; the most is %d",
                       show_key(text, pattern), so_far.count, GLOB_STARS_MAX);
    if (so_far.text && !glob_is_text(pattern))
        return err_set(e, ERR_CONFIG,
                       "pattern \"%s\" has a text star, and literals that are not UTF-8",
                       show_key(text, pattern));
    return 0;
}

/* ---- reading what was checked ---- */

void glob_compile(struct glob *g, struct slice pattern, char *room)
{
    struct token t;
    uint16_t size = 0;
    *g = (struct glob){.text = room};
    for (size_t at = 0; at < pattern.size;) {
        (void)next_token(pattern, &at, &t);
        if (!t.is_star) {
            room[size++] = t.byte;
            continue;
        }
        g->typed |= t.star.type != GLOB_ANY;
        g->has_text |= t.star.type == GLOB_TEXT;
        g->type[g->stars] = (uint8_t)t.star.type;
        g->end[g->stars++] = size;
    }
    g->end[g->stars] = size;
}

/* A typed star has the next letter for its name. */
static size_t write_star(enum glob_type type, unsigned i, char *to)
{
    if (type == GLOB_ANY) {
        *to = '*';
        return 1;
    }
    const char *word = type_words[type];
    size_t size = strlen(word);
    const char begin[] = {'{', (char)('a' + i), ':'};
    memcpy(to, begin, sizeof begin);
    memcpy(to + sizeof begin, word, size);
    to[sizeof begin + size] = '}';
    return sizeof begin + size + 1;
}

struct slice glob_write(const struct glob *g, char *room)
{
    size_t size = 0;
    for (unsigned i = 0; i <= g->stars; i++) {
        struct slice literal = glob_segment(g, i);
        for (size_t k = 0; k < literal.size; k++) {
            if (glob_is_special(literal.data[k]))
                room[size++] = '\\';
            room[size++] = literal.data[k];
        }
        if (i < g->stars)
            size += write_star((enum glob_type)g->type[i], i, room + size);
    }
    return slice_of(room, size);
}

unsigned glob_stars(struct slice pattern, struct glob_star stars[GLOB_STARS_MAX])
{
    unsigned count = 0;
    struct token t;
    for (size_t at = 0; at < pattern.size;) {
        (void)next_token(pattern, &at, &t);
        if (t.is_star)
            stars[count++] = t.star;
    }
    return count;
}

struct slice glob_plain(struct slice pattern, char *room)
{
    size_t size = 0;
    struct token t;
    for (size_t at = 0; at < pattern.size;) {
        size_t begin = at;
        (void)next_token(pattern, &at, &t);
        size_t n = t.is_star ? 1 : at - begin;
        memcpy(room + size, t.is_star ? "*" : pattern.data + begin, n);
        size += n;
    }
    return slice_of(room, size);
}

static int token_rank(const struct token *t)
{
    return t->is_star ? 256 + (int)t->star.type : (unsigned char)t->byte;
}

int glob_order(struct slice a, struct slice b)
{
    struct token x, y;
    size_t i = 0, k = 0;
    while (i < a.size && k < b.size) {
        (void)next_token(a, &i, &x);
        (void)next_token(b, &k, &y);
        if (token_rank(&x) != token_rank(&y))
            return token_rank(&x) - token_rank(&y);
    }
    return (i < a.size) - (k < b.size);
}
