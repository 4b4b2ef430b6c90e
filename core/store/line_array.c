#include "store/line_array.h"

#include "store/heap.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE_LINES (HEAP_PAGE / LINE_BYTES)
#define STEP_LINES (16 * PAGE_LINES) /* had from the system at a time */

/* A few pages more than there may be lines: the system puts one array before the other, and they
 * shall not all begin in the same sets of the caches and of the TLB. */
#define RANGE_BYTES (LINE_ARRAY_MOST * LINE_BYTES + 3 * HEAP_PAGE)

int line_array_init(struct line_array *l)
{
    void *at =
        mmap(NULL, RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *l = (struct line_array){.base = at == MAP_FAILED ? NULL : at};
    if (!l->base)
        return ERR_NOMEM;
    madvise(at, RANGE_BYTES, MADV_NOHUGEPAGE); /* a kernel without them refuses */
    return 0;
}

void line_array_fini(struct line_array *l)
{
    if (l->base)
        munmap(l->base, RANGE_BYTES);
    *l = (struct line_array){.base = NULL};
}

int line_array_reserve(struct line_array *l, size_t count)
{
    if (count <= l->usable)
        return 0;
    size_t more = (count - l->usable + STEP_LINES - 1) / STEP_LINES * STEP_LINES;
    if (count > LINE_ARRAY_MOST ||
        mprotect(line_array_at(l, l->usable), more * LINE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return ERR_NOMEM;
    l->usable += more;
    return 0;
}

void *line_array_push(struct line_array *l)
{
    void *line = line_array_at(l, l->count);
    if (l->count == l->touched)
        l->touched += PAGE_LINES; /* the system's, of zeros */
    else
        memset(line, 0, LINE_BYTES);
    l->count++;
    return line;
}

/* What lies above the page that follows the last one in use goes back. */
static void trim(struct line_array *l)
{
    size_t kept = (l->count + PAGE_LINES - 1) / PAGE_LINES * PAGE_LINES + PAGE_LINES;
    if (l->touched > kept &&
        madvise(line_array_at(l, kept), (l->touched - kept) * LINE_BYTES, MADV_DONTNEED) == 0)
        l->touched = kept;
}

void line_array_pop(struct line_array *l)
{
    l->count--;
    trim(l);
}

void line_array_clear(struct line_array *l)
{
    l->count = 0;
    trim(l);
}

size_t line_array_bytes(const struct line_array *l)
{
    return l->touched * LINE_BYTES;
}

size_t line_array_growth(const struct line_array *l)
{
    return l->count < l->touched ? 0 : HEAP_PAGE;
}
