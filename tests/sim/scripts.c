/* What core/load runs, in place of bind/runtime.h: scripts that read a row, or write one, and the
 * source between. A run asks at one moment, is answered at a later one, and may end in any way that
 * runtime.h has for it. */
#include "sim.h"

#include "bind/runtime.h"
#include "wire/mpw.h"

#include <stdlib.h>

/* ---- the runtime ---- */

struct runtime {
    int refs, scripts;
};

int runtime_new(struct runtime **out, const struct runtime_options *o, struct err *e)
{
    (void)o;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "no memory for a runtime");
    (*out)->refs = 1;
    return 0;
}

int runtime_add_loader(struct runtime *rt, const struct conf_loader *l, int *script, struct err *e)
{
    (void)l, (void)e;
    *script = rt->scripts++;
    return 0;
}

bool runtime_has(const struct runtime *rt, int script, enum run_what what)
{
    (void)rt, (void)script, (void)what;
    return true;
}

uint64_t runtime_fingerprint(const struct runtime *rt, int script)
{
    (void)rt;
    return (uint64_t)script;
}

struct runtime *runtime_ref(struct runtime *rt)
{
    rt->refs++;
    return rt;
}

void runtime_unref(struct runtime *rt)
{
    if (rt && --rt->refs == 0)
        free(rt);
}

/* No VM is ever replaced, for none says that it is full. */
void runtime_replace(struct runtime *rt, struct runtime *before)
{
    (void)rt, (void)before;
}

bool runtime_is_idle(const struct runtime *rt)
{
    (void)rt;
    return true;
}

void runtime_end_runs(struct runtime *rt)
{
    (void)rt;
}

void runtime_absorb(struct runtime *rt, const struct runtime *before)
{
    (void)rt, (void)before;
}

/* No script takes any time of the thread. */
void runtime_turn(struct runtime *rt, int64_t us)
{
    (void)rt, (void)us;
}

bool runtime_waits(const struct runtime *rt, int64_t *ahead_us)
{
    (void)rt, (void)ahead_us;
    return false;
}

void runtime_go_on(struct runtime *rt)
{
    (void)rt;
}

int64_t runtime_ahead_us(const struct runtime *rt, int script)
{
    (void)rt, (void)script;
    return 0;
}

void runtime_awake(struct runtime *rt, int script)
{
    (void)rt, (void)script;
}

/* The loader thread makes a configuration its current one. */
void runtime_carry_accounts(struct runtime *rt, const struct runtime *before)
{
    (void)rt, (void)before;
    sim_note(the_sim, (struct event){.kind = DID_RELOAD, .key = -1});
}

void runtime_read_stats(const struct runtime *rt, struct runtime_stats *out)
{
    (void)rt;
    *out = (struct runtime_stats){0};
}

void runtime_add_stats(struct runtime_stats *to, const struct runtime_stats *more)
{
    (void)to, (void)more;
}

/* ---- its backends: only whether two are one is asked of them ---- */

static void backend_gone(struct backend *b)
{
    free(b);
}

int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e)
{
    static const struct backend_ops ops = {.free = backend_gone};
    (void)loop, (void)share;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "no memory for a backend");
    **out = (struct backend){.ops = &ops, .name = conf->name, .refs = 1};
    return 0;
}

/* ---- results ---- */

static struct run_result result_of(enum run_outcome outcome)
{
    struct run_result r = {
        .outcome = outcome, .health = HEALTH_GOOD, .ttl_ms = -1, .stale_ttl_ms = -1};
    buf_init(&r.value, 0);
    buf_init(&r.tags, 0);
    return r;
}

static void result_fini(struct run_result *r)
{
    buf_fini(&r->value);
    buf_fini(&r->tags);
}

static struct run_result failure_of(int code)
{
    struct run_result r = result_of(RUN_FAILED);
    r.retryable = err_retryable(code);
    err_set(&r.err, code, "simulated");
    return r;
}

static void give_bytes(struct run_result *r, struct slice bytes)
{
    if (buf_append(&r->value, bytes.data, bytes.size) != 0)
        abort();
}

static void give_tags(struct run_result *r, uint8_t tags)
{
    r->has_tags = true;
    if (tags == 0)
        return;
    int rc = mpw_array(&r->tags, (uint32_t)__builtin_popcount(tags));
    for (int i = 0; i < HISTORY_TAGS && rc == 0; i++) {
        char name[2] = {(char)('0' + i), 0};
        if (tags & 1 << i)
            rc = mpw_str(&r->tags, slice_str(name));
    }
    if (rc != 0)
        abort();
}

/* The run is over, and what comes of it happens in this call. */
static void end(struct run *run, struct run_result *r)
{
    run->in_air = false;
    run->done(run, r, run->arg);
    result_fini(r);
    platform_turn(the_sim->loader_loop);
}

/* ---- loads ---- */

static int64_t some_time(struct sim *s)
{
    if (s->healing)
        return 1;
    if (sim_chance(s, s->k.slow_percent))
        return sim_up_to(s, s->k.load_timeout_ms);
    return sim_up_to(s, 6);
}

/* What the script makes of one row. */
static struct run_result row_result(struct sim *s, const struct run *run, int i)
{
    int key = run->keys[i], version = run->versions[i];
    const struct row *row = &s->rows[key];
    const struct state *state = &row->states[version];
    struct run_result r = result_of(run->unchanged[i] ? RUN_UNCHANGED
                                    : state->absent   ? RUN_ABSENT
                                                      : RUN_FOUND);
    int wrong = s->plant == PLANT_WRONG && version > 0 && sim_chance(s, 2);
    if (r.outcome == RUN_FOUND)
        give_bytes(&r, source_value(s, key, version - wrong));
    r.has_version = row->versioned && !state->absent;
    r.version = r.has_version ? version : 0;
    r.no_store = !s->healing && sim_chance(s, 2);
    if (sim_chance(s, 5))
        r.ttl_ms = 1 + sim_up_to(s, 100); /* its own */
    if (row->tagged && !state->absent && !(run->unchanged[i] && sim_chance(s, 50)))
        give_tags(&r, state->tags);
    return r;
}

/* The whole run fails: of its source, or of one of its keys. */
static void fail_run(struct sim *s, struct run *run)
{
    int luck = (int)rng_below(&s->rng, 100);
    struct run_result r = failure_of(luck < 70 ? ERR_BACKEND_DOWN : ERR_LOAD_FAILED);
    r.health = luck < 70 ? HEALTH_BAD : luck < 90 ? HEALTH_GOOD : HEALTH_UNKNOWN;
    r.full = luck >= 95;
    r.divisible = run->many && luck >= 75;
    r.poisoned = run->many && luck >= 90;
    r.poison = (int)sim_up_to(s, run->count) - 1;
    end(run, &r);
}

static void answer_many(struct sim *s, struct run *run)
{
    struct run_result each[SIM_BATCH], all = result_of(RUN_DONE);
    for (int i = 0; i < run->count; i++) {
        bool fails = !s->healing && sim_chance(s, s->k.fail_percent / 2);
        each[i] = fails ? failure_of(sim_chance(s, 50) ? ERR_BACKEND_DOWN : ERR_LOAD_FAILED)
                        : row_result(s, run, i);
        each[i].apart = fails && sim_chance(s, 50);
    }
    all.many = each;
    all.many_count = (unsigned)run->count;
    end(run, &all);
    for (int i = 0; i < run->count; i++)
        result_fini(&each[i]);
}

static void on_answer(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct run *run = arg;
    if (!run->in_air)
        return;
    if (run->fails) {
        fail_run(s, run);
    } else if (run->many) {
        answer_many(s, run);
    } else {
        struct run_result r = row_result(s, run, 0);
        end(run, &r);
    }
}

/* The source is read: one moment for all keys of the run. */
static void on_read(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct run *run = arg;
    for (int i = 0; i < run->count && run->in_air; i++) {
        const struct row *row = &s->rows[run->keys[i]];
        int version = run->versions[i] = run->primary ? row->shown : row->applied;
        bool absent = row->states[version].absent;
        run->unchanged[i] = run->had[i] == version && !absent && !s->healing &&
                            sim_chance(s, s->k.unchanged_percent);
        sim_note(s,
                 (struct event){
                     .kind = DID_READ,
                     .key = run->keys[i],
                     .read = run->reads[i],
                     .version = version,
                     .tags = absent ? 0 : row->states[version].tags,
                     .flags = (run->primary ? F_PRIMARY : 0) | (absent ? F_ABSENT : 0) |
                              (run->unchanged[i] ? F_UNCHANGED : 0) |
                              (row->versioned ? F_VERSIONED : 0) | (run->count > 1 ? F_BATCH : 0),
                 });
    }
    task_in(s, run->answer_ms, on_answer, run, 0);
}

static void begin_key(struct sim *s, struct run *run, struct slice name, struct entry *stored)
{
    int i = run->count++, key = sim_key_of(s, name);
    struct sent *ld = witness_of(s, key);
    ld->read = sim_next_read(s);
    run->keys[i] = key;
    run->reads[i] = ld->read;
    run->had[i] = stored ? source_version_of(s, key, entry_value(stored)) : -1;
    sim_note(s, (struct event){.kind = DID_ATTEMPT, .key = key, .id = ld->id, .read = ld->read});
}

static void begin_load(struct sim *s, struct run *run, const struct run_request *q)
{
    run->many = q->what == RUN_LOAD_MANY;
    run->primary = q->backend == 0;
    run->fails = !s->healing && sim_chance(s, s->k.fail_percent);
    run->answer_ms = some_time(s);
    if (!run->many)
        begin_key(s, run, q->key, q->stored);
    for (unsigned i = 0; run->many && i < q->key_count; i++)
        begin_key(s, run, q->keys[i].key, q->keys[i].stored);
    if (run->fails && sim_chance(s, 10))
        fail_run(s, run); /* before it could ask */
    else
        task_in(s, some_time(s), on_read, run, 0);
}

/* ---- writes ---- */

static void late_commit(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    const struct put_of *p = arg;
    bool absent = p->write.what == WRITE_DELETE;
    if (!source_locked(s, p->key) && s->now_ms < p->doubt_until_ms)
        source_commit(
            s, &(struct commit){.key = p->key, .read = p->read, .absent = absent, .doubted = true});
}

/* Its answer did not come: it has taken place, or may still, or not at all. */
static void leave_in_doubt(struct sim *s, struct put_of *p)
{
    if (!p->committed && !s->healing && sim_chance(s, 70))
        task_in(s, sim_up_to(s, s->k.write_timeout_ms - 1), late_commit, p, 0);
}

static void give_row(struct sim *s, const struct put_of *p, struct run_result *r)
{
    const struct row *row = &s->rows[p->key];
    bool tells = r->outcome == RUN_FOUND || sim_chance(s, 70);
    r->has_version = row->versioned && tells;
    r->version = r->has_version ? p->version : 0;
    if (r->outcome != RUN_FOUND)
        return;
    give_bytes(r, source_value(s, p->key, p->version));
    if (!p->untagged)
        give_tags(r, row->states[p->version].tags);
    else
        r->has_tags = s->plant == PLANT_UNTAGGED;
}

static void on_written(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct run *run = arg;
    struct put_of *p = run->put;
    if (!run->in_air)
        return;
    struct run_result r;
    if (p->committed && p->fate == FATE_OK) {
        bool found = p->write.what == WRITE_PUT && !sim_chance(s, 15);
        r = result_of(found ? RUN_FOUND : RUN_DONE);
        r.effect = sim_chance(s, 5) ? EFFECT_UNKNOWN : EFFECT_SOME; /* another query was lost */
        give_row(s, p, &r);
    } else {
        r = failure_of(ERR_LOAD_FAILED);
        r.effect = p->committed || sim_chance(s, 50) ? EFFECT_SOME : EFFECT_NONE;
    }
    end(run, &r);
}

/* Its connection breaks. */
static void on_broken(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct run *run = arg;
    if (!run->in_air)
        return;
    struct run_result r = failure_of(ERR_BACKEND_DOWN);
    r.effect = EFFECT_UNKNOWN;
    leave_in_doubt(s, run->put);
    end(run, &r);
}

static void on_source(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct run *run = arg;
    struct put_of *p = run->put;
    static const int takes_place[] = {
        [FATE_OK] = 100, [FATE_REFUSED] = 20, [FATE_LOST] = 40, [FATE_UNSENT] = 0};
    if (!run->in_air)
        return;
    bool may = sim_chance(s, takes_place[p->fate]);
    if (may && source_locked(s, p->key)) {
        task_in(s, 2, on_source, run, 0); /* it waits for the row, at most until its deadline */
        return;
    }
    struct commit c = {.key = p->key, .read = p->read, .absent = p->write.what == WRITE_DELETE};
    if (may && source_commit(s, &c)) {
        p->committed = true;
        p->version = s->rows[p->key].head;
    }
    if (p->fate != FATE_LOST)
        task_in(s, sim_up_to(s, sim_chance(s, 15) ? s->k.write_timeout_ms : 4), on_written, run, 0);
    else if (sim_chance(s, 50))
        task_in(s, sim_up_to(s, 10), on_broken, run, 0);
}

static enum fate some_fate(struct sim *s)
{
    int luck = (int)rng_below(&s->rng, 100) - s->k.lost_percent;
    return luck < 0 ? FATE_LOST : luck < 8 ? FATE_REFUSED : luck < 11 ? FATE_UNSENT : FATE_OK;
}

static void begin_write(struct sim *s, struct run *run)
{
    struct put_of *p = run->put = s->putting;
    p->read = sim_next_read(s);
    p->fate = some_fate(s);
    sim_note(s, (struct event){
                    .kind = DID_WRITE,
                    .key = p->key,
                    .read = p->read,
                    .flags = p->write.what == WRITE_DELETE ? F_ABSENT : 0,
                });
    if (p->fate != FATE_UNSENT)
        task_in(s, sim_up_to(s, 6), on_source, run, 0);
}

/* ---- runs ---- */

int run_start(struct run **out, struct runtime *rt, const struct run_request *q, struct err *e)
{
    (void)rt;
    struct sim *s = the_sim;
    *out = NULL;
    if (!s->healing && sim_chance(s, 1))
        return err_set(e, ERR_NOMEM, "simulated");
    struct run *run = &s->runs[s->run_count++]; /* there are fewer than attempts and writes */
    *run = (struct run){.in_air = true, .done = q->done, .arg = q->arg};
    if (q->what == RUN_LOAD || q->what == RUN_LOAD_MANY)
        begin_load(s, run, q);
    else
        begin_write(s, run);
    *out = run->in_air ? run : NULL;
    return 0;
}

enum run_effect run_cancel(struct run *run)
{
    struct put_of *p = run->put;
    run->in_air = false;
    if (!p || p->fate == FATE_UNSENT)
        return EFFECT_NONE;
    leave_in_doubt(the_sim, p);
    return EFFECT_UNKNOWN;
}

enum run_health run_time_out(struct run *run)
{
    run_cancel(run);
    return sim_chance(the_sim, 70) ? HEALTH_BAD : HEALTH_UNKNOWN;
}
