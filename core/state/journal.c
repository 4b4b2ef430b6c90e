/* What threads write: lanes, batches, and what becomes of a journal that cannot be written. */
#include "state/journal_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "state/journal_record.h"
#include "state/le.h"

#include <errno.h>
#include <unistd.h>

#define BATCH_BEGIN (BLOCK_HEADER + 8) /* the block's header, and the time */
#define LANE_KEEPS  ((size_t)64 << 10)

/* ---- breaking ---- */

bool journal_forget(struct journal *j)
{
    char name[JOURNAL_NAME_SIZE];
    if (j->broken)
        return false;
    j->broken = true;
    j->stats.failures++;
    if (j->relies)
        state_dir_remove(j->dir, j->relies, NULL);
    /* The file before it says that there is one more. An empty one is as good as none. */
    journal_file_name(name, j->next.number);
    bool gone = state_dir_remove(j->dir, name, NULL) == 0 || ftruncate(j->fd, 0) == 0;
    if (gone && j->sync)
        gone = state_dir_sync(j->dir, NULL) == 0;
    j->believed = !gone;
    return true;
}

void journal_say_broken(const struct journal *j, const char *what, int reason)
{
    log_error("journal.broken", "path=%s error=%s consequence=%s", log_q(state_dir_path(j->dir)),
              log_q(reason ? strerror(reason) : what),
              j->believed ? "\"it cannot be removed: remove it before the next start\""
                          : "\"after a crash nothing from before it is trusted\"");
}

static void journal_break(struct journal *j, const char *what, int reason)
{
    pthread_mutex_lock(&j->writing);
    bool first = journal_forget(j);
    pthread_mutex_unlock(&j->writing);
    if (first)
        journal_say_broken(j, what, reason);
}

/* ---- writing ---- */

int journal_write_all(int fd, const struct buf *bytes)
{
    size_t done = 0;
    while (done < bytes->size) {
        ssize_t n = write(fd, bytes->data + done, bytes->size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

/* Of one batch. What it ended with is an errno, or OVER_BOUND. */
#define OVER_BOUND (-1)

static int write_batch(struct journal *j, struct journal_lane *l, uint64_t *seq)
{
    struct buf *batch = &l->gathered;
    if (j->bytes + j->kept_bytes + batch->size > j->max_bytes)
        return OVER_BOUND;
    int reason = block_close(batch, 0, BLOCK_BATCH, j->next.seq, l->count) == 0
                     ? journal_write_all(j->fd, batch)
                     : EFBIG;
    if (reason != 0)
        return reason;
    *seq = j->next.seq++;
    j->bytes += batch->size;
    j->stats.writes++;
    j->stats.records += l->count;
    j->stats.bytes += batch->size;
    return 0;
}

/* Until the batch is on the disk: by this thread, or by one that began to wait after it was
 * written. 0, or an errno. */
static int sync_batch(struct journal *j, uint64_t seq)
{
    int reason = 0;
    pthread_mutex_lock(&j->syncing);
    if (j->synced <= seq) {
        pthread_mutex_lock(&j->writing);
        uint64_t written = j->next.seq;
        int fd = j->fd;
        pthread_mutex_unlock(&j->writing);
        reason = fdatasync(fd) == 0 ? 0 : errno;
        if (reason == 0)
            j->synced = written;
    }
    pthread_mutex_unlock(&j->syncing);
    return reason;
}

void journal_write_lane(struct journal_lane *l)
{
    struct journal *j = l->journal;
    uint64_t seq = 0;
    le_put64(l->gathered.data + BLOCK_HEADER, (uint64_t)clock_ms());
    pthread_mutex_lock(&j->writing);
    bool writes = !j->broken;
    int reason = writes ? write_batch(j, l, &seq) : 0;
    bool first = reason != 0 && journal_forget(j);
    pthread_mutex_unlock(&j->writing);
    l->count = 0;
    buf_clear(&l->gathered);
    if (l->gathered.capacity > LANE_KEEPS)
        buf_fini(&l->gathered);
    if (first)
        journal_say_broken(j, "the journal would have more bytes than it may",
                           reason == OVER_BOUND ? 0 : reason);
    else if (writes && reason == 0 && j->sync && (reason = sync_batch(j, seq)) != 0)
        journal_break(j, NULL, reason);
}

/* ---- lanes ---- */

void journal_lane_init(struct journal_lane *l, struct journal *j)
{
    *l = (struct journal_lane){.journal = j};
    buf_init(&l->gathered, 0);
}

void journal_lane_fini(struct journal_lane *l)
{
    buf_fini(&l->gathered);
    l->count = 0;
}

void journal_note(struct journal_lane *l, const struct journal_record *r)
{
    struct buf *b = &l->gathered;
    if (!l->journal)
        return;
    if (l->count == 0) {
        buf_clear(b);
        if (buf_room(b, BATCH_BEGIN))
            b->size = BATCH_BEGIN;
    }
    if (b->size == 0 || journal_record_append(b, r) != 0) {
        journal_break(l->journal, "no memory for a record", 0);
        return;
    }
    l->count++;
    if (b->size >= JOURNAL_LANE_BYTES)
        journal_flush(l);
}

void journal_read_stats(struct journal *j, struct journal_stats *out)
{
    pthread_mutex_lock(&j->writing);
    *out = j->stats;
    out->broken = j->broken;
    out->file_bytes = j->bytes + j->kept_bytes;
    pthread_mutex_unlock(&j->writing);
}
