#include "rules.h"

#include "rows.h"

#include <err.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define EXAMPLES    5
#define ROUNDING_NS 3000000 /* ages and load times are told in milliseconds */

static const char *const names[RULE_COUNT] = {"G1", "G2",    "G4",    "G5",
                                              "G6", "write", "final", "answer"};

const char *rule_name(unsigned rule)
{
    return rule < RULE_COUNT ? names[rule] : "?";
}

/* What binds the gets of a key that begin now. */
struct key_state {
    int64_t invalidated; /* the highest version of an invalidation that ended */
    int64_t told;        /* the same by the feed */
    int64_t written;     /* the highest version of a put or delete that ended */
    uint64_t fence_ns;   /* the latest begin of a plain invalidation that ended */
    uint64_t unknown_ns; /* the same of a put whose outcome is not known */
};

struct begin {
    uint64_t at_ns;
    size_t record;
};

struct sweep {
    const struct record *records;
    size_t count;
    struct rows rows;
    struct key_state *keys[HISTORY_CLASSES];
    uint64_t match_ns[HISTORY_CLASSES][HISTORY_DIGITS + 1]; /* as fence_ns */
    uint64_t tag_ns[HISTORY_TAGS];
    struct begin *begins;
    size_t *sets, set_count; /* records of OP_SET by key */
    size_t *cuts, cut_count;
    FILE *out;
    struct verdict *verdict;
};

/* A read, and what it is compared with. */
struct reading {
    const struct record *r;
    const struct row_key *key;
    const struct row_class *class;
    const struct key_state *state;
    int64_t version;       /* of the value, or of the absence */
    const struct row *row; /* NULL where absent */
};

__attribute__((format(printf, 4, 5))) static void
violated(const struct sweep *s, enum rule rule, const struct record *r, const char *format, ...)
{
    if (s->verdict->violated[rule]++ >= EXAMPLES || !s->out)
        return;
    va_list args;
    va_start(args, format);
    fprintf(s->out, "%s violated: ", names[rule]);
    vfprintf(s->out, format, args);
    fputs("\n    ", s->out);
    record_print(s->out, r);
    va_end(args);
}

/* ---- what an end brings into force ---- */

static void raise_to(int64_t *floor, int64_t version)
{
    if (version > *floor)
        *floor = version;
}

static void move_to(uint64_t *fence, uint64_t t_ns)
{
    if (t_ns > *fence)
        *fence = t_ns;
}

static void end_invalidate(struct key_state *k, const struct record *r)
{
    if (r->wanted)
        raise_to(&k->invalidated, r->wanted);
    else
        move_to(&k->fence_ns, r->begin_ns);
}

static void end_write(const struct sweep *s, struct key_state *k, const struct record *r)
{
    const struct row_key *key = rows_key(&s->rows, r->key);
    int64_t version = r->version ? r->version : r->content ? rows_find(key, r->content) : 0;
    if (r->result == RESULT_ERROR) {
        if (r->code == CODE_WRITE_UNKNOWN)
            move_to(&k->unknown_ns, r->begin_ns);
        return;
    }
    const struct row *row = rows_at(key, version);
    if (version && (!row || (r->content && row->content != r->content)))
        violated(s, RULE_WRITE, r, "the answer names a version that is another's in the database");
    else
        raise_to(&k->written, version);
}

static void on_end(struct sweep *s, const struct record *r)
{
    if (r->result == RESULT_ERROR && r->op != OP_PUT && r->op != OP_DELETE)
        return;
    struct key_state *k = NULL;
    if (key_class(r->key) < HISTORY_CLASSES && s->keys[key_class(r->key)] &&
        rows_key(&s->rows, r->key))
        k = &s->keys[key_class(r->key)][key_number(r->key)];
    switch (r->op) {
    case OP_INVALIDATE: end_invalidate(k, r); break;
    case OP_NOTICE: raise_to(&k->told, r->version); break;
    case OP_PUT:
    case OP_DELETE: end_write(s, k, r); break;
    case OP_INVALIDATE_TAG: move_to(&s->tag_ns[r->tag % HISTORY_TAGS], r->begin_ns); break;
    case OP_INVALIDATE_MATCH:
        move_to(&s->match_ns[key_class(r->key)][r->tag <= HISTORY_DIGITS ? r->tag : 0],
                r->begin_ns);
        break;
    default: break;
    }
}

/* ---- reads ---- */

/* Whether a set brought this version in after a fence: a set is no load. */
static bool was_set(const struct sweep *s, const struct reading *g, uint64_t fence_ns)
{
    size_t low = 0, high = s->set_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->records[s->sets[middle]].key < g->r->key)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < s->set_count && s->records[s->sets[low]].key == g->r->key; low++) {
        const struct record *set = &s->records[s->sets[low]];
        if (set->version == g->version && set->end_ns > fence_ns && set->begin_ns < g->r->end_ns)
            return true;
    }
    return false;
}

static void check_floor(const struct sweep *s, const struct reading *g, enum rule rule,
                        int64_t floor, const char *why)
{
    if (!floor)
        return;
    s->verdict->checked[rule]++;
    if (g->version < floor)
        violated(s, rule, g->r, "version %" PRId64 " where %s %" PRId64, g->version, why, floor);
}

/* What was loaded before the fence is not served; only where loads see what is committed. */
static void check_fence(const struct sweep *s, const struct reading *g, enum rule rule,
                        uint64_t fence_ns, const char *why)
{
    if (!fence_ns || (g->class->flags & CLASS_REPLICA))
        return;
    int64_t floor = rows_committed(g->key, fence_ns);
    s->verdict->checked[rule] += floor > 0;
    if (g->version < floor && !was_set(s, g, fence_ns))
        violated(s, rule, g->r, "version %" PRId64 " where %s and %" PRId64 " was committed before",
                 g->version, why, floor);
}

static void check_fences(const struct sweep *s, const struct reading *g)
{
    uint32_t number = key_number(g->r->key);
    const uint64_t *match = s->match_ns[key_class(g->r->key)];
    check_fence(s, g, RULE_G1, g->state->fence_ns, "the key was invalidated");
    check_fence(s, g, RULE_WRITE, g->state->unknown_ns, "a write's outcome was unknown");
    check_fence(s, g, RULE_G1, match[number % HISTORY_DIGITS], "a pattern was invalidated");
    check_fence(s, g, RULE_G1, match[HISTORY_DIGITS], "all keys were invalidated");
    if (g->row)
        check_fence(s, g, RULE_G1, s->tag_ns[g->row->tag % HISTORY_TAGS],
                    "its tag was invalidated");
}

/* An absence may be a row that is wanted before its time; once it is committed it is none. */
static void check_min_version(const struct sweep *s, const struct reading *g)
{
    int64_t wanted = g->r->wanted;
    if (!g->row && wanted > rows_committed(g->key, g->r->begin_ns))
        return;
    check_floor(s, g, RULE_G2, wanted, "min_version was");
}

static bool is_fresh(unsigned status)
{
    return status == STATUS_HIT || status == STATUS_MISS || status == STATUS_NEGATIVE;
}

static bool is_cut(const struct sweep *s, const struct record *r)
{
    for (size_t i = 0; i < s->cut_count; i++) {
        const struct record *cut = &s->records[s->cuts[i]];
        if (cut->begin_ns < r->begin_ns && r->end_ns < cut->end_ns)
            return true;
    }
    return false;
}

static void check_feed(const struct sweep *s, const struct reading *g)
{
    if (!(g->class->flags & CLASS_FED))
        return;
    check_floor(s, g, RULE_G5, g->state->told, "the feed had told of");
    if (g->r->status && is_cut(s, g->r)) {
        s->verdict->checked[RULE_G5]++;
        if (g->r->status == STATUS_HIT)
            violated(s, RULE_G5, g->r, "fresh while the feed is cut");
    }
    if (!is_fresh(g->r->status) || (g->class->flags & CLASS_REPLICA))
        return;
    for (int64_t v = g->key->count; v > g->version; v--) {
        const struct row *row = rows_at(g->key, v);
        if (!row || !row->gap_ns || row->gap_ns >= g->r->begin_ns)
            continue;
        s->verdict->checked[RULE_G5]++;
        violated(s, RULE_G5, g->r, "fresh, and from before the gap that swallowed version %" PRId64,
                 v);
        return;
    }
}

static void check_freshness(const struct sweep *s, const struct reading *g)
{
    const struct record *r = g->r;
    if (r->status == STATUS_UNKNOWN)
        return;
    s->verdict->checked[RULE_G6]++;
    /* An absence that was loaded for this read is "negative" too, and 0 ms old. */
    bool stored = r->status == STATUS_HIT || (r->status == STATUS_NEGATIVE && r->age_ms > 0);
    if (stored && r->ttl_ms != INT32_MAX && r->ttl_ms < 0)
        violated(s, RULE_G6, r, "fresh, and past its ttl by %d ms", -r->ttl_ms);
    else if (stored && g->class->ttl_ms && r->age_ms > (uint32_t)g->class->ttl_ms + 2)
        violated(s, RULE_G6, r, "fresh, and %u ms old where its ttl is %d ms", r->age_ms,
                 g->class->ttl_ms);
    /* The age of a stale entry may count from the expire that made it stale. */
    if (r->status != STATUS_HIT || !r->load_us || (g->class->flags & CLASS_REPLICA))
        return;
    uint64_t age_ns = (uint64_t)r->age_ms * 1000000 + (uint64_t)r->load_us * 1000 + ROUNDING_NS;
    int64_t floor = r->begin_ns > age_ns ? rows_committed(g->key, r->begin_ns - age_ns) : 0;
    if (g->version < floor)
        violated(s, RULE_G6, r,
                 "version %" PRId64 " is said to be loaded when %" PRId64 " was committed",
                 g->version, floor);
}

/* Whether it is a state of the key at all. */
static bool check_content(const struct sweep *s, struct reading *g)
{
    const struct record *r = g->r;
    if (r->result == RESULT_ABSENT) {
        g->version = rows_absent(g->key, r->end_ns);
        return true;
    }
    s->verdict->checked[RULE_G4]++;
    g->version = r->version;
    g->row = rows_at(g->key, r->version);
    const char *what = NULL;
    if (r->content == CONTENT_BROKEN)
        what = "bytes that nobody wrote";
    else if (!g->row || g->row->deleted)
        what = "a version that the database never had";
    else if (g->row->content != r->content)
        what = "the version of another content";
    else if (g->row->begin_ns > r->end_ns)
        what = "a version that was not written yet";
    else if (r->told && r->told != r->version)
        what = "the server names another version than the row has";
    else if (!r->told && r->status != STATUS_UNKNOWN && (g->class->flags & CLASS_VERSIONED))
        what = "the server names no version";
    if (what)
        violated(s, RULE_G4, r, "%s", what);
    return !what || g->row;
}

static void check_final(const struct sweep *s, const struct reading *g)
{
    const struct row *last = rows_at(g->key, g->key->count);
    bool absent = !last || last->deleted;
    s->verdict->checked[RULE_FINAL]++;
    if (absent == (g->row != NULL) || (g->row && g->version != g->key->count))
        violated(s, RULE_FINAL, g->r, "the database holds version %u%s", g->key->count,
                 absent ? ", deleted" : "");
}

static void on_read(struct sweep *s, const struct record *r)
{
    struct verdict *v = s->verdict;
    v->reads++;
    v->status[r->status < STATUS_COUNT ? r->status : 0]++;
    if (r->result == RESULT_ERROR && r->op == OP_FINAL)
        violated(s, RULE_FINAL, r, "an error");
    if (r->result != RESULT_VALUE && r->result != RESULT_ABSENT)
        return;
    struct reading g = {
        .r = r,
        .key = rows_key(&s->rows, r->key),
        .class = &s->rows.classes[key_class(r->key)],
        .state = &s->keys[key_class(r->key)][key_number(r->key)],
    };
    if (!check_content(s, &g))
        return;
    check_floor(s, &g, RULE_G1, g.state->invalidated, "an invalidation had named");
    check_floor(s, &g, RULE_WRITE, g.state->written, "a write had given");
    check_fences(s, &g);
    if (r->wanted)
        check_min_version(s, &g);
    check_feed(s, &g);
    check_freshness(s, &g);
    if (r->op == OP_FINAL)
        check_final(s, &g);
}

static void on_begin(struct sweep *s, const struct record *r)
{
    struct verdict *v = s->verdict;
    v->checked[RULE_ANSWER]++;
    v->operations++;
    v->codes[r->code < CODE_COUNT ? r->code : CODE_OTHER]++;
    if (r->result == RESULT_NONE)
        violated(s, RULE_ANSWER, r, "no answer came");
    else if (r->code >= CODE_OTHER)
        violated(s, RULE_ANSWER, r, "an error that nothing in the run accounts for");
    if (r->op >= OP_GET && r->op <= OP_FINAL)
        on_read(s, r);
    else
        v->changes++;
}

/* ---- the feed as a whole ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_told(const struct sweep *s, uint32_t key, int64_t version, const struct row *row)
{
    s->verdict->checked[RULE_G5]++;
    if (row->told_ns) {
        s->verdict->told++;
        return;
    }
    s->verdict->untold++;
    if (!row->missed || s->rows.lost_ns > row->begin_ns)
        return;
    struct record r = {.begin_ns = row->begin_ns,
                       .end_ns = row->seen_ns,
                       .op = OP_WRITE,
                       .key = key,
                       .version = version,
                       .content = row->content};
    violated(s, RULE_G5, &r, "the feed told neither of it nor of a gap in its place");
}

static void check_feed_rows(const struct sweep *s)
{
    size_t room = 0, lags = 0;
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        for (uint32_t n = 0; n < s->rows.classes[c].count; n++)
            room += s->rows.classes[c].keys[n].count;
    double *lag = calloc(room + 1, sizeof *lag);
    if (!lag)
        err(2, "memory");
    for (uint32_t c = 0; c < HISTORY_CLASSES; c++) {
        const struct row_class *class = &s->rows.classes[c];
        for (uint32_t n = 0; n < class->count && (class->flags & CLASS_FED); n++)
            for (uint32_t v = 1; v <= class->keys[n].count; v++) {
                const struct row *row = rows_at(&class->keys[n], v);
                if (!row)
                    continue;
                check_told(s, key_of(c, n), v, row);
                if (row->told_ns && row->seen_ns != NEVER)
                    lag[lags++] = row->told_ns > row->seen_ns
                                      ? (double)(row->told_ns - row->seen_ns) / 1e6
                                      : 0;
            }
    }
    qsort(lag, lags, sizeof *lag, by_value);
    if (lags) {
        s->verdict->lag_ms[0] = lag[lags / 2];
        s->verdict->lag_ms[1] = lag[lags * 99 / 100];
        s->verdict->lag_ms[2] = lag[lags - 1];
    }
    free(lag);
}

/* ---- the sweep ---- */

static int by_begin(const void *a, const void *b)
{
    const struct begin *x = a, *y = b;
    return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

static int by_key(const void *a, const void *b, void *records)
{
    const struct record *all = records;
    uint32_t x = all[*(const size_t *)a].key, y = all[*(const size_t *)b].key;
    return (x > y) - (x < y);
}

static void *room_for(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p)
        err(2, "memory");
    return p;
}

static bool is_operation(unsigned op)
{
    return op != OP_CLASS && op != OP_ROW && op != OP_NOTICE && op != OP_GAP && op != OP_LOST &&
           op != OP_CUT;
}

static void sweep_init(struct sweep *s, size_t *operations)
{
    size_t begins = 0;
    rows_init(&s->rows, s->records, s->count);
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        s->keys[c] = room_for(s->rows.classes[c].count, sizeof *s->keys[c]);
    s->begins = room_for(s->count, sizeof *s->begins);
    s->sets = room_for(s->count, sizeof *s->sets);
    s->cuts = room_for(s->count, sizeof *s->cuts);
    for (size_t i = 0; i < s->count; i++) {
        const struct record *r = &s->records[i];
        if (is_operation(r->op))
            s->begins[begins++] = (struct begin){r->begin_ns, i};
        if (r->op == OP_SET && r->result != RESULT_NONE)
            s->sets[s->set_count++] = i;
        if (r->op == OP_CUT)
            s->cuts[s->cut_count++] = i;
        s->verdict->gaps += r->op == OP_GAP;
    }
    qsort(s->begins, begins, sizeof *s->begins, by_begin);
    qsort_r(s->sets, s->set_count, sizeof *s->sets, by_key, (void *)s->records);
    *operations = begins;
}

static void sweep_fini(struct sweep *s)
{
    for (unsigned c = 0; c < HISTORY_CLASSES; c++)
        free(s->keys[c]);
    free(s->begins);
    free(s->sets);
    free(s->cuts);
    rows_fini(&s->rows);
}

void rules_check(const struct record *records, size_t count, FILE *out, struct verdict *v)
{
    struct sweep s = {.records = records, .count = count, .out = out, .verdict = v};
    size_t operations, next = 0;
    uint64_t last_ns = 0;
    *v = (struct verdict){.told = 0};
    sweep_init(&s, &operations);
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        if (r->op == OP_ROW || r->op == OP_CLASS)
            continue;
        if (r->end_ns < last_ns)
            errx(2, "record %zu ends before the one in front of it", i);
        last_ns = r->end_ns;
        while (next < operations && s.begins[next].at_ns <= r->end_ns)
            on_begin(&s, &records[s.begins[next++].record]);
        if (r->result != RESULT_NONE)
            on_end(&s, r);
    }
    check_feed_rows(&s);
    sweep_fini(&s);
}
