/* invalidate_tag, invalidate_match, and expire in its wider forms: many keys by one word. */
#include "net/commands.h"
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
    while (texts_next(&keys, &key)) {
        int loader;
        const struct policy *policy = snapshot_policy(io->snapshot, key, &loader);
        struct put deadlines = write_deadlines(policy, key, store_hash(io->options.store, key));
        there += change_expire(io->options.changes, &deadlines, io->now_ms);
    }
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_int(a.out, there));
}
