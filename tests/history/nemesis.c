#include "nemesis.h"

#include "failover.h"
#include "lives.h"
#include "sql.h"

#include <err.h>
#include <signal.h>
#include <stdlib.h>

enum act { RELOAD, KILL_FEED, KILL_POOL, STOP_FEED, CUT_FEED, CHANGE_TYPES, RESTART, ACTS };
enum stage { IDLE, STOPPED, CUTTING, CUT, RESTORING, KILLED, CONNECTED, FAILING };

static struct {
    struct nemesis_options o;
    struct nemesis_counts counts;
    struct peer *control;
    enum stage stage;
    unsigned act;
    uint64_t next; /* operation */
    uint64_t gaps[CLASSES];
    uint64_t cut_ns;
    int stopped; /* a process that stands still; 0: none */
    int server;  /* the process that serves */
    bool asking, is_cut, is_up;
} n;

#define LISTENER                                                                                   \
    " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND "   \
    "(query LIKE 'LISTEN%' OR query LIKE '%pg_notify($1%' OR query LIKE '%pg_control_system%') "

/* ---- what the server says of its feed ---- */

static struct slice map_find(struct slice packed, const char *name)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token map, key;
    struct slice value;
    must(mp_next(&in, &map) == MP_OK && map.type == MP_MAP, "stats is no map");
    for (uint32_t i = 0; i < map.count; i++) {
        must(mp_next(&in, &key) == MP_OK && mp_take(&in, &value) == MP_OK, "stats is cut short");
        if (slice_eq_str(key.bytes, name))
            return value;
    }
    errx(2, "stats has no %s", name);
}

static bool is_true(struct slice packed)
{
    return packed.size == 1 && (unsigned char)*packed.data == 0xc3;
}

static int64_t number_of(struct slice packed)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token t;
    must(mp_next(&in, &t) == MP_OK && t.type == MP_INT, "stats has no number");
    return t.i;
}

/* What the life that answers has brought back. */
static void add_restored(struct slice stats)
{
    static const char *const names[RESTORED_KINDS] = {"proven", "stale", "candidates", "dropped"};
    struct slice group = map_find(stats, "restart");
    for (unsigned i = 0; i < RESTORED_KINDS; i++)
        n.counts.restored[i] += (uint64_t)number_of(map_find(group, names[i]));
}

static void on_stats(struct run *run, struct slot *slot, struct slice result)
{
    n.asking = false;
    if (slot->r.code == CODE_LOST)
        return;
    if (run->may_lose && slot->r.code == CODE_SHUTTING_DOWN)
        return;
    must(slot->r.result != RESULT_ERROR, "stats failed");
    n.server = (int)number_of(map_find(map_find(result, "server"), "pid"));
    if (n.o.pid_file && n.stage == KILLED && !lives_is_new(n.server))
        n.server = 0;
    else if (n.o.pid_file && n.stage == KILLED)
        add_restored(result);
    struct slice feed = map_find(map_find(result, "feeds"), "main");
    n.is_cut = is_true(map_find(feed, "cut"));
    n.is_up = is_true(map_find(feed, "connected")) && !n.is_cut;
}

static void ask_stats(void)
{
    struct slot *slot = n.asking ? NULL : peer_claim(n.control);
    if (!slot)
        return;
    n.asking = true;
    slot->answered = on_stats;
    peer_open(n.control, slot, "stats", 0);
    peer_flush(n.control);
}

bool nemesis_feed_is_up(struct run *run)
{
    (void)run;
    bool up = n.is_up;
    n.is_up = false;
    ask_stats();
    return up;
}

/* ---- acts ---- */

static void on_reload(struct run *run, struct slot *slot, struct slice result)
{
    (void)result;
    if (slot->r.code == CODE_LOST)
        return;
    if (slot->r.result == RESULT_ERROR)
        errx(2, "a reload was refused");
    run_record(run, &slot->r);
    n.counts.reloads++;
}

/* A comment more: the scripts are others then, and loads in the air void. */
static void reload(void)
{
    FILE *f = fopen(n.o.script, "a");
    if (!f || fprintf(f, "-- %u\n", n.counts.reloads) < 0 || fclose(f) != 0)
        err(2, "%s", n.o.script);
    struct slot *slot = peer_claim(n.control);
    must(slot != NULL, "no slot for a reload");
    slot->answered = on_reload;
    slot->r.op = OP_RELOAD;
    peer_open(n.control, slot, "reload", 0);
    peer_flush(n.control);
}

static unsigned ended_by(const char *statement)
{
    PGresult *result = sql_ask(statement);
    unsigned count = (unsigned)PQntuples(result);
    PQclear(result);
    return count;
}

static unsigned kill_listener(void)
{
    return ended_by("SELECT pg_terminate_backend(pid)" LISTENER);
}

static void kill_one_of_pool(void)
{
    n.counts.pools_killed +=
        ended_by("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
                 "WHERE datname = current_database() AND application_name <> 'workload' AND "
                 "application_name <> 'spec' AND backend_type = 'client backend' "
                 "AND pid NOT IN (SELECT pid" LISTENER ") ORDER BY random() LIMIT 1) AS one");
}

static void stop_process(int pid)
{
    if (kill(pid, SIGSTOP))
        err(2, "process %d cannot be stopped", pid);
    n.stopped = pid;
}

static void let_go(void)
{
    if (n.stopped)
        kill(n.stopped, SIGCONT);
    n.stopped = 0;
}

static void remember_gaps(const struct run *run)
{
    memcpy(n.gaps, run->gaps, sizeof n.gaps);
}

static bool was_gap(const struct run *run)
{
    return run->gaps[CLASS_P] > n.gaps[CLASS_P] && run->gaps[CLASS_R] > n.gaps[CLASS_R];
}

static void stop_feed(const struct run *run)
{
    PGresult *result = sql_ask("SELECT pid" LISTENER);
    if (PQntuples(result) == 1) {
        remember_gaps(run);
        stop_process(atoi(PQgetvalue(result, 0, 0)));
        n.stage = STOPPED;
        n.counts.feeds_stopped++;
    }
    PQclear(result);
}

static void cut_feed(const struct run *run)
{
    remember_gaps(run);
    stop_process(n.o.postmaster);
    if (kill_listener() == 0) {
        let_go();
        return;
    }
    n.is_cut = false;
    n.stage = CUTTING;
}

/* What a migration does to a table that is in use: each change and, next time, its reverse. */
static void change_types(void)
{
    static const char *const changes[] = {
        "ALTER TABLE p_rows ALTER COLUMN id TYPE integer",
        "ALTER TABLE r_rows ALTER COLUMN team TYPE bigint",
        "ALTER TABLE u_rows ADD COLUMN extra text DEFAULT 'x'",
        "ALTER TABLE p_rows ALTER COLUMN body TYPE varchar(2000)",
        "ALTER TABLE u_rows ALTER COLUMN id TYPE integer",
        "ALTER TABLE p_rows ALTER COLUMN id TYPE bigint",
        "ALTER TABLE r_rows ALTER COLUMN team TYPE integer",
        "ALTER TABLE u_rows DROP COLUMN extra",
        "ALTER TABLE p_rows ALTER COLUMN body TYPE text",
        "ALTER TABLE u_rows ALTER COLUMN id TYPE bigint",
    };
    PQclear(sql_ask(changes[n.counts.changes++ % (sizeof changes / sizeof *changes)]));
}

/* What the server knew is gone with it, and what the feed tells meanwhile: a gap, by name. */
static void record_gaps(struct run *run)
{
    static const unsigned fed[] = {CLASS_P, CLASS_R};
    for (size_t i = 0; i < sizeof fed / sizeof *fed; i++) {
        struct record r = {.op = OP_GAP, .key = key_of(fed[i], 0)};
        r.begin_ns = r.end_ns = run_now(run);
        run_record(run, &r);
    }
}

static void kill_server(struct run *run)
{
    if (!n.o.restarts)
        return;
    if (n.server == 0) { /* it is asked for, and killed the next time */
        ask_stats();
        return;
    }
    run->may_lose = true;
    if (n.o.pid_file)
        lives_end_one(run, n.control, n.server);
    else if (kill(n.server, SIGKILL))
        err(2, "the server cannot be killed");
    n.server = 0;
    n.stage = KILLED;
    n.counts.restarts++;
}

/* Each connection sees its end before it may be made anew. */
static bool all_are_lost(void)
{
    bool all = peer_is_lost(n.control) && peer_is_lost(n.o.listener);
    for (unsigned i = 0; i < n.o.peer_count; i++)
        all = all && peer_is_lost(&n.o.peers[i]);
    return all;
}

/* The old process may still take a connection as it ends: so the new one has to answer first. */
static void come_back(struct run *run)
{
    static bool lost;
    if (n.o.pid_file && lives_turn(run))
        n.server = 0;
    lost = lost || all_are_lost();
    if (!lost || (peer_is_lost(n.control) && !peer_connect(n.control)))
        return;
    ask_stats();
    if (n.server == 0)
        return;
    lives_are_over();
    lost = run->may_lose = false;
    for (unsigned i = 0; i < n.o.peer_count; i++)
        must(peer_connect(&n.o.peers[i]), "a connection to the new server");
    must(peer_connect(n.o.listener), "a connection to the new server");
    n.o.subscribe();
    record_gaps(run);
    n.is_up = false;
    n.stage = CONNECTED;
}

static unsigned next_act(void)
{
    static const unsigned between[] = {RELOAD, KILL_POOL, CHANGE_TYPES};
    unsigned act = n.act++;
    if (!n.o.pid_file)
        return act % ACTS;
    return act % 4 < 3 ? RESTART : between[act / 4 % (sizeof between / sizeof *between)];
}

static void act(struct run *run)
{
    switch (next_act()) {
    case RELOAD: reload(); break;
    case KILL_FEED: n.counts.feeds_killed += kill_listener(); break;
    case KILL_POOL: kill_one_of_pool(); break;
    case STOP_FEED: stop_feed(run); break;
    case CHANGE_TYPES: change_types(); break;
    case RESTART: kill_server(run); break;
    default: cut_feed(run);
    }
}

static void fail_over(void)
{
    failover_begin(n.o.standby, n.o.postmaster);
    n.o.standby = NULL;
    n.o.postmaster = n.o.standby_postmaster;
    n.stage = FAILING;
    n.counts.failovers++;
}

/* ---- stages ---- */

static void begin_cut(struct run *run)
{
    n.cut_ns = run_now(run);
    n.stage = CUT;
    n.next = run->ended + n.o.every / 2;
    n.counts.cuts++;
}

static void end_cut(struct run *run)
{
    struct record r = {.op = OP_CUT, .begin_ns = n.cut_ns};
    r.end_ns = run_now(run);
    run_record(run, &r);
    remember_gaps(run);
    let_go();
    n.stage = RESTORING;
}

void nemesis_turn(struct run *run)
{
    switch (n.stage) {
    case IDLE:
        if (run->ended >= n.next) {
            n.next = run->ended + n.o.every;
            if (n.o.standby && run->ended >= run->limit / 2)
                fail_over();
            else
                act(run);
        }
        break;
    case CUTTING:
        ask_stats();
        if (was_gap(run) && n.is_cut)
            begin_cut(run);
        break;
    case CUT:
        if (run->ended >= n.next)
            end_cut(run);
        break;
    case KILLED: come_back(run); break;
    case FAILING:
        if (!failover_turn(run))
            break;
        n.is_up = false;
        n.stage = CONNECTED;
        break;
    case CONNECTED: /* what happened until the feed was up belongs to the gap */
        ask_stats();
        if (!n.is_up)
            break;
        record_gaps(run);
        n.stage = IDLE;
        n.next = run->ended + n.o.every;
        break;
    case STOPPED:
    case RESTORING:
        if (!was_gap(run))
            break;
        let_go();
        n.stage = IDLE;
        n.next = run->ended + n.o.every;
    }
}

void nemesis_init(struct run *run, struct peer *control, const struct nemesis_options *o)
{
    (void)run;
    n.o = *o;
    n.control = control;
    n.next = o->every;
    lives_init(o->pid_file);
}

void nemesis_end(struct run *run)
{
    if (n.stage == CUT)
        end_cut(run);
    while (n.stage == KILLED || n.stage == CONNECTED || n.stage == FAILING) {
        nemesis_turn(run);
        sql_turn(run);
        run_turn(run, 1);
    }
    let_go();
    n.stage = IDLE;
}

const struct nemesis_counts *nemesis_counts(void)
{
    return &n.counts;
}
