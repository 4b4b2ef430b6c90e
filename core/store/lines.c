#include "store/lines.h"

#include "store/heap.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE_LINES (HEAP_PAGE / LINE_BYTES)
#define STEP_LINES (16 * PAGE_LINES) /* had from the system at a time */

/* A few pages more than there may be lines: the system puts one array before the other, and they
 * shall not all begin in the same sets of the caches and of the TLB. */
#define RANGE_BYTES (LINES_MOST * LINE_BYTES + 3 * HEAP_PAGE)

int lines_init(struct lines *l)
{
    void *at =
        mmap(NULL, RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *l = (struct lines){.base = at == MAP_FAILED ? NULL : at};
    if (!l->base)
        return ERR_NOMEM;
    madvise(at, RANGE_BYTES, MADV_NOHUGEPAGE); /* a kernel without them refuses */
    return 0;
}

void lines_fini(struct lines *l)
{
    if (l->base)
        munmap(l->base, RANGE_BYTES);
    *l = (struct lines){.base = NULL};
}

int lines_reserve(struct lines *l, size_t count)
{
    if (count <= l->usable)
        return 0;
    size_t more = (count - l->usable + STEP_LINES - 1) / STEP_LINES * STEP_LINES;
    if (count > LINES_MOST ||
        mprotect(lines_at(l, l->usable), more * LINE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return ERR_NOMEM;
    l->usable += more;
    return 0;
}

void *lines_push(struct lines *l)
{
    void *line = lines_at(l, l->count);
    if (l->count == l->touched)
        l->touched += PAGE_LINES; /* the system's, of zeros */
    else
        memset(line, 0, LINE_BYTES);
    l->count++;
    return line;
}

/* What lies above the page that follows the last one in use goes back. */
static void trim(struct lines *l)
{
    size_t kept = (l->count + PAGE_LINES - 1) / PAGE_LINES * PAGE_LINES + PAGE_LINES;
    if (l->touched > kept &&
        madvise(lines_at(l, kept), (l->touched - kept) * LINE_BYTES, MADV_DONTNEED) == 0)
        l->touched = kept;
}

void lines_pop(struct lines *l)
{
    l->count--;
    trim(l);
}

void lines_clear(struct lines *l)
{
    l->count = 0;
    trim(l);
}

size_t lines_bytes(const struct lines *l)
{
    return l->touched * LINE_BYTES;
}

size_t lines_growth(const struct lines *l)
{
    return l->count < l->touched ? 0 : HEAP_PAGE;
}
