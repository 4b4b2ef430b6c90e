/* The cache into a snapshot file. */
#include "load/keep.h"

#include "base/clock.h"
#include "load/fingerprint.h"
#include "state/state_writer.h"

#include <stdlib.h>

struct saving {
    const struct keep_source *src;
    struct state_writer *writer;
    struct buf piece;
    struct keep_saved *saved;
    struct err *e;
};

static bool is_stopped(const _Atomic bool *stop)
{
    return stop && atomic_load_explicit(stop, memory_order_relaxed);
}

static int fill_loaders(struct keep_header *h, const struct snapshot *s, struct err *e)
{
    size_t count = s->conf->loader_count;
    int rc = 0;
    h->loaders = calloc(count + 1, sizeof *h->loaders);
    if (!h->loaders)
        return err_set(e, ERR_NOMEM, "no memory for the header of a snapshot");
    for (h->loader_count = 0; h->loader_count < count && rc == 0; h->loader_count++) {
        struct keep_loader *l = &h->loaders[h->loader_count];
        l->pattern = slice_str(s->conf->loaders[h->loader_count].pattern);
        l->slot = snapshot_owner(s, (int)h->loader_count);
        rc = fingerprint_of(s, h->loader_count, &l->print, e);
    }
    return rc;
}

static int save_header(struct saving *g)
{
    struct keep_header h = g->src->header;
    int rc = fill_loaders(&h, g->src->snapshot, g->e);
    buf_clear(&g->piece);
    if (rc == 0) {
        rc = keep_header_pack(&g->piece, &h);
        if (rc != 0)
            err_set(g->e, rc, "no memory for the header of a snapshot");
    }
    if (rc == 0)
        rc = state_writer_block(g->writer, BLOCK_HEAD, buf_slice(&g->piece), 1, g->e);
    free(h.loaders);
    return rc;
}

static int put_piece(struct saving *g, enum block_type type, size_t count)
{
    if (is_stopped(g->src->stop))
        return err_set(g->e, ERR_SHUTDOWN, "the snapshot was given up");
    return g->piece.size == 0
               ? 0
               : state_writer_block(g->writer, type, buf_slice(&g->piece), (uint32_t)count, g->e);
}

static int no_memory(struct saving *g, int rc)
{
    return rc == 0 ? 0 : err_set(g->e, rc, "no memory for a piece of the snapshot");
}

#define FLOORS_EACH 2000 /* under one hold of a shard's lock */

static int save_floors(struct saving *g)
{
    struct keep_cursor at = {.shard = 0};
    int rc = 0;
    while (!at.done && rc == 0) {
        size_t count = 0;
        buf_clear(&g->piece);
        rc = no_memory(g, flight_keep_out(g->src->flights, &at, g->src->header.moment.boot_ms,
                                          FLOORS_EACH, &g->piece, &count));
        rc = rc != 0 ? rc : put_piece(g, BLOCK_FLOORS, count);
        g->saved->floors += count;
    }
    return rc;
}

static int save_entries(struct saving *g)
{
    struct dump_cursor at = {.shard = 0};
    int rc = 0;
    while (!at.done && rc == 0) {
        size_t count = 0;
        buf_clear(&g->piece);
        rc =
            no_memory(g, store_dump(g->src->store, &at, clock_ms(), KEEP_PIECE, &g->piece, &count));
        rc = rc != 0 ? rc : put_piece(g, BLOCK_ENTRIES, count);
        g->saved->entries += count;
    }
    return rc;
}

int keep_save(struct state_dir *d, const struct keep_source *src, struct keep_saved *out,
              struct err *e)
{
    int64_t from_ms = clock_ms();
    struct saving g = {.src = src, .saved = out, .e = e};
    *out = (struct keep_saved){.entries = 0};
    buf_init(&g.piece, 0);
    int rc = state_writer_new(&g.writer, d, KEEP_FILE, e);
    rc = rc != 0 ? rc : save_header(&g);
    rc = rc != 0 ? rc : save_floors(&g);
    rc = rc != 0 ? rc : save_entries(&g);
    buf_fini(&g.piece);
    if (rc != 0) {
        state_writer_abort(g.writer);
        return rc;
    }
    out->bytes = state_writer_bytes(g.writer);
    rc = state_writer_finish(g.writer, e);
    out->ms = clock_ms() - from_ms;
    return rc;
}
