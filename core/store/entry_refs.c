/* References to an entry, and where its bytes go with the last one. */
#include "store/entry.h"
#include "store/heap.h"

#include <stdlib.h>

/* A cache line of its own, for the loader threads that add and the I/O threads that take. */
static struct {
    _Alignas(64) _Atomic size_t bytes;
    char rest[64 - sizeof(size_t)];
} outside;

size_t entry_outside_bytes(void)
{
    return atomic_load_explicit(&outside.bytes, memory_order_relaxed);
}

struct entry *entry_new(const struct put *p)
{
    if (!entry_can_hold(p))
        return NULL;
    size_t size = entry_size(p);
    struct entry *e = malloc(size < sizeof(*e) ? sizeof(*e) : size);
    if (!e)
        return NULL;
    e->life = 0;
    entry_shape(e, p);
    e->flags |= ENTRY_OUTSIDE;
    entry_fill(e, p);
    atomic_fetch_add_explicit(&outside.bytes, entry_bytes(e), memory_order_relaxed);
    return e;
}

struct entry *entry_new_value(struct slice packed)
{
    return entry_new(&(struct put){.value = packed});
}

struct entry *entry_new_tagged(const struct put *p)
{
    return entry_new(&(struct put){
        .value = p->value, .tags = p->tags, .tag_count = p->tag_count, .tag_texts = p->tag_texts});
}

struct entry *entry_ref(struct entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

struct entry *entry_hold(struct entry *e)
{
    if (atomic_load_explicit(&e->refs, memory_order_relaxed) < ENTRY_REFS_MAX)
        return entry_ref(e);
    return entry_new_value(entry_value(e));
}

size_t entry_outside_size(const struct entry *e)
{
    return e->flags & ENTRY_OUTSIDE ? entry_bytes(e) : 0;
}

void entry_unref(struct entry *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!(e->flags & ENTRY_OUTSIDE)) {
        heap_return(e);
        return;
    }
    atomic_fetch_sub_explicit(&outside.bytes, entry_bytes(e), memory_order_relaxed);
    free(e);
}
