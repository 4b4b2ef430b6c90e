/* What core/server/restart*.c stand on, in place of the real one: the pool, whose work is a task;
 * the machine and its clock; what passes between the server and its files. */
#include "lives.h"

#include "load/proof.h"
#include "server/notify.h"
#include "state/state_reader.h"
#include "state/state_writer.h"
#include "sys/pool.h"

#include <stdlib.h>

/* ---- the pool, and the loop that waits for it ---- */

int pool_new(struct pool **out, struct ev_loop *loop, const struct pool_options *o, struct err *e)
{
    (void)loop, (void)o, (void)e;
    *out = NULL;
    return 0;
}

static void on_work(struct sim *s, void *arg, uint32_t stamp)
{
    struct pool_task *t = arg;
    (void)s, (void)stamp;
    t->work(t, NULL);
    t->done(t);
}

void pool_submit(struct pool *p, struct pool_task *t)
{
    (void)p;
    task_in(the_sim, the_sim->healing ? 0 : sim_up_to(the_sim, 3), on_work, t, 0);
}

void pool_free(struct pool *p)
{
    (void)p;
}

int ev_run(struct ev_loop *loop, int flags)
{
    struct sim *s = the_sim;
    (void)loop, (void)flags;
    if (s->task_count == 0) {
        fputs("sim: a loop that would wait for ever\n", stderr);
        abort();
    }
    tasks_run(s, s->tasks[0].at_ms);
    return 0;
}

void ev_break(struct ev_loop *loop, int how)
{
    (void)loop, (void)how;
}

void notify_extend(struct notify *n, int64_t us)
{
    (void)n, (void)us;
}

/* ---- the machine ---- */

void __wrap_process_boot_id(char out[40]);
void __wrap_process_boot_id(char out[40])
{
    snprintf(out, 40, "boot-%d", the_sim->lives->boot);
}

uint64_t __wrap_rng_os(void);
uint64_t __wrap_rng_os(void)
{
    return rng_next(&the_sim->lives->rng);
}

int64_t __wrap_state_dir_alive_wall_ms(const struct state_dir *d);
int64_t __wrap_state_dir_alive_wall_ms(const struct state_dir *d)
{
    (void)d;
    return the_sim->lives->alive_wall_ms;
}

void __wrap_state_dir_touch(struct state_dir *d);
void __wrap_state_dir_touch(struct state_dir *d)
{
    (void)d;
}

/* ---- the rules, of which a plant takes one out ---- */

enum proof __real_proof_of(const struct proof_start *start, const struct proof_loader *l,
                           bool negative);
enum proof __wrap_proof_of(const struct proof_start *start, const struct proof_loader *l,
                           bool negative);
enum proof __wrap_proof_of(const struct proof_start *start, const struct proof_loader *l,
                           bool negative)
{
    struct proof_start st = *start;
    struct proof_loader ld = *l;
    enum plant plant = the_sim->plant;
    st.whole |= plant == PLANT_P1;
    ld.same |= plant == PLANT_P3;
    st.clock_is_sound |= plant == PLANT_P4;
    if (plant == PLANT_P5)
        st.downtime_ms = 0;
    return __real_proof_of(&st, &ld, negative);
}

void __real_flights_lose_floors(struct flights *fl, int64_t until_ms);
void __wrap_flights_lose_floors(struct flights *fl, int64_t until_ms);
void __wrap_flights_lose_floors(struct flights *fl, int64_t until_ms)
{
    if (the_sim->plant != PLANT_R0)
        __real_flights_lose_floors(fl, until_ms);
}

/* ---- the journal ---- */

static const struct journal_lane *lanes[2]; /* of the clients; of the loader thread */

void __real_journal_note(struct journal_lane *l, const struct journal_record *r);
void __wrap_journal_note(struct journal_lane *l, const struct journal_record *r);
void __wrap_journal_note(struct journal_lane *l, const struct journal_record *r)
{
    struct sim *s = the_sim;
    lanes[l == &s->lane ? 0 : 1] = l;
    __real_journal_note(l, r);
}

void restarted_begin(void)
{
    lanes[0] = lanes[1] = NULL;
}

bool sim_unflushed(const struct sim *s)
{
    const struct journal_lane *own = &s->lane, *other = lanes[1];
    return s->lives->open && !s->lives->ending &&
           (journal_waits(own) || (other && s->changes.journal && journal_waits(other)));
}

/* ---- files: between two blocks others go on, and the server may be killed ---- */

static void step(struct sim *s)
{
    struct lives *l = s->lives;
    if (s->dead)
        return;
    if (l->kill_blocks > 0 && --l->kill_blocks == 0)
        lives_kill(s);
    else if (l->open && !l->ending)
        tasks_run(s, s->now_ms + sim_up_to(s, 2));
}

int __real_state_writer_block(struct state_writer *w, enum block_type type, struct slice body,
                              uint32_t count, struct err *e);
int __wrap_state_writer_block(struct state_writer *w, enum block_type type, struct slice body,
                              uint32_t count, struct err *e);
int __wrap_state_writer_block(struct state_writer *w, enum block_type type, struct slice body,
                              uint32_t count, struct err *e)
{
    if (the_sim->lives->open)
        step(the_sim);
    return __real_state_writer_block(w, type, body, count, e);
}

int __real_state_writer_finish(struct state_writer *w, struct err *e);
int __wrap_state_writer_finish(struct state_writer *w, struct err *e);
int __wrap_state_writer_finish(struct state_writer *w, struct err *e)
{
    struct lives *l = the_sim->lives;
    if (!l->open)
        return __real_state_writer_finish(w, e);
    step(the_sim);
    int rc = __real_state_writer_finish(w, e);
    l->stopped = rc == 0 && l->ending;
    step(the_sim);
    return rc;
}

int __real_state_reader_next(struct state_reader *r, struct block *b, struct err *e);
int __wrap_state_reader_next(struct state_reader *r, struct block *b, struct err *e);
int __wrap_state_reader_next(struct state_reader *r, struct block *b, struct err *e)
{
    struct lives *l = the_sim->lives;
    if (l->opening && the_sim->store && l->server.store)
        step(the_sim);
    return __real_state_reader_next(r, b, e);
}
