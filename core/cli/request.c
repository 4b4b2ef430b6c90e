#include "cli/request.h"

#include "cli/json_in.h"
#include "wire/mpw.h"
#include "wire/rpc.h"

#include <errno.h>
#include <string.h>

#define INPUT_STEP 65536

/* The options of a method's trailing map, with the names that the protocol gives them. */
struct pair {
    const char *name;
    int64_t value;
};

enum { PAIRS_MAX = 5 };

static size_t pairs_of(const struct command *c, const struct args *a, struct pair *pairs)
{
    size_t n = 0;
    bool loads = c->options & (ARGS_BIT(ARGS_STALE_WAIT) | ARGS_BIT(ARGS_BACKGROUND));

    if (args_has(a, ARGS_TIMEOUT) && loads)
        pairs[n++] = (struct pair){"timeout_ms", a->timeout_ms};
    if (args_has(a, ARGS_STALE_WAIT))
        pairs[n++] = (struct pair){"stale_wait_ms", a->stale_wait_ms};
    if (args_has(a, ARGS_TTL))
        pairs[n++] = (struct pair){"ttl_ms", a->ttl_ms};
    if (args_has(a, ARGS_STALE_TTL))
        pairs[n++] = (struct pair){"stale_ttl_ms", a->stale_ttl_ms};
    if (args_has(a, ARGS_VERSION_OF))
        pairs[n++] = (struct pair){"version", a->value_version};
    return n;
}

static int pack_options(struct buf *out, const struct pair *pairs, size_t count, bool background)
{
    int rc = mpw_map(out, (uint32_t)count + background);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = mpw_cstr(out, pairs[i].name);
        if (rc == 0)
            rc = mpw_int(out, pairs[i].value);
    }
    if (rc == 0 && background)
        rc = mpw_cstr(out, "background");
    if (rc == 0 && background)
        rc = mpw_bool(out, true);
    return rc;
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
    bool background = args_has(a, ARGS_BACKGROUND);
    bool map = pair_count > 0 || background;
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
        rc = pack_options(out, pairs, pair_count, background);
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
    if (c->answer == COMMAND_FOUND)
        *count = (size_t)a->count - 1;
    for (size_t i = 0; i < *count && rc == 0; i++)
        rc = pack_one(out, c, a, i + 1, a->count > 1 ? a->words[i + 1] : NULL, in, e);
    return rc;
}
