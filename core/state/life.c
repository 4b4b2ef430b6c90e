#include "state/life.h"

#include "base/log.h"
#include "state/state_reader.h"
#include "state/state_writer.h"

#include <unistd.h>

#define LIFE_FILE "life"

static int write_life(struct state_dir *d, uint64_t life, struct err *e)
{
    struct state_writer *w;
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(life >> (8 * i));
    int rc = state_writer_new(&w, d, LIFE_FILE, e);
    if (rc != 0)
        return rc;
    rc = state_writer_block(w, BLOCK_HEAD, slice_of(bytes, sizeof bytes), 1, e);
    if (rc == 0)
        return state_writer_finish(w, e);
    state_writer_abort(w);
    return rc;
}

static int read_number(struct state_reader *r, uint64_t *life, struct err *e)
{
    struct block b;
    int rc = state_reader_verify(r, e);
    if (rc == 0 && (state_reader_next(r, &b, e) != 1 || b.body.size != 8))
        rc = e->code != 0 ? e->code : err_set(e, ERR_BAD_VALUE, "it has no number");
    for (int i = 0; i < 8 && rc == 0; i++)
        *life |= (uint64_t)(unsigned char)b.body.data[i] << (8 * i);
    return rc;
}

/* 0: there was none, or nobody knows which. */
static uint64_t read_life(struct state_dir *d)
{
    struct state_reader *r = NULL;
    struct err e;
    uint64_t life = 0;
    int fd;
    err_clear(&e);
    int rc = state_dir_read(d, LIFE_FILE, &fd, &e);
    if (rc == 0 && fd < 0)
        return 0;
    if (rc == 0)
        close(fd);
    if (rc == 0)
        rc = state_reader_new(&r, d, LIFE_FILE, &e);
    if (rc == 0)
        rc = read_number(r, &life, &e);
    if (rc != 0)
        log_warn("restart.life", "file=%s error=%s", LIFE_FILE, log_q(e.text));
    state_reader_free(r);
    return rc == 0 ? life : 0;
}

int life_begin(struct state_dir *d, uint64_t *life, struct err *e)
{
    *life = read_life(d) + 1;
    return write_life(d, *life, e);
}

int life_undo(struct state_dir *d, uint64_t life, struct err *e)
{
    return write_life(d, life - 1, e);
}
