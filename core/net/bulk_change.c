/* invalidate_tag, invalidate_match, expire in its wider forms, lift_floors: many keys by one word.
 */
#include "net/commands.h"

#include "base/log.h"
#include "net/job.h"
#include "serve/rights.h"
#include "net/text_list.h"
#include "wire/mpw.h"

#define RETRY_MS 100 /* a scan of the memory goes on for about so long */

/* The one argument, packed, and no options. */
static int take_argument(struct params *p, struct slice *packed, struct err *e)
{
    int rc = params_raw(p, packed, e);
    return rc != 0 ? rc : params_options(p, NULL, 0, e);
}

/* Many texts, each of which is told of. */
struct mark_many {
    struct job job;
    struct text_list texts; /* that are left */
    bool soft, keys;        /* keys: expire_many; else they are tags */
    int64_t there;          /* keys that had an entry */
};

#define TEXTS_EACH 32 /* of one step */

static void mark_many_moved(struct job *j, const char *from, const char *to)
{
    job_move_reader(&container_of(j, struct mark_many, job)->texts.at, from, to);
}

static int mark_one(struct mark_many *m, struct slice text, struct err *e)
{
    struct io *io = m->job.target.io;
    const struct changes *c = io->options.changes;
    if (!m->keys)
        return change_tag(c, text, m->soft, m->soft ? CAUSE_EXPIRE : CAUSE_INVALIDATE, e);
    m->there += change_expire(c, text, store_hash(io->options.store, text), io->now_ms);
    return 0;
}

static bool mark_many_step(struct job *j)
{
    struct mark_many *m = container_of(j, struct mark_many, job);
    struct slice text;
    struct err e;
    int rc = 0;
    for (int i = 0; i < TEXTS_EACH && rc == 0 && text_list_next(&m->texts, &text); i++)
        rc = mark_one(m, text, &e);
    if (rc != 0) {
        answer_error(&j->target, &e);
        return false;
    }
    if (m->texts.count > 0)
        return true;
    if (m->keys) {
        struct answer a;
        answer_begin(&a, &j->target);
        answer_done(&a, mpw_int(a.out, m->there));
    } else {
        answer_true(&j->target, true);
    }
    return false;
}

static void mark_many(const struct target *t, struct params *p, bool soft, bool keys)
{
    static const struct job_kind kind = {sizeof(struct mark_many), mark_many_step, mark_many_moved,
                                         NULL};
    const struct text_list_rule rule = {
        .what = keys ? "key" : "tag", .longest = keys ? (size_t)p->conf->max_key : MARKS_TAG_SIZE};
    struct mark_many m = {.job = {.kind = &kind, .target = *t}, .soft = soft, .keys = keys};
    struct slice packed;
    struct err e;
    int rc = take_argument(p, &packed, &e);
    if (rc == 0)
        rc = text_list_of(&m.texts, p, packed, &rule, &e);
    if (rc == 0)
        job_start(&m.job, p->msg->params);
    else
        answer_error(t, &e);
}

void bulk_change_invalidate_tag(const struct target *t, struct params *p)
{
    mark_many(t, p, false, false);
}

void bulk_change_expire_tag(const struct target *t, struct params *p)
{
    mark_many(t, p, true, false);
}

static void mark_match(const struct target *t, struct params *p, bool soft)
{
    static const struct text_list_rule rule = {.what = "pattern", .longest = GLOB_MAX, .most = 1};
    struct slice packed, pattern = {0};
    struct text_list one;
    struct err e;
    int rc = take_argument(p, &packed, &e);
    if (rc == 0)
        rc = text_list_of(&one, p, packed, &rule, &e);
    if (rc == 0 && !text_list_next(&one, &pattern))
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

void bulk_change_invalidate_match(const struct target *t, struct params *p)
{
    mark_match(t, p, false);
}

void bulk_change_expire_match(const struct target *t, struct params *p)
{
    mark_match(t, p, true);
}

void bulk_change_expire_many(const struct target *t, struct params *p)
{
    mark_many(t, p, true, true);
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
    const struct conf_user *user = t->conn ? t->conn->session.user : NULL;
    bool pattern = what->key.size == 0;
    struct slice text = !pattern ? what->key : all ? slice_str("*") : what->match;
    int rc = rights_text(user, slice_str(p->method), pattern ? RIGHTS_OF_PATTERN : RIGHTS_OF_KEY,
                         text, e);
    metrics_add(t->io->metrics, M_DENIED, rc != 0);
    return rc;
}

/* What the log says of it: somebody has taken a promise back. */
static void log_lift(const struct target *t, const struct lift *what, bool all, bool had)
{
    const struct conf_user *user = t->conn ? t->conn->session.user : NULL;
    const char *name = user ? user->name : "";
    if (all)
        log_warn("floors.lifted", "user=%s all=1", log_q(name));
    else if (what->key.size > 0)
        log_warn("floors.lifted", "user=%s key=%s had=%d", log_q(name), log_key(what->key),
                 (int)had);
    else
        log_warn("floors.lifted", "user=%s match=%s", log_q(name), log_key(what->match));
}

void bulk_change_lift_floors(const struct target *t, struct params *p)
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
