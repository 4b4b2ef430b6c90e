/* A snapshot made ready on a loader thread: its backends, scripts, capacities and admissions. */
#include "load/edition.h"

#include "load/admission.h"
#include "load/capacity.h"

#include <stdlib.h>

/* The last reference is gone. */
static void edition_free(struct edition *edition)
{
    list_remove(&edition->link);
    for (size_t i = 0; edition->admissions && i < edition->snapshot->conf->loader_count; i++)
        admission_fini(&edition->admissions[i]);
    for (size_t i = 0; edition->capacities && i <= edition->snapshot->conf->backend_count; i++)
        capacity_fini(&edition->capacities[i]);
    runtime_unref(edition->runtime);
    runtime_unref(edition->ending);
    if (edition->backends)
        for (size_t i = 0; i < edition->snapshot->conf->backend_count; i++)
            if (edition->backends[i])
                backend_unref(edition->backends[i]);
    free(edition->backends);
    free(edition->capacities);
    free(edition->admissions);
    snapshot_unref(edition->snapshot);
    free(edition);
}

/* An unchanged backend keeps its connections. */
static struct backend *backend_kept(const struct edition *before, const struct conf_backend *wanted)
{
    if (!before)
        return NULL;
    const struct conf *conf = before->snapshot->conf;
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf_backend_same(&conf->backends[i], wanted))
            return backend_ref(before->backends[i]);
    return NULL;
}

static int open_backends(struct edition *edition, const struct edition *before, struct err *e)
{
    const struct conf *conf = edition->snapshot->conf;
    edition->backends = calloc(conf->backend_count + 1, sizeof *edition->backends);
    if (!edition->backends)
        return err_set(e, ERR_NOMEM, "no memory for %zu backends", conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *b = &conf->backends[i];
        edition->backends[i] = backend_kept(before, b);
        if (edition->backends[i])
            continue;
        int64_t share = (b->pool + conf->loader_threads - 1) / conf->loader_threads;
        int rc = backend_new(&edition->backends[i], edition->thread->loop, b,
                             (unsigned)(share > 0 ? share : 1), e);
        if (rc != 0) {
            err_prefix(e, "%s:%d", b->file, b->line);
            return rc;
        }
    }
    return 0;
}

static void open_capacity(struct capacity *c, struct list *startable, const struct conf_backend *b,
                          int64_t threads)
{
    if (b)
        capacity_init(c, startable, binding_share(b->min_loads, threads),
                      binding_share(b->max_loads, threads));
    else
        capacity_init(c, startable, UINT32_MAX, UINT32_MAX);
}

static int open_admissions(struct edition *edition, struct list *startable, struct err *e)
{
    const struct conf *conf = edition->snapshot->conf;
    edition->capacities = calloc(conf->backend_count + 1, sizeof *edition->capacities);
    struct admission *admissions = calloc(conf->loader_count + 1, sizeof *admissions);
    if (!edition->capacities || !admissions) {
        free(edition->capacities);
        free(admissions);
        edition->capacities = NULL;
        return err_set(e, ERR_NOMEM, "no memory for %zu loaders", conf->loader_count);
    }
    for (size_t i = 0; i <= conf->backend_count; i++)
        open_capacity(&edition->capacities[i], startable,
                      i < conf->backend_count ? &conf->backends[i] : NULL, conf->loader_threads);
    edition->admissions = admissions;
    for (size_t i = 0; i < conf->loader_count; i++)
        admission_init(&admissions[i], edition, i);
    return 0;
}

/* What its script does is known of one whose text is the same. */
static void carry_facts(const struct binding *to, const struct binding *from)
{
    const struct runtime *now = to->edition->runtime, *before = from->edition->runtime;
    if (strcmp(to->conf->pattern, from->conf->pattern) == 0 && binding_facts(from)->gives_tags &&
        runtime_fingerprint(now, to->script) == runtime_fingerprint(before, from->script))
        binding_facts(to)->gives_tags = true;
}

static bool same_source(const struct binding *a, const struct binding *b)
{
    return strcmp(a->conf->pattern, b->conf->pattern) == 0 && a->backend >= 0 && b->backend >= 0 &&
           a->edition->backends[a->backend] == b->edition->backends[b->backend];
}

/* A loader whose pattern and backend stay the same keeps its breaker; a backend that is kept, with
 * the same bounds, what is known of how much it bears. */
static void carry(struct edition *edition, const struct edition *before)
{
    runtime_carry_accounts(edition->runtime, before->runtime);
    for (size_t i = 0; i < edition->snapshot->conf->backend_count; i++)
        for (size_t k = 0; k < before->snapshot->conf->backend_count; k++)
            if (edition->backends[i] == before->backends[k])
                edition->capacities[i].limit = before->capacities[k].limit;
    for (size_t i = 0; i < edition->snapshot->conf->loader_count; i++)
        for (size_t k = 0; k < before->snapshot->conf->loader_count; k++) {
            struct admission *to = &edition->admissions[i];
            const struct admission *from = &before->admissions[k];
            carry_facts(&to->binding, &from->binding);
            if (same_source(&to->binding, &from->binding))
                admission_carry_breaker(to, from);
        }
}

void edition_carry(struct edition *edition, struct edition *before)
{
    if (before)
        carry(edition, before);
    for (size_t i = 0; before && i < before->snapshot->conf->loader_count; i++)
        before->admissions[i].retired = true;
    for (size_t i = 0; i < edition->snapshot->conf->loader_count; i++)
        admission_publish(&edition->admissions[i]);
}

int edition_new(struct edition **out, const struct edition_wanted *w, struct err *e)
{
    *out = NULL;
    struct edition *edition = calloc(1, sizeof *edition);
    if (!edition)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    list_init(&edition->link);
    edition->thread = w->thread;
    edition->refs = 1;
    edition->end = edition_free;
    edition->snapshot = snapshot_ref(w->snapshot);
    int rc = open_admissions(edition, w->startable, e);
    if (rc == 0)
        rc = open_backends(edition, w->before, e);
    if (rc == 0)
        rc = edition_vm_read(edition, NULL, &edition->runtime, e);
    if (rc != 0) {
        edition_unref(edition);
        return rc;
    }
    *out = edition;
    return 0;
}
