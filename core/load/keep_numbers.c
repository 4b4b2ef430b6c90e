#include "load/keep_numbers.h"

void keep_numbers_init(struct keep_numbers *n, uint64_t life)
{
    pthread_mutex_init(&n->lock, NULL);
    n->counts = (struct keep_counts){.life = life};
}

void keep_numbers_fini(struct keep_numbers *n)
{
    pthread_mutex_destroy(&n->lock);
}

void keep_numbers_started(struct keep_numbers *n, const struct keep_restored *restored,
                          int64_t downtime_ms, uint64_t journal_records)
{
    pthread_mutex_lock(&n->lock);
    n->counts.restored = *restored;
    n->counts.downtime_ms = downtime_ms;
    n->counts.journal_records = journal_records;
    pthread_mutex_unlock(&n->lock);
}

void keep_numbers_saved(struct keep_numbers *n, const struct keep_saved *saved, int64_t wall_ms)
{
    pthread_mutex_lock(&n->lock);
    if (saved) {
        n->counts.snapshots++;
        n->counts.saved = *saved;
        n->counts.saved_wall_ms = wall_ms;
    } else {
        n->counts.snapshot_failures++;
    }
    pthread_mutex_unlock(&n->lock);
}

struct keep_counts keep_numbers_read(struct keep_numbers *n)
{
    pthread_mutex_lock(&n->lock);
    struct keep_counts counts = n->counts;
    pthread_mutex_unlock(&n->lock);
    return counts;
}
