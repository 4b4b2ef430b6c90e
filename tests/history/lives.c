#include "lives.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define BLOW_WITHIN_US 40000
#define PATIENCE_NS    ((uint64_t)120 * 1000000000)

static struct {
    const char *pid_file;
    struct lives_counts counts;
    int ended;          /* the process that got the first blow */
    int victim, signal; /* of the second one; 0: there is none, or its process is not there yet */
    bool waits;         /* for the next process, which is the victim */
    uint64_t at_ns;     /* when the second one comes */
    uint64_t ended_ns;  /* when the first one came */
} l;

void lives_init(const char *pid_file)
{
    l.pid_file = pid_file;
}

static int read_pid(void)
{
    int pid = 0;
    FILE *f = fopen(l.pid_file, "r");
    if (!f || fscanf(f, "%d", &pid) != 1)
        errx(2, "%s has no process id", l.pid_file);
    fclose(f);
    return pid;
}

static void strike(int pid, int signal)
{
    if (kill(pid, signal) && errno != ESRCH)
        err(2, "process %d cannot be ended", pid);
}

static void aim(struct run *run, int victim, int signal)
{
    l.victim = victim;
    l.signal = signal;
    l.at_ns = run_now(run) + (uint64_t)run_below(run, BLOW_WITHIN_US) * 1000;
}

static void on_snapshot(struct run *run, struct slot *slot, struct slice result)
{
    (void)run;
    (void)result;
    must(slot->r.code == CODE_LOST || slot->r.result != RESULT_ERROR, "snapshot failed");
}

static void ask_snapshot(struct peer *control)
{
    struct slot *slot = peer_claim(control);
    must(slot != NULL, "no slot for a snapshot");
    slot->answered = on_snapshot;
    peer_open(control, slot, "snapshot", 0);
    peer_flush(control);
}

void lives_end_one(struct run *run, struct peer *control, int server)
{
    enum life_end end = (enum life_end)run_below(run, LIFE_ENDS);
    l.counts.begun[end]++;
    l.ended = server;
    l.ended_ns = run_now(run);
    l.victim = 0;
    l.waits = end == END_KILL_READING;
    switch (end) {
    case END_KILL:
    case END_KILL_READING: strike(server, SIGKILL); break;
    case END_KILL_WRITING:
        ask_snapshot(control);
        aim(run, server, SIGKILL);
        break;
    case END_STOP: strike(server, SIGTERM); break;
    case END_STOP_TWICE:
    case END_STOP_KILL:
        strike(server, SIGTERM);
        aim(run, server, end == END_STOP_KILL ? SIGKILL : SIGTERM);
        break;
    case LIFE_ENDS: break;
    }
}

bool lives_turn(struct run *run)
{
    int pid = l.waits || l.victim ? read_pid() : 0;
    must(run_now(run) < l.ended_ns + PATIENCE_NS, "the server does not come back");
    if (l.waits && pid != l.ended) {
        l.waits = false;
        aim(run, pid, SIGKILL);
    }
    if (!l.victim || run_now(run) < l.at_ns)
        return false;
    bool struck = l.victim == pid;
    if (struck) {
        strike(pid, l.signal);
        l.counts.second++;
    }
    l.ended = l.signal == SIGKILL ? l.victim : l.ended;
    l.victim = 0;
    return struck;
}

void lives_are_over(void)
{
    l.waits = false;
    l.victim = 0;
}

bool lives_is_new(int server)
{
    return server != l.ended;
}

const struct lives_counts *lives_counts(void)
{
    return &l.counts;
}
