#include "load/binding.h"

#include "load/capacity.h"

void binding_init(struct binding *b, struct edition *edition, size_t index)
{
    const struct conf *conf = edition->snapshot->conf;
    *b = (struct binding){
        .edition = edition,
        .thread = edition->thread,
        .index = (int)index,
        .conf = &conf->loaders[index],
        .counters = snapshot_counters(edition->snapshot, edition->thread->index, index),
        .source = &source_script,
        .script = -1,
        .batch_max = 1,
    };
    glob_stars(slice_str(b->conf->pattern), b->stars);
    b->backend = b->conf->backend ? conf_backend_index(conf, b->conf->backend) : -1;
    b->capacity = &edition->capacities[b->backend >= 0 ? (size_t)b->backend : conf->backend_count];
    const char *primary = b->backend >= 0 ? conf->backends[b->backend].primary : NULL;
    b->primary = primary ? conf_backend_index(conf, primary) : -1;
    int feed = snapshot_feed_of(conf, b->conf);
    b->feed = feed >= 0 ? &edition->snapshot->backends[feed]->feed : NULL;
}

void binding_know_script(struct binding *b, const struct runtime *rt, int script)
{
    b->script = script;
    bool many = runtime_has(rt, script, RUN_LOAD_MANY);
    b->many_only = many && !runtime_has(rt, script, RUN_LOAD);
    b->can_write = runtime_has(rt, script, RUN_SAVE) || runtime_has(rt, script, RUN_REMOVE);
    b->batch_max = many ? (uint32_t)b->conf->policy.batch_max : 1;
    loader_facts_set_print(binding_facts(b), b->conf->sql ? 0 : runtime_fingerprint(rt, script));
}
