#include "state/state_reader.h"

#include "state/le.h"
#include "state/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct state_reader {
    struct state_dir *dir;
    struct stream stream;
    uint64_t records;
    bool ended;                                          /* its end block was read */
    char claimed[STATE_NAME_MAX + sizeof STATE_CLAIMED]; /* ""; else the file to be removed */
    char path[];                                         /* for errors */
};

/* *out stays NULL where there is no such file. */
static int reader_open(struct state_reader **out, struct state_dir *d, const char *name,
                       struct err *e)
{
    int fd;
    int rc = state_dir_read(d, name, &fd, e);
    if (rc != 0 || fd < 0)
        return rc;
    size_t size = strlen(state_dir_path(d)) + strlen(name) + 2;
    struct state_reader *r = calloc(1, sizeof *r + size);
    if (!r) {
        close(fd);
        return err_set(e, ERR_NOMEM, "no memory to read %s", name);
    }
    r->dir = d;
    snprintf(r->path, size, "%s/%s", state_dir_path(d), name);
    rc = stream_init(&r->stream, fd, r->path, e);
    if (rc == 0)
        *out = r;
    else
        free(r);
    return rc;
}

int state_reader_new(struct state_reader **out, struct state_dir *d, const char *name,
                     struct err *e)
{
    *out = NULL;
    int rc = reader_open(out, d, name, e);
    if (rc == 0 && !*out)
        rc = err_set(e, ERR_IO, "%s/%s: there is no such file", state_dir_path(d), name);
    return rc;
}

int state_claim(struct state_reader **out, struct state_dir *d, const char *name, struct err *e)
{
    char claimed[sizeof(*out)->claimed];
    int fd;
    *out = NULL;
    snprintf(claimed, sizeof claimed, "%.*s%s", STATE_NAME_MAX, name, STATE_CLAIMED);
    int rc = state_dir_read(d, name, &fd, e); /* whether there is one, and it may be trusted */
    if (rc != 0 || fd < 0)
        return rc;
    close(fd);
    rc = state_dir_rename(d, name, claimed, e);
    if (rc == 0)
        rc = state_dir_sync(d, e);
    if (rc == 0)
        rc = reader_open(out, d, claimed, e);
    if (rc == 0 && *out)
        memcpy((*out)->claimed, claimed, sizeof claimed);
    return rc;
}

int state_reader_give_back(struct state_reader *r, struct err *e)
{
    char name[sizeof r->claimed];
    size_t size = strlen(r->claimed) - strlen(STATE_CLAIMED);
    snprintf(name, sizeof name, "%.*s", (int)size, r->claimed);
    int rc = state_dir_rename(r->dir, r->claimed, name, e);
    if (rc == 0)
        r->claimed[0] = '\0';
    state_reader_free(r);
    return rc;
}

void state_reader_free(struct state_reader *r)
{
    if (!r)
        return;
    stream_fini(&r->stream);
    if (r->claimed[0])
        state_dir_remove(r->dir, r->claimed, NULL); /* else the next start does */
    free(r);
}

uint64_t state_reader_size(const struct state_reader *r)
{
    return r->stream.size;
}

/* ---- blocks ---- */

static int wrong(const struct state_reader *r, const char *what, struct err *e)
{
    return err_set(e, ERR_BAD_VALUE, "%s: block %llu, before byte %llu: %s", r->path,
                   (unsigned long long)r->stream.blocks - 1, (unsigned long long)r->stream.at,
                   what);
}

/* The end block says what stands before it, and nothing behind it. */
static int judge_end(struct state_reader *r, const struct block *b, struct err *e)
{
    if (b->body.size < 16)
        return wrong(r, "an end that does not say how much it ends", e);
    if (le_get64(b->body.data) != b->seq || le_get64(b->body.data + 8) != r->records)
        return wrong(r, "the end counts other blocks or records than there are", e);
    if (r->stream.at != r->stream.size)
        return wrong(r, "there are bytes behind the end", e);
    r->ended = true;
    return 0;
}

int state_reader_next(struct state_reader *r, struct block *b, struct err *e)
{
    if (r->ended)
        return 0;
    switch (stream_next(&r->stream, b, e)) {
    case STREAM_BLOCK: break;
    case STREAM_END:
        return err_set(e, ERR_BAD_VALUE, "%s: it stops at byte %llu, without an end block", r->path,
                       (unsigned long long)r->stream.at);
    default: return e->code;
    }
    if (b->seq != r->stream.blocks - 1)
        return wrong(r, "it is not the next one of its file", e);
    if (b->type == BLOCK_END)
        return judge_end(r, b, e);
    r->records += b->count;
    return 1;
}

int state_reader_rewind(struct state_reader *r, struct err *e)
{
    r->records = 0;
    r->ended = false;
    return stream_again(&r->stream, e);
}

int state_reader_verify(struct state_reader *r, struct err *e)
{
    struct block b;
    int rc;
    while ((rc = state_reader_next(r, &b, e)) > 0)
        ;
    return rc != 0 ? rc : state_reader_rewind(r, e);
}
