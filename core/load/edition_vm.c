/* The VM of an edition: its scripts are read, and where it stays full another one takes its place,
 * as after a reload of the same files. Loads in the air end where they began, unless that one is
 * replaced too: there are two VMs of an edition at most. */
#include "load/edition.h"

#include "base/clock.h"
#include "base/log.h"
#include "load/admission.h"

#include <stdlib.h>

#define AGAIN_MS 1000 /* between two tries, where the scripts could not be read */

static void edition_vm_full(void *arg, const struct runtime_full *f);

static int read_loaders(struct edition *edition, struct runtime *rt, struct err *e)
{
    const struct conf *conf = edition->snapshot->conf;
    int *scripts = calloc(conf->loader_count + 1, sizeof *scripts);
    int rc = scripts ? 0 : err_set(e, ERR_NOMEM, "no memory for %zu loaders", conf->loader_count);
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++)
        rc = runtime_add_loader(rt, &conf->loaders[i], &scripts[i], e);
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++)
        binding_know_script(&edition->admissions[i].binding, rt, scripts[i]);
    free(scripts);
    return rc;
}

int edition_vm_read(struct edition *edition, const struct runtime *again, struct runtime **out,
                    struct err *e)
{
    const struct conf *conf = edition->snapshot->conf;
    struct runtime_options o = {
        .loop = edition->thread->loop,
        .scripts_dir = conf->scripts_dir,
        .lua_dir = conf->lua_dir,
        .memory_max = (size_t)conf->script_memory,
        .run_cpu_ms = conf->script_cpu_ms,
        .run_calls = conf->script_calls,
        .value_max = (size_t)conf->max_value,
        .backends = edition->backends,
        .backend_confs = conf->backends,
        .backend_count = conf->backend_count,
        .full = edition_vm_full,
        .arg = edition,
        .again = again,
    };
    int rc = runtime_new(out, &o, e);
    if (rc != 0 || (rc = read_loaders(edition, *out, e)) == 0)
        return rc;
    runtime_unref(*out);
    *out = NULL;
    return rc;
}

void edition_vm_reap(struct edition *edition)
{
    struct runtime *before = edition->ending;
    if (!before || !runtime_is_idle(before))
        return;
    runtime_absorb(edition->runtime, before);
    edition->ending = NULL;
    runtime_unref(before);
}

void edition_vm_read_stats(const struct edition *edition, struct runtime_stats *out)
{
    runtime_read_stats(edition->runtime, out);
    if (!edition->ending)
        return;
    struct runtime_stats of_ending;
    runtime_read_stats(edition->ending, &of_ending);
    runtime_add_stats(out, &of_ending);
}

/* What still runs in the one before the last fails as for lack of memory, and is loaded again. */
static void end_before_last(struct edition *edition, struct runtime *before)
{
    if (!before)
        return;
    runtime_end_runs(before);
    runtime_absorb(edition->runtime, before);
    runtime_unref(before);
}

static void put_in_place(struct edition *edition, struct runtime *next)
{
    struct runtime *before = edition->ending;
    runtime_replace(next, edition->runtime);
    edition->ending = edition->runtime;
    edition->runtime = next;
    end_before_last(edition, before);
}

static void edition_vm_full(void *arg, const struct runtime_full *f)
{
    struct edition *edition = arg;
    struct err e;
    struct runtime *next;
    if (edition->replacing || edition->thread->stopping || clock_ms() < edition->replace_from_ms)
        return;
    edition_ref(edition);
    edition->replacing = true;
    if (edition_vm_read(edition, edition->runtime, &next, &e) == 0) {
        log_warn("script.vm_replaced", "script=%s kept_bytes=%zu used_bytes=%zu max_bytes=%zu",
                 f->script ? log_q(f->script) : "none", f->kept_bytes, f->used_bytes, f->max_bytes);
        put_in_place(edition, next);
    } else {
        edition->replace_from_ms = clock_ms() + AGAIN_MS;
        log_warn("script.vm_kept", "script=%s kept_bytes=%zu error=%s",
                 f->script ? log_q(f->script) : "none", f->kept_bytes, log_q(e.text));
    }
    edition->replacing = false;
    edition_unref(edition);
}
