/* What passes between files of core/load, noted in the history as it happens. The linker puts each
 * __wrap_x here in the place of x, which is __real_x then (CMakeLists.txt).
 *
 * Two things it changes. The time that a load took carries the number of its attempt, so that each
 * answer tells what brought it: no other reader of that time is simulated. And there is no memory
 * now and then. */
#include "sim.h"

#include "load/load.h"
#include "load/write_entry.h"

#include <stdlib.h>

void __real_loader_thread_submit(struct loader_thread *t, struct flight *f, struct outbox *out);
void __wrap_loader_thread_submit(struct loader_thread *t, struct flight *f, struct outbox *out);
void __real_flights_begin(struct flights *fl, struct flight *f, const struct beginning *b,
                          struct begun *out);
void __wrap_flights_begin(struct flights *fl, struct flight *f, const struct beginning *b,
                          struct begun *out);
struct seat *__real_seat_new(struct binding *b, struct flight *f);
struct seat *__wrap_seat_new(struct binding *b, struct flight *f);
struct load *__real_load_new(struct binding *b, void (*done)(const struct load_ended *e, void *arg),
                             void *arg);
struct load *__wrap_load_new(struct binding *b, void (*done)(const struct load_ended *e, void *arg),
                             void *arg);
void __real_load_take(struct load *ld, struct seat *seat, bool primary);
void __wrap_load_take(struct load *ld, struct seat *seat, bool primary);
bool __real_flights_again(struct flights *fl, struct flight *f, int64_t now_ms);
bool __wrap_flights_again(struct flights *fl, struct flight *f, int64_t now_ms);
bool __real_flights_abandon(struct flights *fl, struct flight *f);
bool __wrap_flights_abandon(struct flights *fl, struct flight *f);
void __real_flights_end(struct flights *fl, struct flight *f, const struct outcome *o,
                        int64_t now_ms, struct verdict *v);
void __wrap_flights_end(struct flights *fl, struct flight *f, const struct outcome *o,
                        int64_t now_ms, struct verdict *v);
int __real_flights_write(struct flights *fl, const struct written *w, bool *stored);
int __wrap_flights_write(struct flights *fl, const struct written *w, bool *stored);
bool __real_write_run_begin(struct write *w, struct binding *b, struct list *running,
                            void (*done)(struct write *w, struct binding *b, void *arg), void *arg);
bool __wrap_write_run_begin(struct write *w, struct binding *b, struct list *running,
                            void (*done)(struct write *w, struct binding *b, void *arg), void *arg);
void __real_write_entry_succeeded(struct write_run *run, const struct run_result *r);
void __wrap_write_entry_succeeded(struct write_run *run, const struct run_result *r);
void __real_write_entry_failed(struct write_run *run, const struct err *err,
                               enum run_effect effect);
void __wrap_write_entry_failed(struct write_run *run, const struct err *err,
                               enum run_effect effect);

/* ---- memory, of which there is none now and then ---- */

static bool has_memory(struct sim *s)
{
    return s->healing || !sim_chance(s, 1);
}

struct seat *__wrap_seat_new(struct binding *b, struct flight *f)
{
    return has_memory(the_sim) ? __real_seat_new(b, f) : NULL;
}

struct load *__wrap_load_new(struct binding *b, void (*done)(const struct load_ended *e, void *arg),
                             void *arg)
{
    return has_memory(the_sim) ? __real_load_new(b, done, arg) : NULL;
}

/* ---- flights ---- */

static struct sent *sent_of(struct sim *s, const struct flight *f)
{
    for (int i = 0; i < s->sent_count; i++)
        if (s->sent[i].flight == f)
            return &s->sent[i];
    fputs("sim: a flight that was never sent\n", stderr);
    abort();
}

struct sent *witness_of(struct sim *s, int key)
{
    return sent_of(s, s->begun[key]);
}

void __wrap_loader_thread_submit(struct loader_thread *t, struct flight *f, struct outbox *out)
{
    struct sim *s = the_sim;
    if (s->load_count == SIM_LOADS || s->sent_count == SIM_SENT) {
        fputs("sim: too many loads\n", stderr);
        abort();
    }
    struct sent *ld = &s->sent[s->sent_count++];
    *ld = (struct sent){.flight = f, .id = ++s->load_count, .key = sim_key_of(s, flight_key(f))};
    struct event e = {
        .kind = DID_LOAD, .key = ld->key, .id = ld->id, .version = (int64_t)f->token.generation};
    sim_note(s, e);
    e.id += SIM_LOADS;
    if (s->plant == PLANT_DOUBLE && sim_chance(s, 5))
        sim_note(s, e);
    __real_loader_thread_submit(t, f, out);
}

static void note_abandoned(struct sim *s, struct sent *ld)
{
    sim_note(s, (struct event){.kind = DID_ABANDONED, .key = ld->key, .id = ld->id});
    *ld = s->sent[--s->sent_count];
}

void __wrap_flights_begin(struct flights *fl, struct flight *f, const struct beginning *b,
                          struct begun *out)
{
    struct sent *ld = sent_of(the_sim, f);
    __real_flights_begin(fl, f, b, out);
    if (!out->wanted)
        note_abandoned(the_sim, ld);
}

/* Its first attempt follows; flights_again is before each other one. */
void __wrap_load_take(struct load *ld, struct seat *seat, bool primary)
{
    the_sim->begun[sent_of(the_sim, seat->flight)->key] = seat->flight;
    __real_load_take(ld, seat, primary);
}

bool __wrap_flights_again(struct flights *fl, struct flight *f, int64_t now_ms)
{
    the_sim->begun[sent_of(the_sim, f)->key] = f;
    return __real_flights_again(fl, f, now_ms);
}

bool __wrap_flights_abandon(struct flights *fl, struct flight *f)
{
    struct sent *ld = sent_of(the_sim, f);
    bool abandoned = __real_flights_abandon(fl, f);
    if (abandoned)
        note_abandoned(the_sim, ld);
    return abandoned;
}

static int64_t dead_ms(int64_t stale_ttl_ms, int64_t keep_ms)
{
    return stale_ttl_ms > keep_ms ? stale_ttl_ms : keep_ms;
}

void __wrap_flights_end(struct flights *fl, struct flight *f, const struct outcome *o,
                        int64_t now_ms, struct verdict *v)
{
    struct sim *s = the_sim;
    struct sent *ld = sent_of(s, f);
    struct outcome numbered = *o;
    numbered.load_us = (uint32_t)ld->read;
    struct event e = {
        .key = ld->key,
        .id = ld->id,
        .read = ld->read,
        .version = o->version,
        .had = sim_stored_version(s, ld->key),
        .ttl_ms = o->ttl_ms > 0 ? o->ttl_ms : 0,
        .dead_ms = dead_ms(o->stale_ttl_ms, o->keep_ms),
        .flags = (o->end == END_ABSENT ? F_ABSENT : 0) | (o->has_version ? F_VERSIONED : 0),
        .code = o->err ? o->err->code : 0,
    };
    __real_flights_end(fl, f, &numbered, now_ms, v);
    e.kind = v->below ? DID_BELOW : DID_END;
    e.flags |= v->stored ? F_STORED : 0;
    sim_note(s, e);
    if (!v->below)
        *ld = s->sent[--s->sent_count];
}

/* ---- writes ---- */

bool __wrap_write_run_begin(struct write *w, struct binding *b, struct list *running,
                            void (*done)(struct write *w, struct binding *b, void *arg), void *arg)
{
    the_sim->putting = container_of(w, struct put_of, write);
    if (!has_memory(the_sim))
        return false;
    return __real_write_run_begin(w, b, running, done, arg);
}

int __wrap_flights_write(struct flights *fl, const struct written *w, bool *stored)
{
    struct sim *s = the_sim;
    static struct put numbered;
    struct written with = *w;
    numbered = *w->put;
    numbered.load_us = (uint32_t)s->putting->read;
    with.put = s->put = &numbered;
    return __real_flights_write(fl, &with, stored);
}

/* What its source has left in doubt. */
static int64_t doubt_ms(struct sim *s, struct put_of *p, bool doubted)
{
    p->doubt_until_ms = doubted ? s->now_ms + s->k.write_timeout_ms : 0;
    return p->doubt_until_ms;
}

static void note_written(struct sim *s, const struct put_of *p, struct event e)
{
    e.kind = DID_WRITTEN;
    e.key = p->key;
    e.read = p->read;
    e.flags |= p->write.what == WRITE_DELETE ? F_ABSENT : 0;
    sim_note_dropped(s);
    sim_note(s, e);
}

void __wrap_write_entry_succeeded(struct write_run *run, const struct run_result *r)
{
    struct sim *s = the_sim;
    struct put_of *p = s->putting = container_of(run->write, struct put_of, write);
    const struct row *row = &s->rows[p->key];
    struct event e = {
        .version = p->version,
        .had = sim_stored_version(s, p->key),
        .tags = row->states[p->version].tags,
        .flags = (row->versioned ? F_VERSIONED : 0) | (r->has_version ? F_HAS_VERSION : 0),
    };
    s->put = NULL;
    if (s->plant != PLANT_DEAF_PUT)
        __real_write_entry_succeeded(run, r);
    if (s->put) {
        e.flags |= p->write.stored ? F_STORED : 0;
        e.ttl_ms = s->put->ttl_ms;
        e.dead_ms = dead_ms(s->put->stale_ttl_ms, s->put->keep_ms);
    } else {
        e.flags |= F_GONE; /* whatever was stored */
    }
    e.until_ms = doubt_ms(s, p, r->effect == EFFECT_UNKNOWN);
    note_written(s, p, e);
}

void __wrap_write_entry_failed(struct write_run *run, const struct err *err, enum run_effect effect)
{
    struct sim *s = the_sim;
    struct put_of *p = container_of(run->write, struct put_of, write);
    __real_write_entry_failed(run, err, effect);
    note_written(s, p,
                 (struct event){
                     .code = p->write.err.code,
                     .flags = effect == EFFECT_NONE ? F_UNDONE : 0,
                     .until_ms = doubt_ms(s, p, effect == EFFECT_UNKNOWN),
                 });
}
