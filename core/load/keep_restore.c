/* The cache out of a snapshot file. */
#include "load/keep.h"

#include "base/clock.h"
#include "load/fingerprint.h"
#include "state/state_reader.h"

#include <stdlib.h>

struct keep {
    struct state_reader *reader;
    struct buf head; /* what the header borrows from */
    struct keep_header header;
};

/* ---- the header ---- */

static int read_header(struct keep *k, struct err *e)
{
    struct block b;
    int rc = state_reader_next(k->reader, &b, e);
    if (rc < 0)
        return rc;
    if (rc == 0 || b.type != BLOCK_HEAD)
        return err_set(e, ERR_BAD_VALUE, "%s: it does not begin with a header", KEEP_FILE);
    if (b.body.size > KEEP_HEADER_MOST)
        return err_set(e, ERR_BAD_VALUE, "%s: its header has %zu bytes", KEEP_FILE, b.body.size);
    rc = buf_append(&k->head, b.body.data, b.body.size);
    if (rc != 0)
        return err_set(e, rc, "%s: no memory for its header", KEEP_FILE);
    return keep_header_read(buf_slice(&k->head), &k->header, e);
}

int keep_open(struct keep **out, struct state_dir *d, struct err *e)
{
    *out = NULL;
    struct keep *k = calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "no memory for reading a snapshot");
    buf_init(&k->head, 0);
    int rc = state_claim(&k->reader, d, KEEP_FILE, e);
    if (rc == 0 && k->reader)
        rc = read_header(k, e);
    if (rc != 0 || !k->reader) {
        keep_close(k);
        return rc;
    }
    *out = k;
    return 0;
}

const struct keep_header *keep_header_of(const struct keep *k)
{
    return &k->header;
}

int keep_give_back(struct keep *k, struct err *e)
{
    int rc = state_reader_give_back(k->reader, e);
    k->reader = NULL;
    keep_close(k);
    return rc;
}

void keep_close(struct keep *k)
{
    if (!k)
        return;
    state_reader_free(k->reader);
    keep_header_fini(&k->header);
    buf_fini(&k->head);
    free(k);
}

/* ---- loaders, then and now ---- */

/* What each loader of the configuration has to be for an entry that comes under its keys. */
struct judged {
    struct proof_loader proof;
    uint16_t slot; /* then */
    bool left_out; /* of this pass */
};

struct restoring {
    struct keep *k;
    const struct keep_target *t;
    struct keep_restored *restored;
    struct judged *judged; /* by index of the configuration's loaders; the last: for none */
    int64_t now_ms;
    struct err *e;
};

static const struct keep_loader *find_loader(const struct keep_header *h, const char *pattern)
{
    for (size_t i = 0; i < h->loader_count; i++)
        if (slice_eq_str(h->loaders[i].pattern, pattern))
            return &h->loaders[i];
    return NULL;
}

static int judge_loader(struct restoring *g, size_t i)
{
    const struct conf *conf = g->t->snapshot->conf;
    const struct conf_loader *l = &conf->loaders[i];
    const struct keep_loader *then = find_loader(&g->k->header, l->pattern);
    struct judged *j = &g->judged[i];
    int feed = snapshot_feed_of(conf, l);
    uint64_t print;
    int rc = fingerprint_of(g->t->snapshot, i, &print, g->e);
    if (rc != 0)
        return rc;
    j->slot = then ? then->slot : 0;
    j->left_out = g->t->again && (feed < 0 || !g->t->again[feed]);
    j->proof = (struct proof_loader){
        .same = then && then->print == print,
        .fed = feed >= 0,
        .resumed = feed >= 0 && g->t->resumed[feed],
        .policy = &l->policy,
    };
    return 0;
}

/* Of keys without a loader. Where one then had no slot of its own, nobody knows which are its. */
static void judge_none(struct restoring *g)
{
    const struct keep_header *h = &g->k->header;
    struct judged *j = &g->judged[g->t->snapshot->conf->loader_count];
    *j = (struct judged){.proof = {.same = true, .policy = &g->t->snapshot->conf->defaults},
                         .left_out = g->t->again != NULL};
    for (size_t i = 0; i < h->loader_count; i++)
        if (h->loaders[i].slot == 0)
            j->proof.same = false;
}

static int judge_loaders(struct restoring *g)
{
    size_t count = g->t->snapshot->conf->loader_count;
    int rc = 0;
    g->judged = calloc(count + 1, sizeof *g->judged);
    if (!g->judged)
        return err_set(g->e, ERR_NOMEM, "no memory for the loaders of a snapshot");
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = judge_loader(g, i);
    judge_none(g);
    return rc;
}

/* ---- entries ---- */

static enum restored as_what(enum proof proof)
{
    return proof == PROOF_PROVEN  ? RESTORED_PROVEN
           : proof == PROOF_STALE ? RESTORED_STALE
                                  : RESTORED_CANDIDATE;
}

static int restore_entry(struct restoring *g, const struct record *r)
{
    const struct snapshot *s = g->t->snapshot;
    int loader = routes_match(s->routes, r->key, NULL);
    const struct judged *j = &g->judged[loader >= 0 ? (size_t)loader : s->conf->loader_count];
    if (j->left_out)
        return 0;
    g->restored->entries++;
    if (route_is_misfit(loader)) { /* there can be no such row */
        g->restored->as[PROOF_DROPPED]++;
        return 0;
    }
    struct proof_loader proof = j->proof;
    proof.same = proof.same && r->owner == j->slot;
    enum proof what = proof_of(&g->t->start, &proof, r->negative);
    g->restored->missing[proof_missing(&g->t->start, &proof)]++;
    if (what == PROOF_DROPPED) {
        g->restored->as[PROOF_DROPPED]++;
        return 0;
    }
    const struct restore how = {
        .as = as_what(what),
        .passed_ms = g->t->start.passed_ms,
        .refresh = {.owner = snapshot_owner(s, loader),
                    .ahead_ms = proof.policy->refresh_ahead > 0 && proof.policy->refresh_ahead < 1,
                    .early = loader >= 0 && proof.policy->early_beta > 0},
    };
    bool stored = false;
    int rc = flight_keep_entry(g->t->flights, r, &how, g->now_ms, &stored, g->e);
    if (rc == ERR_TOO_LARGE) /* the memory is smaller now */
        rc = 0;
    if (stored)
        g->restored->as[what]++;
    else if (rc == 0)
        g->restored->over++;
    return rc;
}

static int restore_entries(struct restoring *g, struct slice body)
{
    struct record r;
    int rc = 0;
    g->now_ms = clock_ms();
    while (body.size > 0 && rc == 0) {
        rc = record_read(&body, &r, g->e);
        if (rc == 0)
            rc = restore_entry(g, &r);
    }
    return rc;
}

static int restore_floors(struct restoring *g, struct slice body)
{
    size_t count = 0;
    int rc = flight_keep_in(g->t->flights, body, g->t->start.passed_ms, clock_ms(), &count, g->e);
    g->restored->floors += count;
    return rc;
}

static int restore_blocks(struct restoring *g, bool *floors_whole)
{
    struct block b;
    int rc;
    while ((rc = state_reader_next(g->k->reader, &b, g->e)) == 1) {
        if (g->t->stop && atomic_load_explicit(g->t->stop, memory_order_relaxed))
            return err_set(g->e, ERR_SHUTDOWN, "it was given up");
        int done = 0;
        if (b.type == BLOCK_FLOORS) {
            done = restore_floors(g, b.body);
        } else if (b.type == BLOCK_ENTRIES) {
            *floors_whole = true; /* they stand before the first of these */
            done = restore_entries(g, b.body);
        }
        if (done != 0) {
            *floors_whole = *floors_whole && b.type != BLOCK_FLOORS;
            return done;
        }
    }
    *floors_whole = *floors_whole || rc == 0;
    return rc;
}

int keep_restore(struct keep *k, const struct keep_target *t, struct keep_restored *out,
                 bool *floors_whole, struct err *e)
{
    int64_t from_ms = clock_ms();
    struct restoring g = {.k = k, .t = t, .restored = out, .e = e};
    *out = (struct keep_restored){.entries = 0};
    *floors_whole = false;
    int rc = judge_loaders(&g);
    rc = rc != 0 ? rc : state_reader_rewind(k->reader, e);
    rc = rc != 0 ? rc : restore_blocks(&g, floors_whole);
    free(g.judged);
    out->ms = clock_ms() - from_ms;
    return rc;
}
