#include "load/keep_header.h"

#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>

/* ---- written ---- */

static int pack_loaders(struct buf *out, const struct keep_header *h)
{
    int rc = mpw_cstr(out, "loaders");
    rc = rc != 0 ? rc : mpw_array(out, (uint32_t)h->loader_count);
    for (size_t i = 0; i < h->loader_count && rc == 0; i++) {
        rc = mpw_array(out, 3);
        rc = rc != 0 ? rc : mpw_bin(out, h->loaders[i].pattern);
        rc = rc != 0 ? rc : mpw_uint(out, h->loaders[i].print);
        rc = rc != 0 ? rc : mpw_uint(out, h->loaders[i].slot);
    }
    return rc;
}

static int pack_feeds(struct buf *out, const struct keep_header *h)
{
    int rc = mpw_cstr(out, "feeds");
    rc = rc != 0 ? rc : mpw_array(out, (uint32_t)h->feed_count);
    for (size_t i = 0; i < h->feed_count && rc == 0; i++) {
        rc = mpw_array(out, 3);
        rc = rc != 0 ? rc : mpw_bin(out, h->feeds[i].backend);
        rc = rc != 0 ? rc : mpw_uint(out, h->feeds[i].source);
        rc = rc != 0 ? rc : mpw_bin(out, h->feeds[i].position);
    }
    return rc;
}

static int pack_number(struct buf *out, const char *name, int64_t v)
{
    int rc = mpw_cstr(out, name);
    return rc != 0 ? rc : mpw_int(out, v);
}

static int pack_unsigned(struct buf *out, const char *name, uint64_t v)
{
    int rc = mpw_cstr(out, name);
    return rc != 0 ? rc : mpw_uint(out, v);
}

static int pack_text(struct buf *out, const char *name, struct slice v)
{
    int rc = mpw_cstr(out, name);
    return rc != 0 ? rc : mpw_bin(out, v);
}

static int pack_journal(struct buf *out, const struct keep_header *h)
{
    int rc = mpw_cstr(out, "journal");
    if (rc != 0 || !h->has_journal)
        return rc != 0 ? rc : mpw_nil(out);
    rc = mpw_array(out, 3);
    rc = rc != 0 ? rc : mpw_uint(out, h->journal.chain);
    rc = rc != 0 ? rc : mpw_uint(out, h->journal.number);
    return rc != 0 ? rc : mpw_uint(out, h->journal.seq);
}

int keep_header_pack(struct buf *out, const struct keep_header *h)
{
    int rc = mpw_map(out, 11);
    rc = rc != 0 ? rc : pack_text(out, "rtcache", h->version);
    rc = rc != 0 ? rc : mpw_cstr(out, "clean");
    rc = rc != 0 ? rc : mpw_bool(out, h->clean);
    rc = rc != 0 ? rc : pack_number(out, "wall_ms", h->moment.wall_ms);
    rc = rc != 0 ? rc : pack_number(out, "boot_ms", h->moment.boot_ms);
    rc = rc != 0 ? rc : pack_text(out, "boot_id", h->boot_id);
    rc = rc != 0 ? rc : pack_unsigned(out, "life", h->life);
    rc = rc != 0 ? rc : pack_unsigned(out, "seed", h->seed);
    rc = rc != 0 ? rc : pack_number(out, "lossy_ms", h->lossy_ms);
    rc = rc != 0 ? rc : pack_loaders(out, h);
    rc = rc != 0 ? rc : pack_feeds(out, h);
    return rc != 0 ? rc : pack_journal(out, h);
}

/* ---- read ---- */

struct reading {
    struct mp_reader r;
    struct keep_header *h;
    struct err *e;
};

static int wrong(struct reading *g, const char *what)
{
    if (g->e->code == 0)
        err_set(g->e, ERR_BAD_REQUEST, "the header of the snapshot: %s", what);
    return ERR_BAD_REQUEST;
}

static int next(struct reading *g, struct mp_token *t)
{
    return mp_next(&g->r, t) == MP_OK ? 0 : wrong(g, "it ends too early");
}

static int read_bool(struct reading *g, bool *out)
{
    struct mp_token t;
    if (next(g, &t) != 0)
        return ERR_BAD_REQUEST;
    if (t.type != MP_BOOL)
        return wrong(g, "a flag is none");
    *out = t.b;
    return 0;
}

static int read_int(struct reading *g, int64_t *out)
{
    struct mp_token t;
    if (next(g, &t) != 0)
        return ERR_BAD_REQUEST;
    if (t.type != MP_INT)
        return wrong(g, "a number is none");
    *out = t.i;
    return 0;
}

static int read_uint(struct reading *g, uint64_t *out)
{
    struct mp_token t;
    if (next(g, &t) != 0)
        return ERR_BAD_REQUEST;
    if (t.type != MP_UINT && (t.type != MP_INT || t.i < 0))
        return wrong(g, "a number is none, or below 0");
    *out = t.type == MP_UINT ? t.u : (uint64_t)t.i;
    return 0;
}

static int read_bytes(struct reading *g, struct slice *out)
{
    struct mp_token t;
    if (next(g, &t) != 0)
        return ERR_BAD_REQUEST;
    if (t.type != MP_STR && t.type != MP_BIN)
        return wrong(g, "a text is none");
    *out = t.bytes;
    return 0;
}

/* An array of at most `most`, and no more elements than bytes are left. */
static int read_count(struct reading *g, size_t most, size_t *out)
{
    struct mp_token t;
    if (next(g, &t) != 0)
        return ERR_BAD_REQUEST;
    if (t.type != MP_ARRAY || t.count > most)
        return wrong(g, "a list is none, or too long");
    if (t.count > (size_t)(g->r.end - g->r.at))
        return wrong(g, "it ends too early");
    *out = t.count;
    return 0;
}

/* What a newer version has added to a group is stepped over. */
static int skip_rest(struct reading *g, size_t count)
{
    for (; count > 0; count--)
        if (mp_skip(&g->r) != MP_OK)
            return wrong(g, "it ends too early");
    return 0;
}

static int read_loaders(struct reading *g)
{
    size_t count, fields;
    uint64_t slot = 0;
    int rc = read_count(g, CONF_LOADERS_MAX, &count);
    if (rc != 0 || count == 0 || g->h->loaders)
        return rc != 0 || count == 0 ? rc : wrong(g, "the loaders stand twice");
    g->h->loaders = calloc(count, sizeof *g->h->loaders);
    if (!g->h->loaders)
        return err_set(g->e, ERR_NOMEM, "no memory for the header of a snapshot");
    for (; g->h->loader_count < count && rc == 0; g->h->loader_count++) {
        struct keep_loader *l = &g->h->loaders[g->h->loader_count];
        rc = read_count(g, UINT32_MAX, &fields);
        rc = rc == 0 && fields < 3 ? wrong(g, "a loader lacks something") : rc;
        rc = rc != 0 ? rc : read_bytes(g, &l->pattern);
        rc = rc != 0 ? rc : read_uint(g, &l->print);
        rc = rc != 0 ? rc : read_uint(g, &slot);
        rc = rc == 0 && slot > UINT16_MAX ? wrong(g, "a loader's slot is too high") : rc;
        rc = rc != 0 ? rc : skip_rest(g, fields - 3);
        l->slot = (uint16_t)slot;
    }
    return rc;
}

static int read_feeds(struct reading *g)
{
    size_t count, fields;
    int rc = read_count(g, CONF_BACKENDS_MAX, &count);
    if (rc != 0 || count == 0 || g->h->feeds)
        return rc != 0 || count == 0 ? rc : wrong(g, "the feeds stand twice");
    g->h->feeds = calloc(count, sizeof *g->h->feeds);
    if (!g->h->feeds)
        return err_set(g->e, ERR_NOMEM, "no memory for the header of a snapshot");
    for (; g->h->feed_count < count && rc == 0; g->h->feed_count++) {
        struct keep_feed *f = &g->h->feeds[g->h->feed_count];
        rc = read_count(g, UINT32_MAX, &fields);
        rc = rc == 0 && fields < 3 ? wrong(g, "a feed lacks something") : rc;
        rc = rc != 0 ? rc : read_bytes(g, &f->backend);
        rc = rc != 0 ? rc : read_uint(g, &f->source);
        rc = rc != 0 ? rc : read_bytes(g, &f->position);
        rc = rc != 0 ? rc : skip_rest(g, fields - 3);
    }
    return rc;
}

static int read_journal(struct reading *g)
{
    size_t fields;
    struct mp_reader ahead = g->r;
    struct mp_token t;
    if (mp_next(&ahead, &t) == MP_OK && t.type == MP_NIL) {
        g->r = ahead;
        return 0;
    }
    int rc = read_count(g, UINT32_MAX, &fields);
    rc = rc == 0 && fields < 3 ? wrong(g, "the journal's place lacks something") : rc;
    rc = rc != 0 ? rc : read_uint(g, &g->h->journal.chain);
    rc = rc != 0 ? rc : read_uint(g, &g->h->journal.number);
    rc = rc != 0 ? rc : read_uint(g, &g->h->journal.seq);
    g->h->has_journal = rc == 0;
    return rc != 0 ? rc : skip_rest(g, fields - 3);
}

static int read_field(struct reading *g, struct slice name)
{
    struct keep_header *h = g->h;
    if (slice_eq_str(name, "rtcache"))
        return read_bytes(g, &h->version);
    if (slice_eq_str(name, "clean"))
        return read_bool(g, &h->clean);
    if (slice_eq_str(name, "wall_ms"))
        return read_int(g, &h->moment.wall_ms);
    if (slice_eq_str(name, "boot_ms"))
        return read_int(g, &h->moment.boot_ms);
    if (slice_eq_str(name, "boot_id"))
        return read_bytes(g, &h->boot_id);
    if (slice_eq_str(name, "life"))
        return read_uint(g, &h->life);
    if (slice_eq_str(name, "seed"))
        return read_uint(g, &h->seed);
    if (slice_eq_str(name, "lossy_ms"))
        return read_int(g, &h->lossy_ms);
    if (slice_eq_str(name, "loaders"))
        return read_loaders(g);
    if (slice_eq_str(name, "feeds"))
        return read_feeds(g);
    return slice_eq_str(name, "journal") ? read_journal(g) : skip_rest(g, 1);
}

int keep_header_read(struct slice packed, struct keep_header *h, struct err *e)
{
    struct reading g = {.r = mp_reader_of(packed), .h = h, .e = e};
    struct mp_token t;
    *h = (struct keep_header){.loaders = NULL};
    err_clear(e);
    int rc = next(&g, &t);
    if (rc == 0 && t.type != MP_MAP)
        rc = wrong(&g, "it is no map");
    for (uint32_t left = rc == 0 ? t.count : 0; left > 0 && rc == 0; left--) {
        struct slice name = {0};
        rc = read_bytes(&g, &name);
        rc = rc != 0 ? rc : read_field(&g, name);
    }
    if (rc == 0 && g.r.at != g.r.end)
        rc = wrong(&g, "there is something behind it");
    if (rc != 0)
        keep_header_fini(h);
    return rc;
}

void keep_header_fini(struct keep_header *h)
{
    free(h->loaders);
    free(h->feeds);
    *h = (struct keep_header){.loaders = NULL};
}
