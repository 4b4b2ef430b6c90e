#include "load/write_entry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"
#include "load/jitter.h"
#include "load/outcome.h"

static void drop_entry(struct write_run *run, const int64_t *version)
{
    struct write *w = run->write;
    bool dropped;
    struct err e;
    struct invalidation i = {
        .key = w->key,
        .hash = w->hash,
        .now_ms = clock_ms(),
        .version = version,
        .floor_ttl_ms = run->binding->edition->snapshot->conf->floor_ttl_ms,
        .gone = version && w->what == WRITE_DELETE,
    };
    enum news_cause cause = w->what == WRITE_PUT ? CAUSE_PUT : CAUSE_DELETE;
    if (change_invalidate(run->thread->changes, &i, cause, &dropped, &e) != 0)
        log_warn("write.floor", "key=%s error=%s", log_key(w->key), log_q(e.text));
}

/* It may still take place: nothing that is loaded in the time that it could need is kept. */
static void doubt_entry(struct write_run *run)
{
    struct write *w = run->write;
    struct invalidation i = {.key = w->key, .hash = w->hash, .now_ms = clock_ms()};
    int64_t until_ms = i.now_ms + run->binding->conf->policy.write_timeout_ms;
    if (change_doubt(run->thread->changes, &i, until_ms) != 0)
        log_warn("write.doubt", "key=%s error=\"no memory\"", log_key(w->key));
}

/* Where save says nothing of tags. false: that is not to be stored. */
static bool tags_of(struct write_run *run, const struct run_result *r, struct entry_tags *tags)
{
    const struct marks *m = run->thread->changes->marks;
    struct loader_facts *facts = binding_facts(run->binding);
    outcome_read_tags(m, &r->tags, tags);
    if (r->has_tags)
        return true;
    outcome_any_tag(m, tags);
    if (!facts->gives_tags)
        return true;
    run->write->left = LEFT_UNTAGGED;
    metrics_inc(run->thread->metrics, M_WRITES_UNTAGGED);
    if (snapshot_once(&facts->told_untagged))
        log_warn("write.untagged",
                 "pattern=%s key=%s error=\"loads give tags, and save returned none: the entry is "
                 "dropped; return tags with the row, or tags = {}\"",
                 log_q(run->binding->conf->pattern), log_key(run->write->key));
    return false;
}

static void store_entry(struct write_run *run, const struct run_result *r,
                        const struct entry_tags *tags)
{
    struct write *w = run->write;
    struct thread_state *t = run->thread;
    const struct policy *p = &run->binding->conf->policy;
    struct put put = {
        .key = w->key,
        .hash = w->hash,
        .value = buf_slice(&r->value),
        .has_version = true,
        .version = r->version,
        .ttl_ms = jitter_ms(r->ttl_ms >= 0 ? r->ttl_ms : p->ttl_ms, p->jitter, &t->rng),
        .stale_ttl_ms =
            jitter_ms(r->stale_ttl_ms >= 0 ? r->stale_ttl_ms : p->stale_ttl_ms, p->jitter, &t->rng),
        .keep_ms = p->stale_if_error_ms,
        .tags = tags->slots,
        .tag_count = tags->count,
        .tag_texts = tags->texts,
        .since = run->since,
    };
    if (binding_is_cut(run->binding))
        put.ttl_ms = TTL_OVER;
    put.refresh = snapshot_refresh(run->binding->edition->snapshot, run->binding->index, put.ttl_ms,
                                   put.load_us, 0, &t->rng);
    struct written written = {
        .put = &put,
        .token = run->token,
        .now_ms = clock_ms(),
        .floor_ttl_ms = run->binding->edition->snapshot->conf->floor_ttl_ms,
    };
    if (change_write(t->changes, &written, &w->stored) != 0)
        log_warn("write.floor", "key=%s error=\"no memory\"", log_key(w->key));
    if (w->stored)
        metrics_inc(t->metrics, M_WRITES_STORED);
    else if (store_size_of(&put) > store_largest(t->store, w->hash))
        w->left = LEFT_TOO_LARGE;
}

/* What an older configuration's script made is not stored. */
static bool is_current(const struct write_run *run)
{
    return run->binding->edition->snapshot->generation == run->thread->answers.generation;
}

void write_entry_succeeded(struct write_run *run, const struct run_result *r)
{
    struct write *w = run->write;
    const char *mode = run->binding->conf->write;
    w->has_version = r->has_version;
    w->version = r->version;
    if (r->effect == EFFECT_UNKNOWN) { /* the script goes by another query than the lost one */
        if (r->has_version)
            drop_entry(run, &r->version); /* for the floor: that one is answered */
        doubt_entry(run);
        return;
    }
    if (strcmp(mode, "none") == 0)
        return;
    bool through = strcmp(mode, "through") == 0 && is_current(run);
    struct entry_tags tags;
    if (through && r->outcome == RUN_FOUND && r->has_version && !r->no_store &&
        tags_of(run, r, &tags)) {
        store_entry(run, r, &tags);
        return;
    }
    if (r->has_version)
        drop_entry(run, &r->version); /* for the floor */
    drop_entry(run, NULL);            /* and what is stored goes whatever its version */
}

/* Only what was sent and not answered may still take place. What the source has answered is known:
 * the error is what the client gets. Where the source undid each query, or none was sent, nothing
 * has happened, and the entry stays. */
void write_entry_failed(struct write_run *run, const struct err *err, enum run_effect effect)
{
    static const char *const effects[] = {"none", "some", "unknown"};
    struct write *w = run->write;
    struct metrics *m = run->thread->metrics;
    char key[SHOW_KEY_TEXT];
    show_key(key, w->key);
    if (err->code == ERR_WRITE_UNKNOWN) /* the script says so */
        effect = EFFECT_UNKNOWN;
    log_warn("write.failed", "method=%s pattern=%s key=%s effect=%s code=%s error=%s",
             write_method(w), log_q(run->binding->conf->pattern), log_key(w->key), effects[effect],
             err_word(err), log_q(err->text));
    metrics_inc(m, M_WRITES_FAILED);
    w->err = *err;
    if (effect == EFFECT_UNKNOWN) {
        metrics_inc(m, M_WRITES_UNKNOWN);
        if (err->code != ERR_WRITE_UNKNOWN)
            err_set(&w->err, ERR_WRITE_UNKNOWN, "%s: %s", err_word(err), err->text);
        doubt_entry(run);
    } else if (effect == EFFECT_SOME) {
        drop_entry(run, NULL);
    }
    err_prefix(&w->err, "%s", key);
}
