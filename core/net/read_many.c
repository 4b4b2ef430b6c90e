/* get_many: its keys, read one after the other, in slices where they are many. */
#include "net/commands.h"

#include "net/job.h"
#include "net/many.h"
#include "net/read.h"

#define BULK_LEAST  16 /* keys of a get_many that leave single ones their share of the loads */
#define MANY_AHEAD  16 /* keys that are looked at before the first of them is read */
#define MANY_EACH   64 /* keys of one step */
#define MANY_BYTES  ((size_t)128 * 1024) /* of items of one step, and one more */
#define MANY_SLICED 128 /* keys of a get_many that is done in slices, if it takes that long */

/* A get_many, as far as its keys are read. */
struct read_many {
    struct job job;
    struct read read;
    struct target item; /* read's target */
    struct params keys; /* of which it is known that they are so many values */
    uint32_t begin, count;
};

/* Some of the next n; how many: fewer, where they are large. */
static uint32_t read_keys(struct read_many *m, uint32_t n)
{
    struct read *r = &m->read;
    const struct store *s = m->item.io->options.store;
    const struct buf *items = &m->item.gather->items;
    size_t before = items->size;
    uint32_t begin = m->begin;
    struct mp_reader from = m->keys.at;
    struct mp_token tokens[MANY_AHEAD];
    uint64_t hashes[MANY_AHEAD];
    for (uint32_t i = 0; i < n; i++) {
        if (mp_next_whole(&m->keys.at, &tokens[i]) != MP_OK)
            tokens[i] = (struct mp_token){.type = MP_NIL};
        bool text = tokens[i].type == MP_STR || tokens[i].type == MP_BIN;
        hashes[i] = text ? store_hash(s, tokens[i].bytes) : 0;
        store_prefetch(s, hashes[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        store_prefetch_entry(s, hashes[i]);
    for (uint32_t i = 0; i < n; i++) {
        struct err e;
        m->item.index = begin + i;
        r->ask.hash = hashes[i];
        if (params_check_key(&m->keys, &tokens[i], &r->ask.key, &e) == 0)
            read_key(r);
        else
            answer_error(r->target, &e);
        /* Where it has become too large, the items are gone, and there is less than before. */
        if (__builtin_expect(items->size - before > MANY_BYTES, 0) && i + 1 < n) {
            m->keys.at = from; /* those behind it are read again */
            for (uint32_t k = 0; k <= i; k++)
                if (mp_next_whole(&m->keys.at, &tokens[k]) != MP_OK)
                    break;
            n = i + 1;
        }
    }
    m->begin = begin + n;
    return n;
}

static bool read_many_step(struct job *j)
{
    struct read_many *m = container_of(j, struct read_many, job);
    uint32_t rest = m->count - m->begin, end = m->begin + (rest < MANY_EACH ? rest : MANY_EACH);
    m->keys.conf = m->item.io->snapshot->conf;
    for (uint32_t n = MANY_AHEAD, read = n; m->begin < end && read == n;) {
        n = end - m->begin < MANY_AHEAD ? end - m->begin : MANY_AHEAD;
        read = read_keys(m, n);
    }
    if (gather_has_failed(m->item.gather)) { /* the rest would change nothing */
        gather_cut(m->item.gather, m->count - m->begin);
        m->begin = m->count;
    }
    if (m->begin < m->count)
        return true;
    gather_release(m->item.gather);
    return false;
}

static void read_many_moved(struct job *j, const char *from, const char *to)
{
    struct read_many *m = container_of(j, struct read_many, job);
    job_move_reader(&m->keys.at, from, to);
    m->read.target = &m->item;
    gather_account(m->item.gather);
}

static void read_many_drop(struct job *j)
{
    struct read_many *m = container_of(j, struct read_many, job);
    gather_client_left(m->item.gather);
    gather_cut(m->item.gather, m->count - m->begin);
    gather_release(m->item.gather);
}

void read_get_many(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct read_many), read_many_step, read_many_moved,
                                         read_many_drop};
    struct read_many m = {.job = {.kind = &kind, .target = *t}, .item = *t};
    struct err e;
    int rc = params_array(p, &m.count, &e);
    m.keys = *p;
    size_t tokens = params_tokens_max(p);
    struct mp_token ignored;
    for (uint32_t i = 0; i < m.count && rc == 0; i++)
        if (mp_next_some(&p->at, &ignored, &tokens) != MP_OK)
            rc = err_set(&e, ERR_BAD_REQUEST, "get_many: the array of keys is malformed");
    if (rc == 0)
        rc = read_options(&m.read, p, true, &e);
    m.item.gather = rc == 0 ? many_new(t, m.count) : NULL;
    if (rc == 0 && !m.item.gather)
        rc = err_set(&e, ERR_NOMEM, "get_many: no memory for %u keys", m.count);
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    gather_hold(m.item.gather);
    m.read.target = &m.item;
    m.read.ask.bulk = m.count > BULK_LEAST;
    m.item.form = FORM_ITEM;
    if (m.count >= MANY_SLICED ||
        (t->io->slices.turn_us != 0 && !slices_may_begin(&t->io->slices))) {
        job_start(&m.job, p->msg->params);
        return;
    }
    while (read_many_step(&m.job))
        if (gather_is_large(m.item.gather)) {
            job_start(&m.job, p->msg->params);
            return;
        }
}
