/* The script of a loader as the source of its loads. */
#include "load/source.h"

#include "load/binding.h"

static int source_script_start(const struct binding *b, const struct source_request *q,
                               struct run **run, struct err *e)
{
    const struct run_key *first = &q->keys[0];
    struct run_request r = {
        .what = q->many ? RUN_LOAD_MANY : RUN_LOAD,
        .script = b->script,
        .keys = q->keys,
        .key_count = q->count,
        .key = first->key,
        .captures = first->captures,
        .capture_count = first->capture_count,
        .stars = b->stars,
        .backend = q->primary ? b->primary : b->backend,
        .pattern = b->conf->pattern,
        .attempt = q->attempt,
        .deadline_ms = q->deadline_ms,
        .in_turn = q->attempt == 1,
        .stored = first->stored,
        .has_version = first->has_version,
        .version = first->version,
        .done = q->done,
        .arg = q->arg,
    };
    return run_start(run, b->edition->runtime, &r, e);
}

static void source_script_cancel(struct run *run)
{
    (void)run_cancel(run);
}

const struct source source_script = {
    .start = source_script_start,
    .cancel = source_script_cancel,
    .time_out = run_time_out,
};
