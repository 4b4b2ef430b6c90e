/* A snapshot made ready on a loader thread: its backends, scripts, turns and gates. */
#include "load/loader_priv.h"

#include <stdlib.h>

struct loader_set *loader_set_ref(struct loader_set *set)
{
    set->refs++;
    return set;
}

void loader_set_unref(struct loader_set *set)
{
    if (!set || --set->refs > 0)
        return;
    list_remove(&set->link);
    for (size_t i = 0; set->gates && i < set->snapshot->conf->loader_count; i++)
        gate_fini(&set->gates[i]);
    for (size_t i = 0; set->turns && i <= set->snapshot->conf->backend_count; i++)
        list_remove(&set->turns[i].marked);
    runtime_unref(set->runtime);
    runtime_unref(set->ending);
    if (set->backends)
        for (size_t i = 0; i < set->snapshot->conf->backend_count; i++)
            if (set->backends[i])
                backend_unref(set->backends[i]);
    free(set->backends);
    free(set->turns);
    free(set->gates);
    snapshot_unref(set->snapshot);
    free(set);
}

/* An unchanged backend keeps its connections. */
static struct backend *backend_kept(struct loader *l, const struct conf_backend *wanted)
{
    if (!l->current)
        return NULL;
    const struct conf *conf = l->current->snapshot->conf;
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf_backend_same(&conf->backends[i], wanted))
            return backend_ref(l->current->backends[i]);
    return NULL;
}

static int open_backends(struct loader_set *set, struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    set->backends = calloc(conf->backend_count + 1, sizeof *set->backends);
    if (!set->backends)
        return err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *b = &conf->backends[i];
        set->backends[i] = backend_kept(set->loader, b);
        if (set->backends[i])
            continue;
        int64_t share = (b->pool + conf->loader_threads - 1) / conf->loader_threads;
        int rc = backend_new(&set->backends[i], set->loader->worker.loop, b,
                             (unsigned)(share > 0 ? share : 1), e);
        if (rc != 0) {
            err_prefix(e, "%s:%d", b->file, b->line);
            return rc;
        }
    }
    return 0;
}

static int read_loaders(struct loader_set *set, struct runtime *rt, struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    int *scripts = calloc(conf->loader_count + 1, sizeof *scripts);
    int rc = scripts ? 0 : err_set(e, ERR_NOMEM, "no memory for %zu loaders", conf->loader_count);
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++)
        rc = runtime_add_loader(rt, set->gates[i].conf, &scripts[i], e);
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++) {
        set->gates[i].script = scripts[i];
        gate_know_script(&set->gates[i], rt);
    }
    free(scripts);
    return rc;
}

int loader_set_read(struct loader_set *set, const struct runtime *again, struct runtime **out,
                    struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    const char **names = calloc(conf->backend_count + 1, sizeof *names);
    if (!names)
        return err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++)
        names[i] = conf->backends[i].name;
    struct runtime_options o = {
        .loop = set->loader->worker.loop,
        .scripts_dir = conf->scripts_dir,
        .lua_dir = conf->lua_dir,
        .memory_max = (size_t)conf->script_memory,
        .run_cpu_ms = conf->script_cpu_ms,
        .run_calls = conf->script_calls,
        .value_max = (size_t)conf->max_value,
        .backends = set->backends,
        .backend_names = names,
        .backend_count = conf->backend_count,
        .full = loader_vm_full,
        .arg = set,
        .again = again,
    };
    int rc = runtime_new(out, &o, e);
    free(names);
    if (rc != 0 || (rc = read_loaders(set, *out, e)) == 0)
        return rc;
    runtime_unref(*out);
    *out = NULL;
    return rc;
}

static int open_gates(struct loader_set *set, struct err *e)
{
    const struct conf *conf = set->snapshot->conf;
    set->turns = calloc(conf->backend_count + 1, sizeof *set->turns);
    struct gate *gates = calloc(conf->loader_count + 1, sizeof *gates);
    if (!set->turns || !gates) {
        free(set->turns);
        free(gates);
        set->turns = NULL;
        return err_set(e, ERR_NOMEM, "no memory for %zu loaders", conf->loader_count);
    }
    for (size_t i = 0; i <= conf->backend_count; i++)
        turns_init(&set->turns[i], set, i < conf->backend_count ? &conf->backends[i] : NULL);
    set->gates = gates;
    for (size_t i = 0; i < conf->loader_count; i++)
        gate_init(&gates[i], set, i);
    return 0;
}

/* What its script does is known of one whose text is the same. */
static void carry_facts(struct gate *to, const struct gate *from)
{
    const struct runtime *now = to->set->runtime, *before = from->set->runtime;
    if (strcmp(to->conf->pattern, from->conf->pattern) == 0 && gate_facts(from)->gives_tags &&
        runtime_fingerprint(now, to->script) == runtime_fingerprint(before, from->script))
        gate_facts(to)->gives_tags = true;
}

/* A probe that is in the air tells the gate that it began at, so the new one lets another through.
 */
static void carry_breaker(struct gate *to, const struct gate *from)
{
    to->breaker = from->breaker;
    breaker_gave_up(&to->breaker);
}

/* A loader whose pattern and backend stay the same keeps its breaker; a backend that is kept, with
 * the same bounds, what is known of how much it bears. */
void loader_set_carry(struct loader_set *set, const struct loader_set *before)
{
    if (!before)
        return;
    for (size_t i = 0; i < set->snapshot->conf->backend_count; i++)
        for (size_t k = 0; k < before->snapshot->conf->backend_count; k++)
            if (set->backends[i] == before->backends[k])
                set->turns[i].limit = before->turns[k].limit;
    for (size_t i = 0; i < set->snapshot->conf->loader_count; i++)
        for (size_t k = 0; k < before->snapshot->conf->loader_count; k++) {
            carry_facts(&set->gates[i], &before->gates[k]);
            if (strcmp(set->gates[i].conf->pattern, before->gates[k].conf->pattern) == 0 &&
                set->gates[i].backend >= 0 && before->gates[k].backend >= 0 &&
                set->backends[set->gates[i].backend] == before->backends[before->gates[k].backend])
                carry_breaker(&set->gates[i], &before->gates[k]);
        }
}

int loader_set_new(struct loader_set **out, struct loader *l, struct snapshot *snapshot,
                   struct err *e)
{
    *out = NULL;
    struct loader_set *set = calloc(1, sizeof *set);
    if (!set)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    list_init(&set->link);
    set->loader = l;
    set->refs = 1;
    set->snapshot = snapshot_ref(snapshot);
    int rc = open_gates(set, e);
    if (rc == 0)
        rc = open_backends(set, e);
    if (rc == 0)
        rc = loader_set_read(set, NULL, &set->runtime, e);
    if (rc != 0) {
        loader_set_unref(set);
        return rc;
    }
    list_push_back(&l->sets, &set->link);
    *out = set;
    return 0;
}
