#include "state/state_writer.h"

#include "state/le.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HAND_OVER ((uint64_t)8 << 20) /* bytes: as many again are on their way to the disk */

#define END_BYTES 16 /* of the body of the last block */

struct state_writer {
    struct state_dir *dir;
    int fd;
    struct buf pending;
    uint64_t written;         /* bytes that write(2) has taken, */
    uint64_t handed, settled; /* that the disk was told of, and was waited for */
    uint64_t blocks, records;
    struct err err; /* the first one; code 0: none */
    char name[STATE_NAME_MAX], making[STATE_NAME_MAX + sizeof STATE_NEW];
};

/* Keeps the first error, and tells it. */
static int fail(struct state_writer *w, int code, const char *what, const char *why, struct err *e)
{
    if (w->err.code == 0)
        err_set(&w->err, code, "state folder %s: cannot %s %s at byte %llu: %s",
                state_dir_path(w->dir), what, w->name, (unsigned long long)w->written, why);
    if (e)
        *e = w->err;
    return w->err.code;
}

/* So much of a file at once would make each writer of this machine wait that comes meanwhile.
 * Whether it goes well is for fsync to say. */
static void hand_over(struct state_writer *w)
{
    if (w->written - w->handed < HAND_OVER)
        return;
    (void)sync_file_range(w->fd, (off_t)w->handed, (off_t)(w->written - w->handed),
                          SYNC_FILE_RANGE_WRITE);
    if (w->handed > w->settled)
        (void)sync_file_range(w->fd, (off_t)w->settled, (off_t)(w->handed - w->settled),
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
    w->settled = w->handed;
    w->handed = w->written;
}

static int flush(struct state_writer *w, struct err *e)
{
    size_t done = 0;
    while (done < w->pending.size) {
        ssize_t n = write(w->fd, w->pending.data + done, w->pending.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(w, ERR_IO, "write", n < 0 ? strerror(errno) : "nothing was taken", e);
        done += (size_t)n;
        w->written += (uint64_t)n;
    }
    if (w->pending.capacity > 4 * STATE_WRITE_BYTES) /* a large value does not come often */
        buf_fini(&w->pending);
    else
        buf_clear(&w->pending);
    hand_over(w);
    return 0;
}

int state_writer_new(struct state_writer **out, struct state_dir *d, const char *name,
                     struct err *e)
{
    *out = NULL;
    struct state_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to write %s", name);
    w->dir = d;
    err_clear(&w->err);
    buf_init(&w->pending, 0);
    snprintf(w->name, sizeof w->name, "%s", name);
    snprintf(w->making, sizeof w->making, "%s%s", w->name, STATE_NEW);
    int rc = state_dir_create(d, w->making, &w->fd, e);
    if (rc != 0) {
        free(w);
        return rc;
    }
    *out = w;
    return 0;
}

uint64_t state_writer_bytes(const struct state_writer *w)
{
    return w->written + w->pending.size + BLOCK_HEADER + END_BYTES;
}

int state_writer_block(struct state_writer *w, enum block_type type, struct slice body,
                       uint32_t count, struct err *e)
{
    if (w->err.code != 0)
        return fail(w, 0, "", "", e);
    struct block b = {.type = type, .seq = w->blocks, .count = count, .body = body};
    int rc = block_append(&w->pending, &b);
    if (rc != 0)
        return fail(w, rc, "gather",
                    rc == ERR_NOMEM ? "no memory for a block" : "more than a block may have", e);
    w->blocks++;
    w->records += count;
    return w->pending.size < STATE_WRITE_BYTES ? 0 : flush(w, e);
}

static void writer_free(struct state_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    buf_fini(&w->pending);
    free(w);
}

void state_writer_abort(struct state_writer *w)
{
    if (!w)
        return;
    state_dir_remove(w->dir, w->making, NULL); /* else the next start does */
    writer_free(w);
}

/* The end block, and all of it on the disk. */
static int complete(struct state_writer *w, struct err *e)
{
    char end[END_BYTES];
    le_put64(end, w->blocks);
    le_put64(end + 8, w->records);
    int rc = state_writer_block(w, BLOCK_END, slice_of(end, sizeof end), 0, e);
    if (rc == 0)
        rc = flush(w, e);
    if (rc == 0 && fsync(w->fd) != 0)
        rc = fail(w, ERR_IO, "write", strerror(errno), e);
    if (rc == 0) {
        int closed = close(w->fd);
        w->fd = -1;
        if (closed != 0)
            rc = fail(w, ERR_IO, "close", strerror(errno), e);
    }
    return rc;
}

int state_writer_finish(struct state_writer *w, struct err *e)
{
    int rc = complete(w, e);
    if (rc != 0) {
        state_writer_abort(w);
        return rc;
    }
    rc = state_dir_rename(w->dir, w->making, w->name, e);
    if (rc != 0) {
        state_writer_abort(w);
        return rc;
    }
    rc = state_dir_sync(w->dir, e);
    if (rc != 0) /* it could lose its name with the machine's power */
        state_dir_remove(w->dir, w->name, NULL);
    writer_free(w);
    return rc;
}
