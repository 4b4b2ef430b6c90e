/* invalidate_tag, invalidate_match, expire in its wider forms, lift_floors: many keys by one word.
 */
#include "net/commands.h"

#include "base/log.h"
#include "net/rights.h"
#include "net/texts.h"
#include "wire/mpw.h"

#define RETRY_MS 100 /* a scan of the memory goes on for about so long */

/* The one argument, packed, and no options. */
static int take_argument(struct params *p, struct slice *packed, struct err *e)
{
    int rc = params_raw(p, packed, e);
    return rc != 0 ? rc : params_options(p, NULL, 0, e);
}

static void mark_tags(const struct target *t, struct params *p, bool soft)
{
    static const struct texts_rule rule = {.what = "tag", .longest = MARKS_TAG_SIZE};
    struct slice packed, tag;
    struct texts tags;
    struct err e;
    int rc = take_argument(p, &packed, &e);
    if (rc == 0)
        rc = texts_of(&tags, p, packed, &rule, &e);
    while (rc == 0 && texts_next(&tags, &tag))
        rc = change_tag(t->io->options.changes, tag, soft, soft ? CAUSE_EXPIRE : CAUSE_INVALIDATE,
                        &e);
    if (rc != 0)
        answer_error(t, &e);
    else
        answer_true(t, true);
}

void wide_invalidate_tag(const struct target *t, struct params *p)
{
    mark_tags(t, p, false);
}

void wide_expire_tag(const struct target *t, struct params *p)
{
    mark_tags(t, p, true);
}

static void mark_match(const struct target *t, struct params *p, bool soft)
{
    static const struct texts_rule rule = {.what = "pattern", .longest = GLOB_MAX, .most = 1};
    struct slice packed, pattern = {0};
    struct texts one;
    struct err e;
    int rc = take_argument(p, &packed, &e);
    if (rc == 0)
        rc = texts_of(&one, p, packed, &rule, &e);
    if (rc == 0 && !texts_next(&one, &pattern))
        rc = err_set(&e, ERR_BAD_REQUEST, "%s: a pattern is missing", p->method);
    if (rc == 0) {
        rc = change_match(t->io->options.changes, pattern, soft,
                          soft ? CAUSE_EXPIRE : CAUSE_INVALIDATE, &e);
        if (rc == ERR_OVERLOADED)
            e.retry_after_ms = RETRY_MS;
        if (rc != 0)
            err_prefix(&e, "%s", p->method);
    }
    if (rc != 0)
        answer_error(t, &e);
    else
        answer_true(t, true);
}

void wide_invalidate_match(const struct target *t, struct params *p)
{
    mark_match(t, p, false);
}

void wide_expire_match(const struct target *t, struct params *p)
{
    mark_match(t, p, true);
}

void wide_expire_many(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    const struct texts_rule rule = {.what = "key", .longest = (size_t)p->conf->max_key};
    struct slice packed, key;
    struct texts keys;
    struct err e;
    int64_t there = 0;
    int rc = take_argument(p, &packed, &e);
    if (rc == 0)
        rc = texts_of(&keys, p, packed, &rule, &e);
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    while (texts_next(&keys, &key))
        there +=
            change_expire(io->options.changes, key, store_hash(io->options.store, key), io->now_ms);
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_int(a.out, there));
}

static int read_lift(struct params *p, struct lift *what, bool *all, struct err *e)
{
    bool has_key = false, has_match = false;
    const struct option_spec specs[] = {
        {"key", OPTION_TEXT, &what->key, &has_key},
        {"match", OPTION_TEXT, &what->match, &has_match},
        {"all", OPTION_BOOL, all, NULL},
    };
    int rc = params_options(p, specs, 3, e);
    if (rc == 0 && has_key + has_match + *all != 1)
        return err_set(e, ERR_BAD_REQUEST,
                       "lift_floors: it takes one of key, match, and all = true");
    if (rc == 0 && has_key && (what->key.size == 0 || what->key.size > (size_t)p->conf->max_key))
        return err_set(e, ERR_BAD_KEY, "lift_floors: a key of %zu bytes; max_key is %lld",
                       what->key.size, (long long)p->conf->max_key);
    if (rc == 0 && has_match && what->match.size == 0)
        return err_set(e, ERR_BAD_REQUEST, "lift_floors: the pattern is empty");
    return rc;
}

/* All floors are those of the keys that the pattern * matches. */
static int check_lift(const struct target *t, const struct params *p, const struct lift *what,
                      bool all, struct err *e)
{
    const struct conf_user *user = t->conn ? t->conn->user : NULL;
    struct slice method = slice_str(p->method);
    if (what->key.size > 0)
        return rights_check_text(user, method, false, what->key, e);
    return rights_check_text(user, method, true, all ? slice_str("*") : what->match, e);
}

/* What the log says of it: somebody has taken a promise back. */
static void log_lift(const struct target *t, const struct lift *what, bool all, bool had)
{
    const struct conf_user *user = t->conn ? t->conn->user : NULL;
    const char *name = user ? user->name : "";
    if (all)
        log_warn("floors.lifted", "user=%s all=1", log_q(name));
    else if (what->key.size > 0)
        log_warn("floors.lifted", "user=%s key=%s had=%d", log_q(name), log_key(what->key),
                 (int)had);
    else
        log_warn("floors.lifted", "user=%s match=%s", log_q(name), log_key(what->match));
}

void wide_lift_floors(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct lift what = {.now_ms = io->now_ms};
    bool all = false, had = false;
    struct err e;
    int rc = read_lift(p, &what, &all, &e);
    if (rc == 0)
        rc = check_lift(t, p, &what, all, &e);
    if (rc == 0) {
        what.hash = store_hash(io->options.store, what.key);
        rc = change_lift(io->options.changes, &what, &had, &e);
        if (rc == ERR_OVERLOADED && err_may_retry(&e))
            e.retry_after_ms = RETRY_MS;
        if (rc != 0)
            err_prefix(&e, "%s", p->method);
    }
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    log_lift(t, &what, all, had);
    answer_true(t, had);
}
