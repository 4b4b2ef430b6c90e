/*
 * history_workload: writers, readers and trouble, and the history of what they saw.
 *
 *   history_workload --socket PATH --primary URL --replica URL --postmaster PID --script FILE
 *                    --out FILE [--operations N] [--every N] [--keys N] [--seed N] [--restarts]
 *                    [--standby URL --standby-postmaster PID] [--lives FILE] [--log TABLE]
 *
 * The server, its databases and its configuration are the caller's (run.lua). Exit code 0: the
 * history is whole, whatever it shows; 2: the workload itself failed.
 */
#include "lives.h"
#include "nemesis.h"
#include "sql.h"

#include "wire/mpw.h"

#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define PEERS      8
#define FED_TTL_MS 1000
#define U_TTL_MS   700

struct options {
    const char *socket, *primary, *replica, *out;
    struct nemesis_options nemesis;
};

static struct run run = {.limit = 200000, .keys = 3000, .seed = 88172645463325252};
static struct peer peers[PEERS], control, listener;
static const char *log_table; /* that the feed reads; NULL: it listens */

/* ---- classes, and the subscription ---- */

static void record_classes(void)
{
    static const int64_t flags[CLASSES] = {CLASS_VERSIONED | CLASS_FED,
                                           CLASS_VERSIONED | CLASS_FED | CLASS_REPLICA, 0};
    for (uint32_t c = 0; c < CLASSES; c++) {
        struct record r = {.op = OP_CLASS,
                           .key = c,
                           .wanted = flags[c],
                           .ttl_ms = c == CLASS_U ? U_TTL_MS : FED_TTL_MS};
        run_record(&run, &r);
        run.known[c] = calloc(run.keys, sizeof *run.known[c]);
        run.heard[c] = calloc(run.keys, sizeof *run.heard[c]);
        must(run.known[c] && run.heard[c], "memory");
    }
}

static bool *subscribed; /* false from the answer on */

static void on_subscribed(struct run *r, struct slot *slot, struct slice result)
{
    (void)r;
    (void)result;
    *subscribed = false;
    must(slot->r.result != RESULT_ERROR, "subscribe failed");
}

static void subscribe(void)
{
    struct slot *slot = peer_claim(&listener);
    slot->answered = on_subscribed;
    peer_open(&listener, slot, "subscribe", 1);
    bool waits = true;
    subscribed = &waits;
    must((mpw_map(&listener.out, 1) | mpw_cstr(&listener.out, "patterns") |
          mpw_cstr(&listener.out, "*")) == 0,
         "memory");
    peer_flush(&listener);
    while (waits)
        run_turn(&run, 1000);
}

/* ---- phases ---- */

static void work(void)
{
    uint64_t next_line = run.limit / 10;
    while (run.ended < run.limit) {
        for (unsigned i = 0; i < PEERS; i++)
            peer_fill(&peers[i]);
        sql_turn(&run);
        nemesis_turn(&run);
        run_turn(&run, 1);
        if (run.limit > 1000000 && run.ended >= next_line) {
            fprintf(stderr, "%" PRIu64 " operations\n", run.ended);
            next_line += run.limit / 10;
        }
    }
}

static bool database_is_idle(void)
{
    PGresult *result =
        sql_ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()");
    bool idle = strcmp(PQgetvalue(result, 0, 0), "0") == 0;
    PQclear(result);
    return idle;
}

static void wait_ms(uint64_t ms)
{
    for (uint64_t end = run_now(&run) + ms * 1000000; run_now(&run) < end;)
        run_turn(&run, 5);
}

/* Everything has been told: a marker that is sent now has come. One that falls into a gap is sent
 * again. */
static void await_marker(void)
{
    uint64_t wanted = run.marker + 1;
    char text[128];
    if (log_table)
        snprintf(text, sizeof text, "INSERT INTO %s (e) VALUES ('{\"k\": \"marker:%" PRIu64 "\"}')",
                 log_table, wanted);
    else
        snprintf(text, sizeof text,
                 "SELECT pg_notify('rtcache', '{\"k\": \"marker:%" PRIu64 "\"}')", wanted);
    while (run.marker < wanted) {
        PQclear(sql_ask(text));
        wait_ms(50);
    }
}

static void become_quiet(void)
{
    run.quiet = true;
    nemesis_end(&run);
    while (run.busy || !sql_is_idle()) {
        sql_turn(&run);
        run_turn(&run, 1);
    }
    while (!nemesis_feed_is_up(&run))
        run_turn(&run, 10);
    while (!database_is_idle())
        run_turn(&run, 10);
    sql_level();
    await_marker();
}

static void ask_final(uint32_t key)
{
    struct slot *slot;
    while (!(slot = peer_claim(&peers[0])))
        run_turn(&run, 1000);
    slot->r.op = OP_FINAL;
    slot->r.key = key;
    ask_pack(&peers[0], slot);
    peer_flush(&peers[0]);
}

static void read_class(uint32_t class)
{
    for (uint32_t number = 0; number < run.keys; number++)
        ask_final(key_of(class, number));
    while (run.busy) {
        run_turn(&run, 1000);
        uint32_t key;
        while (run_take_again(&run, &key))
            ask_final(key);
    }
}

/* What the feed covers is right at once; the rest when what was loaded before is out of its ttl. */
static void read_all(void)
{
    read_class(CLASS_P);
    wait_ms(FED_TTL_MS + 50);
    read_class(CLASS_R);
    read_class(CLASS_U);
    sql_account(&run);
}

/* ---- options ---- */

static const struct option names[] = {
    {"socket", 1, NULL, 's'},
    {"primary", 1, NULL, 'p'},
    {"replica", 1, NULL, 'r'},
    {"postmaster", 1, NULL, 'm'},
    {"script", 1, NULL, 'l'},
    {"out", 1, NULL, 'o'},
    {"every", 1, NULL, 'e'},
    {"operations", 1, NULL, 'n'},
    {"keys", 1, NULL, 'k'},
    {"seed", 1, NULL, 'S'},
    {"restarts", 0, NULL, 'R'},
    {"lives", 1, NULL, 'L'},
    {"log", 1, NULL, 'g'},
    {"standby", 1, NULL, 'b'},
    {"standby-postmaster", 1, NULL, 'B'},
    {NULL, 0, NULL, 0},
};

static uint64_t read_count(const char *text, uint64_t low, uint64_t high)
{
    char *end;
    unsigned long long count = strtoull(text, &end, 10);
    if (*end || count < low || count > high)
        errx(2, "%s: not from %" PRIu64 " to %" PRIu64, text, low, high);
    return count;
}

static void read_options(struct options *o, int argc, char **argv)
{
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 's': o->socket = optarg; break;
        case 'p': o->primary = optarg; break;
        case 'r': o->replica = optarg; break;
        case 'm': o->nemesis.postmaster = (int)read_count(optarg, 1, INT32_MAX); break;
        case 'l': o->nemesis.script = optarg; break;
        case 'o': o->out = optarg; break;
        case 'n': run.limit = read_count(optarg, 100, 1000000000); break;
        case 'e': o->nemesis.every = read_count(optarg, 100, 1000000000); break;
        case 'k': run.keys = (uint32_t)read_count(optarg, 100, 1000000); break;
        case 'b': o->nemesis.standby = optarg; break;
        case 'B': o->nemesis.standby_postmaster = (int)read_count(optarg, 1, INT32_MAX); break;
        case 'R': o->nemesis.restarts = true; break;
        case 'L': o->nemesis.pid_file = optarg; break;
        case 'g': log_table = optarg; break;
        case 'S': run.seed = read_count(optarg, 1, UINT64_MAX); break;
        default: errx(2, "see the head of workload.c");
        }
    }
    must(o->socket && o->primary && o->replica && o->out && o->nemesis.script &&
             o->nemesis.postmaster,
         "an option is missing");
    must(!o->nemesis.standby == !o->nemesis.standby_postmaster, "half a standby");
    uint64_t every = run.limit / 60;
    if (!o->nemesis.every)
        o->nemesis.every = every < 1000 ? 1000 : every > 5000 ? 5000 : every;
}

static void open_all(const struct options *o)
{
    run.out = fopen(o->out, "wb");
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.out || run.epoll < 0)
        err(2, "%s", o->out);
    record_classes();
    sql_init(&run, o->primary, o->replica);
    peer_init(&control, &run, o->socket, false);
    peer_init(&listener, &run, o->socket, false);
    for (unsigned i = 0; i < PEERS; i++)
        peer_init(&peers[i], &run, o->socket, true);
    struct nemesis_options n = o->nemesis;
    n.peers = peers;
    n.peer_count = PEERS;
    n.listener = &listener;
    n.subscribe = subscribe;
    nemesis_init(&run, &control, &n);
    subscribe();
}

static void close_all(void)
{
    for (unsigned i = 0; i < PEERS; i++)
        peer_fini(&peers[i]);
    peer_fini(&control);
    peer_fini(&listener);
    sql_fini();
    for (unsigned c = 0; c < CLASSES; c++) {
        free(run.known[c]);
        free(run.heard[c]);
    }
    free(run.again);
    if (fclose(run.out) != 0)
        err(2, "the history cannot be written");
    close(run.epoll);
}

static void print_lives(const struct nemesis_counts *n)
{
    const struct lives_counts *l = lives_counts();
    printf(
        "lives ended: killed %u, while writing %u, while reading %u, stopped %u, twice %u, stopped "
        "and killed %u; second blows %u\n",
        l->begun[END_KILL], l->begun[END_KILL_WRITING], l->begun[END_KILL_READING],
        l->begun[END_STOP], l->begun[END_STOP_TWICE], l->begun[END_STOP_KILL], l->second);
    printf("brought back: proven %" PRIu64 ", stale %" PRIu64 ", candidates %" PRIu64
           ", dropped %" PRIu64 "\n",
           n->restored[RESTORED_PROVEN], n->restored[RESTORED_STALE],
           n->restored[RESTORED_CANDIDATES], n->restored[RESTORED_DROPPED]);
}

int main(int argc, char **argv)
{
    struct options o = {.socket = NULL};
    read_options(&o, argc, argv);
    open_all(&o);
    uint64_t began = run_now(&run);
    work();
    double seconds = (double)(run_now(&run) - began) / 1e9;
    become_quiet();
    read_all();
    const struct nemesis_counts *n = nemesis_counts();
    printf("%" PRIu64 " operations in %.1f s; reloads %u, feed killed %u, stopped %u, cut %u, "
           "connections killed %u, types changed %u, restarts %u, failovers %u; the replica late "
           "by %u ms\n",
           run.ended, seconds, n->reloads, n->feeds_killed, n->feeds_stopped, n->cuts,
           n->pools_killed, n->changes, n->restarts, n->failovers, sql_lag_ms());
    if (o.nemesis.pid_file)
        print_lives(n);
    close_all();
    return 0;
}
