#include "sys/loop_memory.h"

#include <ev.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Atomic(void *) reserve;

/* Fills an empty reserve. */
static void refill(void)
{
    void *none = NULL;
    if (atomic_load_explicit(&reserve, memory_order_relaxed))
        return;
    void *block = malloc(LOOP_MEMORY_RESERVE);
    if (block && !atomic_compare_exchange_strong(&reserve, &none, block))
        free(block);
}

/* As libev wants it: size 0 frees. */
static void *resize(void *block, long size)
{
    if (size == 0) {
        free(block);
        return NULL;
    }
    refill();
    void *moved = realloc(block, (size_t)size);
    if (moved)
        return moved;
    free(atomic_exchange(&reserve, NULL));
    return realloc(block, (size_t)size);
}

void loop_memory_install(void)
{
    refill();
    ev_set_allocator(resize);
}
