/* One flight: what it was asked for, who holds it, and its outcome. */
#include "load/flight_priv.h"

#include "base/show.h"

#include <stdlib.h>

static char *key_at(struct flight *f)
{
    return (char *)(f->slots + f->slot_count);
}

struct slice flight_key(const struct flight *f)
{
    return slice_of(f->slots + f->slot_count, f->key_size);
}

void flight_ref(struct flight *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void flight_unref(struct flight *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    entry_unref(f->outcome.value);
    free(f->outcome.err);
    free(f);
}

void flight_error(const struct flight *f, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    if (f->outcome.err)
        *e = *f->outcome.err;
    else if (f->outcome.err_code == ERR_OVERLOADED)
        err_set(e, ERR_OVERLOADED,
                "%s: it was loaded, but what clients wait for holds client_memory",
                show_key(text, flight_key(f)));
    else
        err_set(e, f->outcome.err_code, "the load failed");
    e->retry_after_ms = f->outcome.retry_after_ms;
}

struct flight *flight_new(const struct join_request *q, unsigned slots,
                          void (*deliver)(struct message *m, void *owner))
{
    size_t slots_size = slots * sizeof(struct flight_slot);
    struct flight *f = malloc(sizeof *f + slots_size + q->key.size);
    if (!f)
        return NULL;
    memset(f, 0, sizeof *f + slots_size);
    list_init(&f->chain);
    list_init(&f->failed);
    atomic_init(&f->refs, 2); /* the table's and the load's */
    f->hash = q->hash;
    f->token.generation = q->generation;
    f->token.loader = q->loader;
    f->loading = true;
    f->asked.background = !q->waiter;
    f->asked.reason = q->reason;
    f->asked.bulk = q->bulk;
    f->asked.wait_until_ms = q->wait_until_ms;
    f->asked.replaces = q->replaces;
    f->asked.owner = q->owner;
    f->asked.ahead = q->ahead;
    f->asked.primary = q->primary;
    f->slot_count = slots;
    f->key_size = (uint32_t)q->key.size;
    for (unsigned i = 0; i < slots; i++) {
        f->slots[i].flight = f;
        f->slots[i].message.recv = deliver;
        list_init(&f->slots[i].waiters);
    }
    memcpy(key_at(f), q->key.data, q->key.size);
    return f;
}
