/* What a journal does with time: which files it keeps, for whom, and when a broken one is tried
 * again. */
#include "state/journal_priv.h"

#include "base/log.h"

#define AGAIN_MS   10000 /* a broken one is left alone */
#define AGE_PARTS  8     /* a file takes so much of the time that records are kept, */
#define SIZE_PARTS 16    /* and about so much of the bytes */

/* ---- snapshots ---- */

int journal_mark(struct journal *j, int64_t now_ms, int64_t wall_ms, struct journal_position *out,
                 struct err *e)
{
    struct journal_stats stats;
    journal_read_stats(j, &stats);
    int rc = stats.broken ? journal_begin_anew(j, now_ms, wall_ms, e) : 0;
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&j->writing);
    *out = j->next;
    j->marked = out->number;
    pthread_mutex_unlock(&j->writing);
    return 0;
}

bool journal_rely(struct journal *j, const struct journal_position *p)
{
    pthread_mutex_lock(&j->writing);
    bool holds = p && !j->broken && j->next.chain == p->chain;
    if (holds)
        j->relied = p->number;
    j->marked = 0;
    pthread_mutex_unlock(&j->writing);
    return holds;
}

/* ---- ageing ---- */

enum need { NEED_NONE, NEED_NAMED, NEED_COMING };

/* Which snapshot needs the file. crowded: the one that has a name gives way. */
static enum need need_of(struct journal *j, uint64_t number, bool crowded)
{
    pthread_mutex_lock(&j->writing);
    bool coming = j->marked != 0 && number >= j->marked;
    bool named = j->relied != 0 && number >= j->relied;
    if (named && crowded)
        j->relied = 0;
    pthread_mutex_unlock(&j->writing);
    return named ? NEED_NAMED : coming ? NEED_COMING : NEED_NONE;
}

/* Whether the file may go. For room the snapshot that has a name goes first. */
static bool may_go(struct journal *j, uint64_t number, bool crowded)
{
    enum need need = need_of(j, number, crowded);
    if (need != NEED_NAMED || !crowded)
        return need == NEED_NONE;
    log_warn("journal.full",
             "path=%s error=\"the journal since the snapshot has no room: the snapshot goes\"",
             log_q(state_dir_path(j->dir)));
    if (j->relies)
        state_dir_remove(j->dir, j->relies, NULL);
    return need_of(j, number, crowded) == NEED_NONE;
}

static void remove_oldest(struct journal *j)
{
    char name[JOURNAL_NAME_SIZE];
    struct err e;
    struct journal_kept oldest = j->kept[0];
    journal_file_name(name, oldest.number);
    if (state_dir_remove(j->dir, name, &e) != 0)
        log_warn("journal.remove", "path=%s error=%s", log_q(state_dir_path(j->dir)),
                 log_q(e.text));
    j->kept_count--;
    memmove(j->kept, j->kept + 1, j->kept_count * sizeof j->kept[0]);
    pthread_mutex_lock(&j->writing);
    j->kept_bytes -= oldest.bytes;
    j->stats.files = j->kept_count + 1;
    pthread_mutex_unlock(&j->writing);
}

static void remove_old(struct journal *j, int64_t now_ms, const struct journal_stats *stats)
{
    bool crowded = stats->file_bytes > j->max_bytes / 4 * 3;
    while (j->kept_count > 0 && now_ms - j->kept[0].until_ms >= j->keep_ms &&
           may_go(j, j->kept[0].number, crowded))
        remove_oldest(j);
}

/* Whether its last file has all that it is to have; one without a batch has not. */
static bool is_full(struct journal *j, int64_t now_ms)
{
    pthread_mutex_lock(&j->writing);
    bool full =
        now_ms - j->since_ms >= j->keep_ms / AGE_PARTS || j->bytes >= j->max_bytes / SIZE_PARTS;
    bool empty = j->next.seq == j->begin_seq;
    pthread_mutex_unlock(&j->writing);
    return full && !empty && j->kept_count < JOURNAL_KEPT_MOST;
}

void journal_tick(struct journal *j, int64_t now_ms, int64_t wall_ms)
{
    struct journal_stats stats;
    struct err e;
    journal_read_stats(j, &stats);
    if (stats.broken) {
        if (j->broken_since_ms == 0)
            j->broken_since_ms = now_ms;
        else if (now_ms - j->broken_since_ms >= AGAIN_MS &&
                 journal_begin_anew(j, now_ms, wall_ms, &e) != 0)
            j->broken_since_ms = now_ms;
        return;
    }
    remove_old(j, now_ms, &stats);
    if (is_full(j, now_ms) && journal_next_file(j, now_ms, wall_ms, &e) != 0)
        log_warn("journal.next", "path=%s error=%s", log_q(state_dir_path(j->dir)), log_q(e.text));
}
