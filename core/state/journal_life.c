/* The files of a journal: how one begins and ends, and with them a journal. */
#include "state/journal_priv.h"

#include "base/hash.h"
#include "base/log.h"
#include "state/journal_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a new file ---- */

static int cannot_begin(const struct journal *j, int reason, struct err *e)
{
    return err_set(e, ERR_IO, "state folder %s: cannot begin a file of the journal: %s",
                   state_dir_path(j->dir), strerror(reason));
}

/* A file without a byte; *fd: the caller's. */
static int make_file(struct journal *j, uint64_t number, int *fd, struct err *e)
{
    char name[JOURNAL_NAME_SIZE];
    journal_file_name(name, number);
    int rc = state_dir_create(j->dir, name, fd, e);
    return rc == 0 && j->sync ? state_dir_sync(j->dir, e) : rc;
}

static void unmake_file(struct journal *j, uint64_t number, int fd)
{
    char name[JOURNAL_NAME_SIZE];
    journal_file_name(name, number);
    if (fd >= 0)
        close(fd);
    state_dir_remove(j->dir, name, NULL);
}

static int begin_file(const struct journal *j, const struct journal_begin *begin, int fd,
                      uint64_t *bytes, struct err *e)
{
    struct buf out;
    buf_init(&out, 0);
    int reason = journal_file_begin(&out, begin) == 0 ? journal_write_all(fd, &out) : ENOMEM;
    if (reason == 0 && j->sync && fdatasync(fd) != 0)
        reason = errno;
    *bytes = out.size;
    buf_fini(&out);
    return reason == 0 ? 0 : cannot_begin(j, reason, e);
}

/* Says in the last file that there is a next one. 0, or an errno. */
static int end_file(struct journal *j)
{
    struct buf out;
    buf_init(&out, 0);
    int reason = journal_file_end(&out, j->next.seq) == 0 ? journal_write_all(j->fd, &out) : ENOMEM;
    if (reason == 0 && j->sync && fdatasync(j->fd) != 0)
        reason = errno;
    j->bytes += out.size;
    buf_fini(&out);
    return reason;
}

/* But for seq, which other threads move: it is known once the locks are held. */
static struct journal_begin begin_of(const struct journal *j, int64_t now_ms, int64_t wall_ms)
{
    struct journal_begin b = {
        .chain = j->next.chain,
        .number = j->next.number + 1,
        .now_ms = now_ms,
        .wall_ms = wall_ms,
        .sync = j->sync,
    };
    memcpy(b.boot_id, j->boot_id, sizeof b.boot_id);
    return b;
}

/* fd is the last file from now on. Both locks are held. */
static void change_to(struct journal *j, const struct journal_begin *b, int fd, uint64_t bytes)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = fd;
    j->next = (struct journal_position){.chain = b->chain, .number = b->number, .seq = b->seq};
    j->begin_seq = b->seq;
    j->bytes = bytes;
    j->since_ms = b->now_ms;
    j->synced = b->seq;
    j->stats.files = j->kept_count + 1;
}

static void lock_both(struct journal *j)
{
    pthread_mutex_lock(&j->syncing);
    pthread_mutex_lock(&j->writing);
}

static void unlock_both(struct journal *j)
{
    pthread_mutex_unlock(&j->writing);
    pthread_mutex_unlock(&j->syncing);
}

static void keep_file(struct journal *j, uint64_t number, uint64_t bytes, int64_t until_ms)
{
    j->kept[j->kept_count++] =
        (struct journal_kept){.number = number, .bytes = bytes, .until_ms = until_ms};
    j->kept_bytes += bytes;
}

/* The chain goes on in fd, which has not begun yet; both locks are held. *reason: an errno where
 * the journal is to be forgotten. */
static int change_file(struct journal *j, struct journal_begin *b, int fd, int *reason,
                       struct err *e)
{
    uint64_t bytes;
    if (j->broken)
        return err_set(e, ERR_IO, "the journal is broken");
    b->seq = j->next.seq;
    int rc = begin_file(j, b, fd, &bytes, e);
    if (rc != 0)
        return rc;
    *reason = end_file(j);
    if (*reason != 0)
        return cannot_begin(j, *reason, e);
    keep_file(j, j->next.number, j->bytes, b->now_ms);
    change_to(j, b, fd, bytes);
    return 0;
}

int journal_next_file(struct journal *j, int64_t now_ms, int64_t wall_ms, struct err *e)
{
    int fd, reason = 0;
    struct journal_begin b = begin_of(j, now_ms, wall_ms);
    int rc = make_file(j, b.number, &fd, e);
    if (rc == 0) {
        lock_both(j);
        rc = change_file(j, &b, fd, &reason, e);
        bool first = reason != 0 && journal_forget(j);
        unlock_both(j);
        if (first)
            journal_say_broken(j, NULL, reason);
    }
    if (rc != 0)
        unmake_file(j, b.number, fd);
    return rc;
}

/* ---- a new chain ---- */

/* *last: the highest number that a file had, if it is above what stands there. */
static int remove_all(struct state_dir *d, uint64_t *last, struct err *e)
{
    struct journal_files files;
    char name[JOURNAL_NAME_SIZE];
    int rc;
    do {
        rc = journal_file_list(d, &files, e);
        size_t count = files.count < JOURNAL_FILES_MOST ? files.count : JOURNAL_FILES_MOST;
        for (size_t i = 0; i < count && rc == 0; i++) {
            *last = files.number[i] > *last ? files.number[i] : *last;
            journal_file_name(name, files.number[i]);
            rc = state_dir_remove(d, name, e);
        }
    } while (rc == 0 && files.count > JOURNAL_FILES_MOST);
    return rc;
}

/* All files are removed by now, and the journal is broken or new. */
static int new_chain(struct journal *j, uint64_t last, int64_t now_ms, int64_t wall_ms,
                     struct err *e)
{
    int fd;
    uint64_t bytes;
    struct journal_begin b = begin_of(j, now_ms, wall_ms);
    b.number = last + 1;
    b.seq = 1;
    b.chain = hash_bytes(&b.number, sizeof b.number, j->incarnation);
    int rc = make_file(j, b.number, &fd, e);
    if (rc == 0)
        rc = begin_file(j, &b, fd, &bytes, e);
    if (rc != 0) {
        unmake_file(j, b.number, fd);
        return rc;
    }
    lock_both(j);
    j->kept_count = 0;
    j->kept_bytes = j->marked = j->relied = 0;
    change_to(j, &b, fd, bytes);
    j->broken = j->believed = false;
    j->broken_since_ms = 0;
    unlock_both(j);
    return 0;
}

int journal_begin_anew(struct journal *j, int64_t now_ms, int64_t wall_ms, struct err *e)
{
    uint64_t last = j->next.number;
    int rc = remove_all(j->dir, &last, e);
    if (rc == 0)
        rc = new_chain(j, last, now_ms, wall_ms, e);
    if (rc == 0)
        log_info("journal.begun", "path=%s", log_q(state_dir_path(j->dir)));
    return rc;
}

/* ---- open and close ---- */

static bool has_ended_well(const struct journal_reading *r)
{
    return r && r->verdict == JOURNAL_COMPLETE && !r->other_boot;
}

static int adopt_file(struct journal *j, uint64_t number, int64_t now_ms, struct err *e)
{
    char name[JOURNAL_NAME_SIZE];
    struct stat st = {0};
    int fd;
    journal_file_name(name, number);
    if (number > j->next.number) /* it was never written to */
        return state_dir_remove(j->dir, name, e);
    if (number == j->next.number)
        return 0;
    if (j->kept_count == JOURNAL_KEPT_MOST - 1)
        return err_set(e, ERR_IO, "there are too many files of the journal");
    int rc = state_dir_read(j->dir, name, &fd, e);
    if (rc == 0 && fd >= 0 && fstat(fd, &st) == 0)
        keep_file(j, number, (uint64_t)st.st_size, now_ms);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Goes on behind what another server has written, without what it had not written whole. */
static int go_on(struct journal *j, const struct journal_options *o, struct err *e)
{
    char name[JOURNAL_NAME_SIZE];
    struct journal_files files;
    const struct journal_reading *r = o->after;
    j->next = r->end;
    j->bytes = r->end_byte;
    journal_file_name(name, r->end.number);
    int rc = state_dir_append(j->dir, name, &j->fd, e);
    if (rc == 0 && ftruncate(j->fd, (off_t)r->end_byte) != 0)
        rc = cannot_begin(j, errno, e);
    if (rc == 0)
        rc = journal_file_list(j->dir, &files, e);
    for (size_t i = 0; rc == 0 && i < files.count && i < JOURNAL_FILES_MOST; i++)
        rc = adopt_file(j, files.number[i], o->now_ms, e);
    return rc == 0 ? journal_next_file(j, o->now_ms, o->wall_ms, e) : rc;
}

/* Nothing that is there may be believed by a later start, for what comes now does not follow it. */
static int begin_first(struct journal *j, const struct journal_options *o, struct err *e)
{
    struct err why;
    uint64_t last = j->next.number;
    int rc = remove_all(j->dir, &last, e);
    if (rc != 0)
        return rc;
    if (new_chain(j, last, o->now_ms, o->wall_ms, &why) != 0) {
        j->broken = true;
        j->stats.failures++;
        journal_say_broken(j, why.text, 0);
    }
    return 0;
}

int journal_open(struct journal **out, const struct journal_options *o, struct err *e)
{
    struct err why;
    *out = NULL;
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory for the journal");
    j->dir = o->dir;
    memcpy(j->boot_id, o->boot_id, sizeof j->boot_id - 1);
    j->incarnation = o->incarnation;
    j->sync = o->sync;
    j->relies = o->relies;
    j->keep_ms = o->keep_ms;
    j->max_bytes = o->max_bytes;
    j->fd = -1;
    pthread_mutex_init(&j->writing, NULL);
    pthread_mutex_init(&j->syncing, NULL);
    bool follows = has_ended_well(o->after);
    int rc = follows ? go_on(j, o, &why) : 0;
    if (follows && rc != 0)
        log_warn("journal.not_continued", "path=%s error=%s", log_q(state_dir_path(j->dir)),
                 log_q(why.text));
    if (!follows || rc != 0)
        rc = begin_first(j, o, e);
    if (rc == 0)
        *out = j;
    else
        journal_close(j);
    return rc;
}

int journal_remove(struct state_dir *d, struct err *e)
{
    uint64_t last = 0;
    return remove_all(d, &last, e);
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    pthread_mutex_destroy(&j->writing);
    pthread_mutex_destroy(&j->syncing);
    free(j);
}

void journal_keep(struct journal *j, int64_t keep_ms, uint64_t max_bytes)
{
    j->keep_ms = keep_ms;
    pthread_mutex_lock(&j->writing);
    j->max_bytes = max_bytes;
    pthread_mutex_unlock(&j->writing);
}
