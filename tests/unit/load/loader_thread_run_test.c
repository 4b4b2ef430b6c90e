/* A loader thread as it runs: loads and writes over its mailbox, and configurations that come and
 * go meanwhile. A script that sleeps for an hour holds a place until the thread ends. */
#include "flight_world.h"

#include "base/clock.h"
#include "load/loader_thread.h"

#include <ev.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLANS 3

struct plan {
    struct conf conf;
    struct conf_loader loaders[2];
    struct snapshot *snapshot;
};

static struct {
    struct world *w;
    char scripts[64], lua[80];
    struct ev_loop *loop;
    ev_timer watchdog;
    struct mailbox box, *slots[2];
    struct changes changes;
    struct loader_thread *thread;
    struct plan plans[PLANS];
    bool changed;
    struct edition_change change;
} s;

struct get {
    struct waiter waiter;
    bool told;
    enum flight_end end;
    struct err err;
    char value; /* the first byte of a value: what the script returned */
};

struct put_of {
    struct write write;
    bool answered, heard;
};

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    fail_msg("%s", "nothing has come for a minute");
}

/* Waits for one more message, or several. */
static void await(const bool *what)
{
    while (!*what)
        ev_run(s.loop, EVRUN_ONCE);
}

static void deliver(struct message *m, void *owner)
{
    (void)owner;
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    const struct flight *f = slot->flight;
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct get *g = container_of(container_of(link, struct waiter, link), struct get, waiter);
        g->told = true;
        g->end = f->outcome.end;
        if (f->outcome.end == END_FOUND)
            g->value = entry_value(f->outcome.value).data[0];
        if (f->outcome.end == END_FAILED || f->outcome.end == END_REFUSED)
            flight_error(f, &g->err);
    }
    flight_unref(slot->flight);
}

static void write_script(const char *file, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s.scripts, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Keys that end in "hold" are never loaded, or written. */
static const char holds[] = "local function hold(key)\n"
                            "  if key:find 'hold$' then rtcache.sleep(3600) end\n"
                            "end\n"
                            "return {\n"
                            "  load = function(key) hold(key) return %d end,\n"
                            "  save = function(key, v) hold(key) return v, { version = %d } end,\n"
                            "}\n";

static void script(const char *file, int value)
{
    char text[512];
    snprintf(text, sizeof text, holds, value, value);
    write_script(file, text);
}

/* The configuration of that generation: a pattern and its script, or two. */
static struct snapshot *plan(uint64_t generation, const char *const *patterns,
                             const char *const *scripts, size_t count)
{
    struct plan *p = &s.plans[generation - 1];
    const struct snapshot *before = generation > 1 ? s.plans[generation - 2].snapshot : NULL;
    struct err e;
    atomic_init(&p->conf.refs, 1000);
    p->conf.loader_threads = 1;
    p->conf.scripts_dir = s.scripts;
    p->conf.lua_dir = s.lua;
    p->conf.script_memory = 64 << 20;
    p->conf.script_cpu_ms = 2000;
    p->conf.max_value = 1 << 20;
    p->conf.floor_ttl_ms = 60000;
    p->conf.loaders = p->loaders;
    p->conf.loader_count = count;
    for (size_t i = 0; i < count; i++)
        p->loaders[i] = (struct conf_loader){
            .pattern = patterns[i],
            .script = scripts[i],
            .write = "through",
            .file = "/etc/rtcache.conf",
            .line = 5 + (int)i,
            .policy = {.ttl_ms = 60000,
                       .load_timeout_ms = 3600000,
                       .write_timeout_ms = 3600000,
                       .max_loads = 1,
                       .max_queue = 10,
                       .max_waiters = 10,
                       .max_writes = 1,
                       .max_write_queue = 10},
        };
    if (snapshot_new(&p->snapshot, &p->conf, generation, before, &e) != 0)
        fail_msg("%s", e.text);
    return p->snapshot;
}

static void edition_changed(struct message *m, void *owner)
{
    (void)m, (void)owner;
    s.changed = true;
}

static int change(enum edition_step step, struct snapshot *snapshot)
{
    s.changed = false;
    s.change = (struct edition_change){.step = step,
                                       .snapshot = snapshot,
                                       .rc = -77,
                                       .answer_to = &s.box,
                                       .answered = edition_changed};
    loader_thread_change(s.thread, &s.change);
    await(&s.changed);
    return s.change.rc;
}

static void take(uint64_t generation, const char *const *patterns, const char *const *scripts,
                 size_t count)
{
    if (change(EDITION_PREPARE, plan(generation, patterns, scripts, count)) != 0)
        fail_msg("%s", s.change.err.text);
    assert_int_equal(change(EDITION_COMMIT, NULL), 0);
}

static void take_one(uint64_t generation, const char *pattern, const char *file)
{
    take(generation, &pattern, &file, 1);
}

static int begin_thread(void **state)
{
    struct err e;
    (void)state;
    memset(&s, 0, sizeof s);
    s.w = world_new(100);
    strcpy(s.scripts, "/tmp/rtcache-thread-XXXXXX");
    assert_non_null(mkdtemp(s.scripts));
    snprintf(s.lua, sizeof s.lua, "%s-lua", s.scripts);
    mkdir(s.lua, 0700);
    s.loop = ev_loop_new(EVFLAG_AUTO);
    mailbox_init(&s.box, s.loop, NULL);
    s.slots[0] = s.slots[1] = &s.box;
    ev_timer_init(&s.watchdog, on_watchdog, 60., 0.);
    ev_timer_start(s.loop, &s.watchdog);
    s.changes = (struct changes){.store = s.w->store, .flights = s.w->flights, .marks = s.w->marks};
    struct loader_thread_options o = {.flights = s.w->flights,
                                      .store = s.w->store,
                                      .changes = &s.changes,
                                      .slots = s.slots,
                                      .slot_count = 2,
                                      .seed = 3};
    assert_int_equal(loader_thread_new(&s.thread, &o, &e), 0);
    assert_int_equal(loader_thread_start(s.thread, &e), 0);
    return 0;
}

static void stop_thread(void)
{
    loader_thread_stop(s.thread);
    loader_thread_join(s.thread);
    mailbox_drain(&s.box);
}

static int end_thread(void **state)
{
    char command[256];
    (void)state;
    stop_thread();
    loader_thread_free(s.thread);
    mailbox_drain(&s.box);
    mailbox_fini(&s.box);
    ev_timer_stop(s.loop, &s.watchdog);
    ev_loop_destroy(s.loop);
    for (int i = 0; i < PLANS; i++)
        snapshot_unref(s.plans[i].snapshot);
    snprintf(command, sizeof command, "rm -rf '%s' '%s'", s.scripts, s.lua);
    assert_int_equal(system(command), 0);
    world_free(s.w);
    return 0;
}

static void get(struct get *g, uint64_t generation, const char *key)
{
    struct buf room;
    struct join_result r = {0};
    *g = (struct get){.value = 0};
    s.w->now_ms = clock_ms();
    struct join_request q = request_for(s.w, key, &g->waiter);
    buf_init(&room, 0);
    q.out = &room;
    q.generation = generation;
    q.reload = true;
    assert_int_equal(flights_join(s.w->flights, &q, &r), JOIN_STARTED);
    buf_fini(&room);
    for (unsigned i = 0; i < r.flight->slot_count; i++)
        r.flight->slots[i].message.recv = deliver;
    loader_thread_submit(s.thread, r.flight, NULL);
}

static void refused(struct get *g, int code, const char *text)
{
    await(&g->told);
    assert_int_equal(g->end, END_REFUSED);
    assert_int_equal(g->err.code, code);
    assert_string_equal(g->err.text, text);
}

static void was_found(struct get *g, char value)
{
    await(&g->told);
    assert_int_equal(g->end, END_FOUND);
    assert_int_equal(g->value, value);
}

static void what_is_queued_goes_over_to_the_new_scripts(void **state)
{
    (void)state;
    struct get hold, queued, later;
    script("a.lua", 1);
    script("b.lua", 2);
    take_one(1, "a:*", "a.lua");
    get(&queued, 1, "a:0");
    was_found(&queued, 1);
    get(&hold, 1, "a:hold");
    get(&queued, 1, "a:1"); /* behind it */
    take_one(2, "a:*", "b.lua");
    was_found(&queued, 2);
    get(&later, 2, "a:2");
    was_found(&later, 2);
    assert_false(hold.told);
    stop_thread();
    refused(&hold, ERR_SHUTDOWN, "a:hold: the server is going down");
}

/* A place of another loader is there: the number of a loader is that of its configuration. */
static void a_flight_of_before_finds_its_loader_in_the_new_configuration(void **state)
{
    (void)state;
    struct get g;
    script("a.lua", 1);
    script("b.lua", 2);
    take_one(1, "a:*", "a.lua");
    take(2, (const char *[]){"b:*", "a:*"}, (const char *[]){"b.lua", "a.lua"}, 2);
    get(&g, 1, "a:1");
    was_found(&g, 1);
    get(&g, 1, "b:1");
    was_found(&g, 2);
}

static void who_has_no_loader_any_more_hears_of_it(void **state)
{
    (void)state;
    struct get hold, queued, typed, late;
    script("a.lua", 1);
    take_one(1, "*", "a.lua");
    get(&hold, 1, "hold");
    get(&queued, 1, "b:1");
    get(&typed, 1, "a:x");
    take_one(2, "a:{id:int}", "a.lua");
    refused(&queued, ERR_NO_LOADER, "b:1: no loader's pattern matches");
    await(&typed.told); /* it can be no row */
    assert_int_equal(typed.end, END_ABSENT);
    get(&late, 1, "c:1"); /* of a configuration that is not the current one */
    refused(&late, ERR_NO_LOADER, "c:1: no loader's pattern matches");
    get(&late, 1, "a:y");
    await(&late.told);
    assert_int_equal(late.end, END_ABSENT);
    get(&late, 2, "a:7");
    was_found(&late, 1);
    stop_thread();
    refused(&hold, ERR_SHUTDOWN, "hold: the server is going down");
}

static void what_cannot_be_read_changes_nothing(void **state)
{
    (void)state;
    struct get g;
    script("a.lua", 1);
    write_script("b.lua", "return 7\n");
    take_one(1, "a:*", "a.lua");
    const char *pattern = "a:*", *file = "b.lua";
    assert_int_not_equal(change(EDITION_PREPARE, plan(2, &pattern, &file, 1)), 0);
    assert_int_equal(s.change.err.code, s.change.rc);
    assert_non_null(strstr(s.change.err.text, "b.lua"));
    assert_int_equal(change(EDITION_ABORT, NULL), 0); /* there is none */
    get(&g, 1, "a:1");
    was_found(&g, 1);
    script("b.lua", 3);
    assert_int_equal(change(EDITION_PREPARE, s.plans[1].snapshot), 0);
    assert_int_equal(change(EDITION_ABORT, NULL), 0); /* another thread could not */
    get(&g, 1, "a:2");
    was_found(&g, 1);
    take_one(3, "a:*", "b.lua");
    get(&g, 3, "a:3");
    was_found(&g, 3);
}

/* The end of the thread, with one that is prepared, one that runs and one that waits. */
static void on_stop_whoever_waits_hears_of_it(void **state)
{
    (void)state;
    struct get hold, queued, late;
    script("a.lua", 1);
    take_one(1, "a:*", "a.lua");
    get(&hold, 1, "a:hold");
    get(&queued, 1, "a:1");
    const char *pattern = "a:*", *file = "a.lua";
    assert_int_equal(change(EDITION_PREPARE, plan(2, &pattern, &file, 1)), 0);
    assert_false(hold.told || queued.told);
    stop_thread();
    refused(&hold, ERR_SHUTDOWN, "a:hold: the server is going down");
    refused(&queued, ERR_SHUTDOWN, "a:1: the server is going down");
    get(&late, 1, "a:2"); /* told when the thread is freed, at the latest */
    loader_thread_free(s.thread);
    mailbox_drain(&s.box);
    refused(&late, ERR_SHUTDOWN, "a:2: the server is going down");
    struct loader_thread_options o = {.flights = s.w->flights, /* for the teardown */
                                      .store = s.w->store,
                                      .changes = &s.changes,
                                      .slots = s.slots,
                                      .slot_count = 2};
    assert_int_equal(loader_thread_new(&s.thread, &o, NULL), 0);
}

/* ---- writes ---- */

static void put_answered(struct message *m, void *owner)
{
    (void)owner;
    container_of(container_of(m, struct write, message), struct put_of, write)->answered = true;
}

static void put_heard(struct message *m, void *owner)
{
    (void)owner;
    struct put_of *p = container_of(container_of(m, struct write, give_up), struct put_of, write);
    assert_true(p->answered); /* the answer came before */
    p->heard = true;
}

static void put(struct put_of *p, const char *key)
{
    *p = (struct put_of){.write = {.what = WRITE_PUT,
                                   .key = slice_str(key),
                                   .value = slice_str("\x07"),
                                   .answer_to = &s.box,
                                   .answered = put_answered,
                                   .heard = put_heard}};
    p->write.hash = store_hash(s.w->store, p->write.key);
    loader_thread_write(s.thread, &p->write);
}

static void writes_go_over_and_can_be_given_up(void **state)
{
    (void)state;
    struct put_of none, first, hold, given_up, queued;
    script("a.lua", 1);
    script("b.lua", 2);
    put(&none, "a:1"); /* there is no configuration yet */
    await(&none.answered);
    assert_int_equal(none.write.err.code, ERR_SHUTDOWN);
    take_one(1, "a:*", "a.lua");
    put(&first, "a:1");
    await(&first.answered);
    assert_int_equal(first.write.err.code, 0);
    assert_int_equal(first.write.version, 1);
    assert_true(first.write.stored);
    loader_thread_give_up(s.thread, &first.write); /* too late: it is heard of all the same */
    await(&first.heard);
    assert_int_equal(first.write.err.code, 0);
    put(&hold, "a:hold");
    put(&given_up, "a:2");
    put(&queued, "a:3");
    loader_thread_give_up(s.thread, &given_up.write);
    await(&given_up.heard);
    assert_int_equal(given_up.write.err.code, ERR_TIMEOUT);
    assert_string_equal(given_up.write.err.text,
                        "a:2: its turn did not come in time, and nothing was written");
    assert_false(queued.answered);
    take_one(2, "a:*", "b.lua");
    await(&queued.answered);
    assert_int_equal(queued.write.err.code, 0);
    assert_int_equal(queued.write.version, 2); /* by the new script */
    stop_thread();
    assert_true(hold.answered);
    assert_int_equal(hold.write.err.code, ERR_SHUTDOWN); /* it had sent nothing */
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin_thread, end_thread)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_queued_goes_over_to_the_new_scripts),
        T(a_flight_of_before_finds_its_loader_in_the_new_configuration),
        T(who_has_no_loader_any_more_hears_of_it),
        T(what_cannot_be_read_changes_nothing),
        T(on_stop_whoever_waits_hears_of_it),
        T(writes_go_over_and_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
