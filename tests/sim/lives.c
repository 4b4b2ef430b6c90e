/* One life of the server after the other, and what happens between two of them. */
#include "lives.h"

#include "server/restart.h"

#include <stdlib.h>
#include <string.h>

#define SHARE_PERCENT 10 /* of the seeds */

static int next_folder;

static void must(int rc, const struct err *e)
{
    if (rc == 0)
        return;
    fprintf(stderr, "sim: %s\n", e->text);
    abort();
}

void lives_choose(struct sim *s, uint64_t seed)
{
    struct lives *l = s->lives;
    static const char *const warm[] = {"off", "revalidate", "stale"};
    *l = (struct lives){.rng = {.state = seed * 0xD1342543DE82EF95U + 7}, .open = true};
    s->holding = s->dead = false;
    s->held_count = 0;
    s->k.warm = "revalidate";
    s->k.lives = 1;
    s->k.kept = rng_below(&l->rng, 100) < SHARE_PERCENT;
    if (!s->k.kept)
        return;
    s->k.fed = rng_below(&l->rng, 100) < 40;
    s->k.warm = warm[rng_below(&l->rng, 3)];
    s->k.lives = 2 + (int)rng_below(&l->rng, 3);
    s->k.downtime_ms = 100;
    s->k.ttl_ms = s->k.ttl_ms < 1000 ? 1000 : s->k.ttl_ms; /* some of it is to be left */
    s->k.negative_ttl_ms = s->k.negative_ttl_ms < 200 ? 200 : s->k.negative_ttl_ms;
    s->k.ops = s->k.ops * s->k.lives / 2;
}

/* ---- it begins ---- */

void lives_open(struct sim *s)
{
    struct lives *l = s->lives;
    struct err err;
    if (!s->k.kept)
        return;
    if (!l->folder[0])
        folder_name(l->folder, sizeof l->folder, next_folder++);
    l->journal = sim_chance(s, 75);
    restarted_begin();
    l->open = l->ending = l->stopped = false;
    l->opening = true;
    l->resumes_at = -1;
    l->resumed = false;
    s->conf.state = l->folder;
    s->conf.journal = l->journal ? "on" : "off";
    s->conf.journal_bytes = 1 << 20;
    s->conf.warm_downtime_ms = s->k.downtime_ms;
    s->conf.warm_wait_ms = 50;
    s->backends[0].feed = s->k.fed ? "changes" : NULL;
    l->server = (struct server){
        .conf = &s->conf, .loop = platform_loop(), .started_ms = s->now_ms, .spare_fd = -1};
    mailbox_init(&l->server.control, l->server.loop, &l->server);
    must(restart_open(&l->server.restart, &l->server, &err), &err);
}

static void opened(struct server *server)
{
    struct sim *s = the_sim;
    s->changes.journal = server->changes.journal;
    s->lives->opening = false;
    s->lives->open = true;
}

void lives_begin(struct sim *s)
{
    struct lives *l = s->lives;
    if (!s->k.kept)
        return;
    for (int key = 0; key < s->k.keys; key++)
        s->hashes[key] = store_hash(s->store, sim_key(s, key));
    l->server.store = s->store;
    l->server.flights = s->flights;
    l->server.marks = s->marks;
    l->server.changes = s->changes;
    l->server.snapshot = s->snapshot;
    restart_begin(l->server.restart, opened, &l->server);
    while (!l->open && s->task_count > 0)
        tasks_run(s, s->tasks[0].at_ms);
}

/* ---- what the next one may serve ---- */

static bool is_whole(const struct between *b)
{
    bool kept = b->clean || (b->journal && b->same_boot);
    return kept && !b->in_start && !b->twice;
}

static enum back back_of(const struct sim *s, int key, bool changed)
{
    const struct between *b = &s->lives->between;
    bool heard = feed_has(s, key) ? s->lives->resumed : b->down_ms <= s->k.downtime_ms;
    if (changed)
        return BACK_NONE;
    if (is_whole(b) && heard && !b->clock_back)
        return BACK_PROVEN;
    return strcmp(s->k.warm, "stale") == 0 && !b->clock_back ? BACK_STALE : BACK_NONE;
}

static void tell_back(struct sim *s, const bool *changed)
{
    struct lives *l = s->lives;
    const struct between *b = &l->between;
    sim_note(s, (struct event){.kind = DID_UP,
                               .key = -1,
                               .status = b->clean | b->journal << 1 | b->same_boot << 2 |
                                         b->clock_back << 3 | b->in_start << 4 | b->twice << 5,
                               .until_ms = l->server.started_ms + s->k.write_timeout_ms,
                               .flags = is_whole(b) ? F_STORED : 0});
    sim_note_dropped(s); /* of those that came back */
    if (!is_whole(b) || b->clock_back || (s->k.fed && !l->resumed))
        sim_note(s, (struct event){.kind = DID_DROPPED, .key = -1});
    for (int key = 0; key < s->k.keys; key++) {
        const struct row *r = &s->rows[key];
        enum back as = back_of(s, key, changed[r->kind * 2 + r->through]);
        sim_note(s, (struct event){
                        .kind = DID_BACK,
                        .key = key,
                        .status = (int)as,
                        .until_ms = is_whole(b) ? l->doubt_ms[key] : 0,
                        .flags = is_whole(b) && (!feed_has(s, key) || l->resumed) ? F_STORED : 0});
    }
}

/* ---- it ends ---- */

void lives_kill(struct sim *s)
{
    struct lives *l = s->lives;
    char next[sizeof l->folder];
    if (s->dead || sim_unflushed(s))
        return;
    l->between = (struct between){.clean = l->stopped, .journal = l->journal, .in_start = !l->open};
    memset(l->doubt_ms, 0, sizeof l->doubt_ms);
    writes_orphan(s);
    sim_note(s, (struct event){.kind = DID_DOWN, .key = -1});
    folder_name(next, sizeof next, next_folder++);
    folder_copy(l->folder, next);
    l->died_ms = s->now_ms;
    s->dead = true;
    memcpy(l->next, next, sizeof next);
}

static void take_down(struct sim *s)
{
    struct lives *l = s->lives;
    l->ending = true;
    l->server.draining = true;
    restart_stop(l->server.restart);
    world_stop(s);
    restart_end(l->server.restart);
}

static void end_life(struct sim *s, bool clean)
{
    struct lives *l = s->lives;
    while (!clean && !s->dead) {
        lives_kill(s);
        if (!s->dead)
            tasks_run(s, s->now_ms + 1);
    }
    s->holding = true;
    take_down(s);
    if (!s->dead) {
        l->between = (struct between){.clean = true, .journal = l->journal};
        memset(l->doubt_ms, 0, sizeof l->doubt_ms);
        const struct put_of *left = writes_unanswered(s);
        if (left)
            sim_note(s, (struct event){.kind = DID_UNANSWERED, .key = left->key});
        sim_note(s, (struct event){.kind = DID_DOWN, .key = -1, .flags = F_STORED});
        l->died_ms = s->now_ms;
        memcpy(l->next, l->folder, sizeof l->next);
    }
    world_close(s);
    s->now_ms = l->died_ms;
}

void lives_end(struct sim *s)
{
    if (s->k.kept)
        take_down(s);
    else
        world_stop(s);
}

void lives_close(struct sim *s)
{
    struct lives *l = s->lives;
    if (!s->k.kept)
        return;
    restart_free(l->server.restart);
    mailbox_fini(&l->server.control);
    platform_loop_free(l->server.loop);
    if (strcmp(l->folder, l->next) != 0)
        folder_remove(l->folder);
}

/* ---- between two ---- */

/* What of the one before is left in the harness. */
static void forget(struct sim *s)
{
    for (int i = 0; i < s->get_count; i++)
        s->gets[i].open = false;
    for (int i = 0; i < s->write_count; i++)
        s->writes[i].answered = true;
    for (int i = 0; i < s->run_count; i++)
        s->runs[i].in_air = false;
    s->sent_count = 0;
    s->task_count = 0;
    s->floors_dropped = 0;
    s->stopping = false;
    s->dead = false;
    s->lives->open = s->lives->asking = false;
    s->lives->kill_blocks = 0;
    memset(s->begun, 0, sizeof s->begun);
}

/* Somebody puts an older snapshot back, as one who restores a backup. */
static void put_back(struct sim *s)
{
    struct lives *l = s->lives;
    if (l->older[0] && sim_chance(s, 15))
        l->between.twice = folder_copy_file(l->older, l->folder, "snapshot");
}

static void keep_older(struct sim *s)
{
    struct lives *l = s->lives;
    if (l->older[0])
        folder_remove(l->older);
    folder_name(l->older, sizeof l->older, next_folder++);
    folder_copy(l->folder, l->older);
}

static void pass_time(struct sim *s)
{
    struct lives *l = s->lives;
    struct between *b = &l->between;
    b->down_ms = sim_chance(s, 60) ? sim_up_to(s, s->k.downtime_ms / 2)
                                   : s->k.downtime_ms + 50 + sim_up_to(s, 300);
    l->alive_wall_ms = s->now_ms + l->wall_ms;
    b->clock_back = sim_chance(s, 10);
    if (b->clock_back)
        l->wall_ms -= b->down_ms + 1 + sim_up_to(s, 500);
    b->same_boot = !sim_chance(s, 15);
    l->boot += !b->same_boot;
    if (sim_chance(s, 30))
        l->purged = l->log_count;
    tasks_release(s);
    for (int key = 0; key < s->k.keys; key++)
        if (sim_chance(s, 30))
            client_commits(s, key);
    tasks_run(s, s->now_ms + b->down_ms);
}

static void next_life(struct sim *s)
{
    struct lives *l = s->lives;
    bool changed[SIM_LOADERS] = {false};
    do {
        forget(s);
        memcpy(l->folder, l->next, sizeof l->folder);
        pass_time(s);
        put_back(s);
        keep_older(s);
        for (int i = 0; i < SIM_LOADERS; i++)
            if (sim_chance(s, 10)) {
                changed[i] = true;
                l->edition[i]++;
            }
        l->kill_blocks = sim_chance(s, 10) ? 1 + (int)sim_up_to(s, 3) : 0;
        s->holding = s->healing = true;
        world_open(s);
        s->healing = false;
        l->kill_blocks = 0;
        if (s->dead)
            end_life(s, false);
        else
            tell_back(s, changed);
    } while (!l->open || s->lives->ending);
    tasks_release(s);
}

static void on_ask(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg, (void)stamp;
    lives_ask_snapshot(s);
}

/* What is there is asked for, and so what came back. */
static void read_all(struct sim *s)
{
    const struct get_options o = {.timeout_ms = s->k.wait_timeout_ms};
    for (int key = 0; key < s->k.keys; key++)
        if (sim_chance(s, 70))
            get_start(s, key, &o);
}

static void live(struct sim *s)
{
    int ops = s->k.ops / s->k.lives, span_ms = ops * s->k.pace_ms / 3;
    read_all(s);
    clients_start(s, ops);
    if (sim_chance(s, 80))
        task_in(s, sim_up_to(s, span_ms), on_ask, NULL, 0);
    tasks_run(s, s->now_ms + sim_up_to(s, span_ms));
}

void lives_run(struct sim *s)
{
    struct lives *l = s->lives;
    for (int n = 1; n < s->k.lives; n++) {
        bool clean = sim_chance(s, 40);
        live(s);
        if (sim_chance(s, 30)) {
            l->kill_blocks = 1 + (int)sim_up_to(s, 3);
            lives_ask_snapshot(s);
            tasks_run(s, s->now_ms + 5);
        }
        end_life(s, clean && !s->dead);
        next_life(s);
    }
    read_all(s);
}

void lives_fini(struct sim *s)
{
    struct lives *l = s->lives;
    if (!s->k.kept)
        return;
    folder_remove(l->folder);
    if (l->older[0])
        folder_remove(l->older);
}

/* ---- a client's `snapshot` ---- */

static void on_snapshot(struct message *m, void *owner)
{
    (void)m, (void)owner;
    the_sim->lives->asking = false;
}

void lives_ask_snapshot(struct sim *s)
{
    struct lives *l = s->lives;
    if (l->asking || !l->open || l->ending)
        return;
    l->asking = true;
    l->asked = (struct io_snapshot){.answer_to = &s->boxes[SIM_SLOTS], .answered = on_snapshot};
    restart_recv_request(&l->asked.message, &l->server);
}
