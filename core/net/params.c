#include "net/params.h"

#include "base/show.h"
#include "conf/conf_units.h"
#include "conf/options.h"

#include <stdio.h>

static const char *type_text(const struct mp_token *t)
{
    static const char *const names[] = {
        [MP_NIL] = "nil",         [MP_BOOL] = "a bool",    [MP_INT] = "an integer",
        [MP_UINT] = "an integer", [MP_FLOAT] = "a float",  [MP_STR] = "a str",
        [MP_BIN] = "a bin",       [MP_ARRAY] = "an array", [MP_MAP] = "a map",
        [MP_EXT] = "an ext",
    };
    return names[t->type];
}

void params_init(struct params *p, const char *method, const struct rpc_msg *m,
                 const struct conf *conf)
{
    *p = (struct params){
        .method = method,
        .conf = conf,
        .at = mp_reader_of(m->params),
        .left = m->param_count,
        .index = 1,
        .msg = m,
    };
}

static int next_token(struct params *p, struct mp_token *t, struct err *e)
{
    if (p->left == 0 || mp_next(&p->at, t) != MP_OK)
        return err_set(e, ERR_BAD_REQUEST, "%s: argument %u is missing", p->method, p->index);
    p->left--;
    p->index++;
    return 0;
}

static int refuse_key(const struct params *p, const struct mp_token *t, struct err *e)
{
    if (t->type != MP_STR && t->type != MP_BIN)
        return err_set(e, ERR_BAD_REQUEST, "%s: a key is a str or bin, and this is %s", p->method,
                       type_text(t));
    if (t->bytes.size == 0)
        return err_set(e, ERR_BAD_KEY, "%s: the key is empty", p->method);
    char text[SHOW_KEY_TEXT];
    return err_set(e, ERR_BAD_KEY, "%s: the key %s has %zu bytes; max_key is %lld", p->method,
                   show_key(text, t->bytes), t->bytes.size, (long long)p->conf->max_key);
}

int params_check_key(const struct params *p, const struct mp_token *t, struct slice *key,
                     struct err *e)
{
    if (__builtin_expect(!params_is_key(p, t), 0))
        return refuse_key(p, t, e);
    *key = t->bytes;
    return 0;
}

int params_key(struct params *p, struct slice *key, struct err *e)
{
    struct mp_token t;
    if (params_key_ahead(p, key))
        return 0;
    int rc = next_token(p, &t, e);
    return rc != 0 ? rc : params_check_key(p, &t, key, e);
}

int params_array(struct params *p, uint32_t *count, struct err *e)
{
    struct mp_token t;
    int rc = next_token(p, &t, e);
    if (rc != 0)
        return rc;
    if (t.type != MP_ARRAY)
        return err_set(e, ERR_BAD_REQUEST, "%s: argument %u is an array of keys, and this is %s",
                       p->method, p->index - 1, type_text(&t));
    if (t.count > (uint64_t)p->conf->max_batch)
        return err_set(e, ERR_BAD_REQUEST, "%s: %u keys; max_batch is %lld", p->method, t.count,
                       (long long)p->conf->max_batch);
    *count = t.count;
    return 0;
}

/* The next argument, of which it is mostly known where it ends. */
static bool take(struct params *p, struct slice *packed)
{
    if (p->left == 0)
        return false;
    if (p->index > p->msg->end_count) {
        if (mp_take(&p->at, packed) != MP_OK)
            return false;
    } else {
        *packed = slice_of(p->at.at, (size_t)(p->msg->ends[p->index - 1] - p->at.at));
        p->at.at = p->msg->ends[p->index - 1];
    }
    p->left--;
    p->index++;
    return true;
}

int params_value(struct params *p, struct slice *packed, struct err *e)
{
    if (!take(p, packed))
        return err_set(e, ERR_BAD_REQUEST, "%s: argument %u, the value, is missing or malformed",
                       p->method, p->index);
    if (packed->size > (size_t)p->conf->max_value)
        return err_set(e, ERR_TOO_LARGE, "%s: a value of %zu bytes; max_value is %lld", p->method,
                       packed->size, (long long)p->conf->max_value);
    return 0;
}

int params_raw(struct params *p, struct slice *packed, struct err *e)
{
    if (!take(p, packed))
        return err_set(e, ERR_BAD_REQUEST, "%s: argument %u is missing", p->method, p->index);
    return 0;
}

/* The most that a time may be; 0: it is no time. */
static int64_t longest_of(enum params_type type)
{
    return type == OPTION_TTL    ? OPTIONS_MOST_TTL_MS
           : type == OPTION_WAIT ? OPTIONS_MOST_WAIT_MS
                                 : 0;
}

static int refuse_option(const struct params *p, const struct option_spec *s,
                         const struct mp_token *t, const char *wanted, struct err *e)
{
    char bound[96] = "";
    const char *is = type_text(t);
    bool number = t->type == MP_INT || t->type == MP_UINT;
    int64_t longest = longest_of(s->type);
    if (longest > 0) {
        char most[CONF_SHOWN_MAX];
        conf_units_show_duration(longest, most);
        snprintf(bound, sizeof bound, " to %lld (%s)", (long long)longest, most);
    }
    if (number && (longest > 0 || s->type == OPTION_INT))
        is = "out of bounds";
    return err_set(e, ERR_BAD_REQUEST, "%s: option %s is %s%s, and this is %s", p->method, s->name,
                   wanted, bound, is);
}

static int read_option(struct params *p, const struct option_spec *s, struct err *e)
{
    struct mp_token t = {.type = MP_NIL};
    bool raw = s->type == OPTION_RAW;
    size_t tokens = params_tokens_max(p);
    const char *start = p->at.at;
    int got = raw ? mp_skip_some(&p->at, &tokens) : mp_next(&p->at, &t);
    if (raw && tokens == 0)
        return err_set(e, ERR_BAD_REQUEST, "%s: option %s holds too many values", p->method,
                       s->name);
    if (got != MP_OK)
        return err_set(e, ERR_BAD_REQUEST, "%s: option %s is cut off", p->method, s->name);
    bool fits = raw;
    const char *wanted = "";
    switch (s->type) {
    case OPTION_TTL:
    case OPTION_WAIT:
        wanted = "a whole number of milliseconds, 0";
        fits = t.type == MP_INT && t.i >= 0 && t.i <= longest_of(s->type);
        if (fits)
            *(int64_t *)s->to = t.i;
        break;
    case OPTION_INT:
        wanted = "an integer of 64 bits";
        fits = t.type == MP_INT;
        if (fits)
            *(int64_t *)s->to = t.i;
        break;
    case OPTION_BOOL:
        wanted = "true or false";
        fits = t.type == MP_BOOL;
        if (fits)
            *(bool *)s->to = t.b;
        break;
    case OPTION_TEXT:
        wanted = "a str";
        fits = t.type == MP_STR || t.type == MP_BIN;
        if (fits)
            *(struct slice *)s->to = t.bytes;
        break;
    case OPTION_RAW: *(struct slice *)s->to = slice_of(start, (size_t)(p->at.at - start)); break;
    }
    if (!fits)
        return refuse_option(p, s, &t, wanted, e);
    if (s->given)
        *s->given = true;
    return 0;
}

static int unknown_option(const struct params *p, struct slice name,
                          const struct option_spec *specs, size_t count, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    int rc = err_set(e, ERR_BAD_REQUEST, "%s: unknown option \"%s\"; it knows", p->method,
                     show_key(text, name));
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(e->text);
        size_t more = strlen(specs[i].name) + 3; /* the NUL is among them */
        if (used + more > sizeof e->text)
            break;
        memcpy(e->text + used, i == 0 ? " " : ", ", i == 0 ? 2 : 3);
        strcat(e->text, specs[i].name);
    }
    if (count == 0)
        strncat(e->text, " none", sizeof e->text - strlen(e->text) - 1);
    return rc;
}

int params_options(struct params *p, const struct option_spec *specs, size_t count, struct err *e)
{
    if (p->left == 0)
        return 0;
    struct mp_token t;
    int rc = next_token(p, &t, e);
    if (rc != 0)
        return rc;
    if (t.type == MP_MAP && p->left > 0)
        return err_set(e, ERR_BAD_REQUEST, "%s: %u arguments are given, and it takes %u", p->method,
                       p->index - 1 + p->left, p->index - 1);
    if (t.type != MP_MAP)
        return err_set(e, ERR_BAD_REQUEST, "%s: argument %u is a map of options, and this is %s",
                       p->method, p->index - 1, type_text(&t));
    uint32_t pairs = t.count;
    for (uint32_t i = 0; i < pairs; i++) {
        if (mp_next(&p->at, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN))
            return err_set(e, ERR_BAD_REQUEST, "%s: the name of an option is no str", p->method);
        size_t k = 0;
        while (k < count && !slice_eq_str(t.bytes, specs[k].name))
            k++;
        if (k == count)
            return unknown_option(p, t.bytes, specs, count, e);
        if (i >= count)
            return err_set(e, ERR_BAD_REQUEST, "%s: an option is given twice", p->method);
        rc = read_option(p, &specs[k], e);
        if (rc != 0)
            return rc;
    }
    return 0;
}
