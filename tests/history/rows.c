#include "rows.h"

#include <err.h>
#include <stdlib.h>

/* Changes are told of in the order of their commits; but a server that listens again may hear of
 * the next ones a moment before it has told of the gap. */
#define PASSED_NS 300000000

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        err(2, "memory");
    return p;
}

static bool is_of_key(unsigned op)
{
    return op != OP_CLASS && op != OP_INVALIDATE_TAG && op != OP_EXPIRE_TAG && op != OP_RELOAD &&
           op != OP_LOST && op != OP_CUT;
}

static struct row_key *key_at(struct rows *s, uint32_t key)
{
    return &s->classes[key_class(key)].keys[key_number(key)];
}

/* ---- sizes ---- */

static void read_class(struct rows *s, const struct record *r)
{
    if (r->key >= HISTORY_CLASSES)
        errx(2, "class %u: there are %d", r->key, HISTORY_CLASSES);
    s->classes[r->key].flags = (uint32_t)r->wanted;
    s->classes[r->key].ttl_ms = r->ttl_ms;
}

static void measure_keys(struct rows *s, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        if (r->op >= OP_COUNT)
            errx(2, "record %zu: there is no operation %u", i, r->op);
        if (r->op == OP_CLASS) {
            read_class(s, r);
        } else if (is_of_key(r->op)) {
            if (key_class(r->key) >= HISTORY_CLASSES)
                errx(2, "record %zu: there is no class %u", i, key_class(r->key));
            struct row_class *c = &s->classes[key_class(r->key)];
            if (key_number(r->key) >= c->count)
                c->count = key_number(r->key) + 1;
        }
    }
    for (unsigned i = 0; i < HISTORY_CLASSES; i++)
        s->classes[i].keys = zeroed(s->classes[i].count, sizeof(struct row_key));
}

static void measure_versions(struct rows *s, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        if (r->op != OP_ROW)
            continue;
        if (r->version < 1 || r->version > INT32_MAX)
            errx(2, "record %zu: a row's version is %lld", i, (long long)r->version);
        struct row_key *k = key_at(s, r->key);
        if (r->version > k->count)
            k->count = (uint32_t)r->version;
    }
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        for (uint32_t n = 0; n < s->classes[c].count; n++) {
            struct row_key *k = &s->classes[c].keys[n];
            k->rows = zeroed(k->count, sizeof *k->rows);
        }
}

/* ---- contents, and when they were written ---- */

static void read_row(struct rows *s, const struct record *r)
{
    struct row *row = &key_at(s, r->key)->rows[r->version - 1];
    *row = (struct row){
        .content = r->content,
        .end_ns = NEVER,
        .seen_ns = NEVER,
        .tag = r->tag,
        .exists = true,
        .deleted = r->result == RESULT_ABSENT,
    };
}

static void read_write(struct rows *s, const struct record *r)
{
    struct row_key *k = key_at(s, r->key);
    int64_t version = r->version;
    if (version == 0 && r->content != 0)
        version = rows_find(k, r->content);
    if (version < 1 || version > k->count)
        return;
    struct row *row = &k->rows[version - 1];
    row->begin_ns = r->begin_ns;
    if (r->result == RESULT_DONE)
        row->end_ns = row->seen_ns = r->end_ns;
}

static void read_writes(struct rows *s, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (records[i].op == OP_ROW)
            read_row(s, &records[i]);
    for (size_t i = 0; i < count; i++)
        if (records[i].op == OP_WRITE || records[i].op == OP_PUT || records[i].op == OP_DELETE)
            read_write(s, &records[i]);
}

/* Who knows that a version is committed knows it of all before it. */
static void close_times(struct row_key *k)
{
    for (uint32_t i = k->count; i-- > 1;)
        if (k->rows[i].end_ns < k->rows[i - 1].end_ns)
            k->rows[i - 1].end_ns = k->rows[i].end_ns;
}

/* ---- the feed ---- */

static void read_notices(struct rows *s, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        if (r->op == OP_LOST)
            s->lost_ns = r->end_ns;
        if (r->op != OP_NOTICE)
            continue;
        struct row_key *k = key_at(s, r->key);
        if (r->version >= 1 && r->version <= k->count && k->rows[r->version - 1].told_ns == 0)
            k->rows[r->version - 1].told_ns = r->end_ns;
    }
}

struct gaps {
    uint64_t *at;
    size_t count;
};

/* Of one class, in order. */
static struct gaps find_gaps(const struct record *records, size_t count, uint32_t class)
{
    struct gaps g = {0};
    for (size_t i = 0; i < count; i++)
        g.count += records[i].op == OP_GAP && key_class(records[i].key) == class;
    g.at = zeroed(g.count, sizeof *g.at);
    g.count = 0;
    for (size_t i = 0; i < count; i++)
        if (records[i].op == OP_GAP && key_class(records[i].key) == class)
            g.at[g.count++] = records[i].end_ns;
    return g;
}

/* The first after t; 0: none. */
static uint64_t first_after(const struct gaps *g, uint64_t t)
{
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->at[middle] > t)
            high = middle;
        else
            low = middle + 1;
    }
    return low < g->count ? g->at[low] : 0;
}

/* Rows that the feed told of, by their begins; told_ns becomes the earliest from there on. */
struct told {
    uint64_t begin_ns, told_ns;
};

struct told_list {
    struct told *at;
    size_t count;
};

static int by_begin(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static void add_told(struct told_list *list, const struct row_key *k)
{
    for (uint32_t v = 0; v < k->count; v++)
        if (k->rows[v].told_ns && k->rows[v].begin_ns)
            list->at[list->count++] = (struct told){k->rows[v].begin_ns, k->rows[v].told_ns};
}

static struct told_list find_told(const struct rows *s)
{
    struct told_list list = {0};
    size_t room = 0;
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        for (uint32_t n = 0; n < s->classes[c].count; n++)
            room += s->classes[c].keys[n].count;
    list.at = zeroed(room, sizeof *list.at);
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        for (uint32_t n = 0; n < s->classes[c].count; n++)
            add_told(&list, &s->classes[c].keys[n]);
    qsort(list.at, list.count, sizeof *list.at, by_begin);
    for (size_t i = list.count; i-- > 1;)
        if (list.at[i].told_ns < list.at[i - 1].told_ns)
            list.at[i - 1].told_ns = list.at[i].told_ns;
    return list;
}

/* When the feed had told of a change that began after t; NEVER: of none. */
static uint64_t passed_ns(const struct told_list *list, uint64_t t)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[middle].begin_ns > t)
            high = middle;
        else
            low = middle + 1;
    }
    return low < list->count ? list->at[low].told_ns : NEVER - PASSED_NS;
}

static void read_gaps(struct rows *s, const struct record *records, size_t count, uint32_t class,
                      const struct told_list *told)
{
    struct row_class *c = &s->classes[class];
    if (!(c->flags & CLASS_FED))
        return;
    struct gaps g = find_gaps(records, count, class);
    for (uint32_t n = 0; n < c->count; n++) {
        for (uint32_t v = 0; v < c->keys[n].count; v++) {
            struct row *row = &c->keys[n].rows[v];
            if (!row->exists || row->told_ns != 0)
                continue;
            row->gap_ns = row->seen_ns == NEVER ? 0 : first_after(&g, row->seen_ns);
            /* The gap was told of between the commit and its answer: it binds from the answer on.
             */
            if (row->gap_ns == 0 && first_after(&g, row->begin_ns) != 0)
                row->gap_ns = row->seen_ns;
            uint64_t gap_ns = first_after(&g, row->begin_ns);
            row->missed = row->seen_ns != NEVER &&
                          (gap_ns == 0 || gap_ns > passed_ns(told, row->seen_ns) + PASSED_NS);
        }
    }
    free(g.at);
}

void rows_init(struct rows *s, const struct record *records, size_t count)
{
    *s = (struct rows){0};
    measure_keys(s, records, count);
    measure_versions(s, records, count);
    read_writes(s, records, count);
    read_notices(s, records, count);
    struct told_list told = find_told(s);
    for (uint32_t c = 0; c < HISTORY_CLASSES; c++) {
        read_gaps(s, records, count, c, &told);
        for (uint32_t n = 0; n < s->classes[c].count; n++)
            close_times(&s->classes[c].keys[n]);
    }
    free(told.at);
}

void rows_fini(struct rows *s)
{
    for (unsigned c = 0; c < HISTORY_CLASSES; c++) {
        for (uint32_t n = 0; n < s->classes[c].count; n++)
            free(s->classes[c].keys[n].rows);
        free(s->classes[c].keys);
    }
}

/* ---- questions ---- */

const struct row_key *rows_key(const struct rows *s, uint32_t key)
{
    if (key_class(key) >= HISTORY_CLASSES || key_number(key) >= s->classes[key_class(key)].count)
        return NULL;
    return &s->classes[key_class(key)].keys[key_number(key)];
}

const struct row *rows_at(const struct row_key *k, int64_t version)
{
    if (version < 1 || version > k->count || !k->rows[version - 1].exists)
        return NULL;
    return &k->rows[version - 1];
}

int64_t rows_committed(const struct row_key *k, uint64_t t_ns)
{
    uint32_t low = 0, high = k->count; /* versions up to low are, those above high are not */
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (k->rows[middle - 1].end_ns < t_ns)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int64_t rows_absent(const struct row_key *k, uint64_t t_ns)
{
    for (uint32_t v = k->count; v > 0; v--) {
        const struct row *row = &k->rows[v - 1];
        if (row->exists && row->deleted && row->begin_ns < t_ns)
            return v;
    }
    return 0;
}

int64_t rows_find(const struct row_key *k, uint64_t content)
{
    for (uint32_t v = k->count; v > 0; v--)
        if (k->rows[v - 1].exists && !k->rows[v - 1].deleted && k->rows[v - 1].content == content)
            return v;
    return 0;
}
