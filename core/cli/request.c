#include "cli/request.h"

#include "cli/json_in.h"
#include "wire/mpw.h"
#include "wire/rpc.h"

#include <errno.h>
#include <string.h>

#define INPUT_STEP 65536

/* An option of a method's trailing map, with the name that the protocol gives it. */
struct pair {
    const char *name;
    bool is_flag; /* it is true; else value holds */
    int64_t value;
};

enum { PAIRS_MAX = 9 };

/* Whether its method takes timeout_ms. */
static bool has_deadline(const struct command *c)
{
    static const char *const methods[] = {"get", "get_entry", "refresh", "put", "delete"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i], c->method) == 0)
            return true;
    return false;
}

/* All but the tags. */
static size_t pairs_of(const struct command *c, const struct args *a, struct pair *pairs)
{
    const struct {
        enum args_option id;
        struct pair pair;
    } known[PAIRS_MAX] = {
        {ARGS_TIMEOUT, {"timeout_ms", false, a->timeout_ms}},
        {ARGS_STALE_WAIT, {"stale_wait_ms", false, a->stale_wait_ms}},
        {ARGS_MIN_VERSION, {"min_version", false, a->min_version}},
        {ARGS_TTL, {"ttl_ms", false, a->ttl_ms}},
        {ARGS_STALE_TTL, {"stale_ttl_ms", false, a->stale_ttl_ms}},
        {ARGS_VERSION_OF, {"version", false, a->value_version}},
        {ARGS_BACKGROUND, {"background", true, 0}},
        {ARGS_PARTIAL, {"partial", true, 0}},
        {ARGS_DELETED, {"deleted", true, 0}},
    };
    size_t n = 0;
    for (size_t i = 0; i < PAIRS_MAX; i++)
        if (args_has(a, known[i].id) && (known[i].id != ARGS_TIMEOUT || has_deadline(c)))
            pairs[n++] = known[i].pair;
    return n;
}

/* --no-tags: none of them. */
static int pack_tags(struct buf *out, const struct args *a)
{
    int rc = mpw_cstr(out, "tags");
    if (rc == 0)
        rc = mpw_array(out, (uint32_t)a->tag_count);
    for (int i = 0; i < a->tag_count && rc == 0; i++)
        rc = mpw_text(out, slice_str(a->tags[i]));
    return rc;
}

static bool has_tags(const struct args *a)
{
    return args_has(a, ARGS_TAG) || args_has(a, ARGS_NO_TAGS);
}

static int pack_options(struct buf *out, const struct pair *pairs, size_t count,
                        const struct args *a)
{
    int rc = mpw_map(out, (uint32_t)count + has_tags(a));
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = mpw_cstr(out, pairs[i].name);
        if (rc == 0)
            rc = pairs[i].is_flag ? mpw_bool(out, true) : mpw_int(out, pairs[i].value);
    }
    return rc == 0 && has_tags(a) ? pack_tags(out, a) : rc;
}

static int read_input(FILE *in, struct buf *out, struct err *e)
{
    for (;;) {
        int rc = buf_grow(out, INPUT_STEP);
        if (rc != 0)
            return err_set(e, rc, "standard input: more than %zu bytes, or no memory", REQUEST_MAX);
        size_t n = fread(out->data + out->size, 1, INPUT_STEP, in);
        out->size += n;
        if (n == 0)
            break;
    }
    if (ferror(in))
        return err_set(e, ERR_IO, "cannot read standard input: %s", strerror(errno));
    return 0;
}

static int pack_value(struct buf *out, const char *word, bool raw, FILE *in, struct err *e)
{
    struct buf input;
    struct slice text = slice_str(word);
    int rc = 0;

    buf_init(&input, REQUEST_MAX + INPUT_STEP);
    if (strcmp(word, "-") == 0) {
        rc = read_input(in, &input, e);
        text = buf_slice(&input);
    }
    if (rc == 0 && raw) {
        rc = mpw_text(out, text);
        if (rc != 0)
            err_set(e, rc, "the value is too large, or no memory");
    } else if (rc == 0) {
        rc = json_in_pack(out, text, e);
        if (rc == ERR_BAD_VALUE)
            err_prefix(e, "the value is no JSON that can be stored (--raw stores text)");
    }
    buf_fini(&input);
    return rc;
}

/* The head of one request and its params' array. */
static int open_request(struct buf *out, size_t id, const char *method, uint32_t params)
{
    int rc = rpc_request_head(out, (uint32_t)id, method);
    return rc == 0 ? mpw_array(out, params) : rc;
}

static int pack_keys(struct buf *out, const struct args *a)
{
    int rc = mpw_array(out, (uint32_t)a->count - 1);
    for (int i = 1; i < a->count && rc == 0; i++)
        rc = mpw_text(out, slice_str(a->words[i]));
    return rc;
}

/* One request: method, its first words, then the map where there is one. */
static int pack_one(struct buf *out, const struct command *c, const struct args *a, size_t id,
                    const char *key, FILE *in, struct err *e)
{
    struct pair pairs[PAIRS_MAX];
    size_t pair_count = pairs_of(c, a, pairs);
    bool map = pair_count > 0 || has_tags(a);
    bool many = command_answer_of(c, a) == COMMAND_VALUES;
    bool value = c->least == 2;
    const char *method = many ? "get_many" : c->method;
    int rc = open_request(out, id, method, (uint32_t)((key ? 1 : 0) + value + map));

    if (rc == 0 && many)
        rc = pack_keys(out, a);
    else if (rc == 0 && key)
        rc = mpw_text(out, slice_str(key));
    if (rc == 0 && value) {
        rc = pack_value(out, a->words[2], args_has(a, ARGS_RAW), in, e);
        if (rc != 0)
            return rc;
    }
    if (rc == 0 && map)
        rc = pack_options(out, pairs, pair_count, a);
    return rc == 0 ? 0 : err_set(e, rc, "the request is too large, or no memory");
}

/* `key K`, `match P` or `all`, which become the map of the method's options. */
static int pack_lift(struct buf *out, const struct command *c, const struct args *a, struct err *e)
{
    const char *what = a->words[1];
    bool all = strcmp(what, "all") == 0;
    bool known = all || strcmp(what, "key") == 0 || strcmp(what, "match") == 0;
    if (!known || a->count != (all ? 2 : 3))
        return err_set(e, ERR_BAD_REQUEST, "%s takes key KEY, match PATTERN, or all", c->name);
    int rc = open_request(out, 1, c->method, 1) | mpw_map(out, 1) | mpw_cstr(out, what);
    rc |= all ? mpw_bool(out, true) : mpw_text(out, slice_str(a->words[2]));
    return rc == 0 ? 0 : err_set(e, ERR_TOO_LARGE, "the request is too large, or no memory");
}

int request_pack(struct buf *out, const struct command *c, const struct args *a, FILE *in,
                 size_t *count, struct err *e)
{
    int rc = 0;

    *count = 1;
    if (strcmp(c->name, "lift-floors") == 0)
        return pack_lift(out, c, a, e);
    if (c->answer == COMMAND_STATS) /* its word is about the answer */
        return pack_one(out, c, a, 1, NULL, in, e);
    if (c->most < 0 && c->answer != COMMAND_VALUE) /* of which get_many takes all at once */
        *count = (size_t)a->count - 1;
    for (size_t i = 0; i < *count && rc == 0; i++)
        rc = pack_one(out, c, a, i + 1, a->count > 1 ? a->words[i + 1] : NULL, in, e);
    return rc;
}
