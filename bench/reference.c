#include "reference.h"

#include <err.h>
#include <stdbool.h>
#include <stdlib.h>

struct link {
    uint32_t before, after;
    bool linked;
};

/* The link after the last key's is the head: after it the oldest, before it the newest. */
static void link_newest(struct link *links, uint32_t head, uint32_t key)
{
    uint32_t newest = links[head].before;
    links[key] = (struct link){.before = newest, .after = head, .linked = true};
    links[newest].after = key;
    links[head].before = key;
}

static void unlink_key(struct link *links, uint32_t key)
{
    links[links[key].before].after = links[key].after;
    links[links[key].after].before = links[key].before;
    links[key].linked = false;
}

size_t reference_misses(enum reference policy, const struct trace *t, const size_t *costs,
                        size_t capacity_bytes)
{
    uint32_t head = (uint32_t)t->distinct;
    struct link *links = calloc(t->distinct + 1, sizeof *links);
    if (!links)
        errx(2, "no memory for %zu keys", t->distinct);
    links[head] = (struct link){.before = head, .after = head};
    size_t used = 0, misses = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t key = t->requests[i];
        if (links[key].linked) {
            if (policy == REFERENCE_LRU) {
                unlink_key(links, key);
                link_newest(links, head, key);
            }
            continue;
        }
        misses++;
        if (costs[key] > capacity_bytes)
            continue;
        while (used + costs[key] > capacity_bytes) {
            uint32_t oldest = links[head].after;
            unlink_key(links, oldest);
            used -= costs[oldest];
        }
        used += costs[key];
        link_newest(links, head, key);
    }
    free(links);
    return misses;
}
