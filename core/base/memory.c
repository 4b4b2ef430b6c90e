#include "base/memory.h"

#include <stddef.h>

/* jemalloc's, where the program was linked with it. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
    __attribute__((weak));

static const uint64_t *counter(void)
{
    static const uint64_t nothing = 0;
    static _Thread_local const uint64_t *at;
    size_t size = sizeof at;
    if (!at && (!mallctl || mallctl("thread.allocatedp", &at, &size, NULL, 0) != 0))
        at = &nothing;
    return at;
}

bool memory_is_counted(void)
{
    return *counter() != 0; /* a thread that asks has allocated */
}

uint64_t memory_allocated(void)
{
    return *counter();
}
