/* A VM that stays full, on a loader thread: another one takes its place in the same set, as after a
 * reload of the same files. Loads in the air end where they began, unless that one is replaced
 * too: there are two VMs of a set at most. */
#include "load/loader_priv.h"

#include "base/clock.h"
#include "base/log.h"

#define AGAIN_MS 1000 /* between two tries, where the scripts could not be read */

void loader_vm_reap(struct loader_set *set)
{
    struct runtime *before = set->ending;
    if (!before || !runtime_is_idle(before))
        return;
    runtime_absorb(set->runtime, before);
    set->ending = NULL;
    runtime_unref(before);
}

void loader_vm_read_stats(const struct loader_set *set, struct runtime_stats *out)
{
    runtime_read_stats(set->runtime, out);
    if (!set->ending)
        return;
    struct runtime_stats of_ending;
    runtime_read_stats(set->ending, &of_ending);
    runtime_add_stats(out, &of_ending);
}

/* What still runs in the one before the last fails as for lack of memory, and is loaded again. */
static void end_before_last(struct loader_set *set, struct runtime *before)
{
    if (!before)
        return;
    runtime_end_runs(before);
    runtime_absorb(set->runtime, before);
    runtime_unref(before);
}

static void put_in_place(struct loader_set *set, struct runtime *next)
{
    struct runtime *before = set->ending;
    runtime_replace(next, set->runtime);
    set->ending = set->runtime;
    set->runtime = next;
    end_before_last(set, before);
    loader_vm_reap(set);
}

void loader_vm_full(void *arg, const struct runtime_full *f)
{
    struct loader_set *set = arg;
    struct err e;
    struct runtime *next;
    if (set->replacing || set->loader->stopping || clock_ms() < set->replace_from_ms)
        return;
    loader_set_ref(set);
    set->replacing = true;
    if (loader_set_read(set, set->runtime, &next, &e) == 0) {
        log_warn("script.vm_replaced", "script=%s kept_bytes=%zu used_bytes=%zu max_bytes=%zu",
                 f->script ? log_q(f->script) : "none", f->kept_bytes, f->used_bytes, f->max_bytes);
        put_in_place(set, next);
    } else {
        set->replace_from_ms = clock_ms() + AGAIN_MS;
        log_warn("script.vm_kept", "script=%s kept_bytes=%zu error=%s",
                 f->script ? log_q(f->script) : "none", f->kept_bytes, log_q(e.text));
    }
    set->replacing = false;
    loader_set_unref(set);
}
