#include "serve/ledger.h"

#include "store/store.h"

#include <stdlib.h>
#include <string.h>

int ledger_new(struct ledger **out, size_t threads, struct err *e)
{
    *out = NULL;
    struct ledger *l = aligned_alloc(_Alignof(struct ledger), sizeof *l);
    struct ledger_page *pages =
        aligned_alloc(_Alignof(struct ledger_page), threads * sizeof *pages);
    if (!l || !pages) {
        free(l);
        free(pages);
        return err_set(e, ERR_NOMEM, "no memory for the ledger of connections");
    }
    memset(pages, 0, threads * sizeof *pages);
    *l = (struct ledger){.count = threads, .pages = pages};
    *out = l;
    return 0;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    free(l->pages);
    free(l);
}

size_t ledger_results(void)
{
    return entry_outside_bytes();
}

size_t ledger_held(const struct ledger *l)
{
    size_t all = ledger_results();
    for (size_t i = 0; i < l->count; i++)
        all += ledger_read(&l->pages[i].held);
    return all;
}

size_t ledger_kind_held(const struct ledger *l, enum ledger_kind kind)
{
    size_t all = 0;
    for (size_t i = 0; i < l->count; i++)
        all += ledger_read(&l->pages[i].kinds[kind]);
    return all;
}

size_t ledger_connections(const struct ledger *l)
{
    size_t all = 0;
    for (size_t i = 0; i < l->count; i++)
        all += ledger_read(&l->pages[i].connections);
    return all;
}

size_t ledger_unread(const struct ledger *l)
{
    size_t all = 0;
    for (size_t i = 0; i < l->count; i++)
        all += ledger_read(&l->pages[i].unread);
    return all;
}

size_t ledger_largest_beside(const struct ledger *l, const struct ledger_page *p)
{
    size_t most = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t largest = &l->pages[i] == p ? 0 : ledger_read(&l->pages[i].largest);
        most = largest > most ? largest : most;
    }
    return most;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
    static const char *const names[] = {
#define LEDGER_NAME(id, name, text) [id] = name,
        LEDGER_KINDS_TABLE(LEDGER_NAME)
#undef LEDGER_NAME
    };
    return names[kind];
}
