/* stats, loaders: every number of the server. */
#include "net/commands.h"

#include "net/report_pack.h"
#include "wire/mpw.h"

static struct report report_of(const struct io *io)
{
    return (struct report){
        .snapshot = io->snapshot,
        .store = io->options.store,
        .flights = io->options.flights,
        .ledger = io->options.ledger,
        .kept = io->options.kept,
        .journal = io->changes.all->journal,
        .tier = io->changes.tier,
        .io_threads = io->options.io_count,
        .loader_threads = io->options.loader_count,
        .started_ms = io->options.started_ms,
        .now_ms = io->now_ms,
    };
}

static bool has_options(const struct target *t, struct params *p)
{
    struct err e;
    if (params_options(p, NULL, 0, &e) == 0)
        return false;
    answer_error(t, &e);
    return true;
}

void stats_answer(const struct target *t, struct params *p)
{
    struct report r = report_of(t->io);
    struct report_pack pack;
    struct answer a;
    if (has_options(t, p))
        return;
    report_pack_init(&pack, answer_begin(&a, t));
    pack.sink.enter(&pack.sink, NULL);
    report_walk(&r, &pack.sink);
    pack.sink.leave(&pack.sink);
    answer_done(&a, pack.rc);
}

void stats_loaders(const struct target *t, struct params *p)
{
    struct report r = report_of(t->io);
    struct report_pack pack;
    struct answer a;
    size_t count = r.snapshot->conf->loader_count;
    if (has_options(t, p))
        return;
    report_pack_init(&pack, answer_begin(&a, t));
    pack.rc = mpw_array(pack.out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        report_loader(&r, i, &pack.sink);
    answer_done(&a, pack.rc);
}
