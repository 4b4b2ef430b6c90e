/*
 * load: asks a cache for keys that it has, as fast as it answers, and says what that cost.
 *
 *   load --protocol redis --connect 127.0.0.1:6379 --pid 123 --connections 50 --depth 16
 *   requests=2841984 seconds=3.000 rate=947328 p50_us=801.8 p99_us=1409.0 p999_us=1966.1
 *   server_cpu_us=1.021 load_cpu=0.973                         (one line)
 *
 * One thread, one epoll loop. The server's CPU is that of the whole process --pid, all its threads,
 * between the first and the last counted answer, from the process's CPU clock; load_cpu is this
 * program's own, as a share of the time: near 1 it is this program that sets the rate. At a fixed
 * --rate a latency counts from when its request was due, and each that was due gets its answer.
 */
#include "options.h"
#include "pace.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        err(2, "clock");
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t server_cpu_ns(const struct options *o)
{
    clockid_t clock;
    if (!o->pid)
        return 0;
    if (clock_getcpuclockid(o->pid, &clock))
        errx(2, "no process %d", o->pid);
    return clock_ns(clock);
}

static void watch(int epoll, int how, struct client *c)
{
    struct epoll_event e = {.events = EPOLLIN | (c->wants_write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(epoll, how, c->fd, &e))
        err(2, "epoll");
}

static void serve(int epoll, const struct epoll_event *e)
{
    struct client *c = e->data.ptr;
    bool waited = c->wants_write;
    if (e->events & EPOLLOUT)
        client_on_writable(c);
    if (e->events & ~(uint32_t)EPOLLOUT)
        client_on_readable(c, clock_ns(CLOCK_MONOTONIC));
    if (waited != c->wants_write)
        watch(epoll, EPOLL_CTL_MOD, c);
}

/* What was asked goes out, in one piece for each client. */
static void send_asked(int epoll, const struct pace *p)
{
    for (struct client *c = p->clients; c < p->clients + p->count; c++) {
        if (!c->out_len || c->wants_write)
            continue;
        client_on_writable(c);
        if (c->wants_write)
            watch(epoll, EPOLL_CTL_MOD, c);
    }
}

/* Until the time is over or all requests are answered; now. pace: NULL without a rate. */
static uint64_t run_until(int epoll, const struct workload *w, struct pace *pace, uint64_t end_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now;
    while ((now = clock_ns(CLOCK_MONOTONIC)) < end_ns && w->ended < w->limit) {
        struct timespec time = {.tv_nsec = PACE_LONGEST_NS};
        if (pace) {
            time.tv_nsec = (long)pace_ask(pace, now);
            send_asked(epoll, pace);
        }
        int n = epoll_pwait2(epoll, events, EVENTS, &time, NULL);
        for (int i = 0; i < n; i++)
            serve(epoll, &events[i]);
    }
    return now;
}

static struct client *open_clients(int epoll, struct workload *w, const char *address,
                                   unsigned count)
{
    struct client *all = calloc(count, sizeof *all);
    if (!all)
        err(2, "memory");
    for (unsigned i = 0; i < count; i++) {
        client_init(&all[i], w, address);
        watch(epoll, EPOLL_CTL_ADD, &all[i]);
    }
    for (unsigned i = 0; i < count && w->rate <= 0; i++) {
        client_start(&all[i], clock_ns(CLOCK_MONOTONIC));
        if (all[i].wants_write)
            watch(epoll, EPOLL_CTL_MOD, &all[i]);
    }
    return all;
}

static void close_clients(struct client *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        client_fini(&all[i]);
    free(all);
}

static void fill(int epoll, const struct workload *measured, const struct options *o)
{
    static struct workload sets;
    sets = *measured;
    sets.rate = 0;
    sets.many = 1;
    sets.sets = 1;
    sets.depth = 16;
    sets.limit = o->keys;
    pick_in_order(&sets.pick, 0);
    struct client *all = open_clients(epoll, &sets, o->address, 1);
    run_until(epoll, &sets, NULL, UINT64_MAX);
    close_clients(all, 1);
}

static void measure(int epoll, struct workload *w, const struct options *o)
{
    struct client *all = open_clients(epoll, w, o->address, o->connections);
    uint64_t second = 1000000000, end = UINT64_MAX;
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    struct pace paced = {.clients = all, .count = o->connections, .start_ns = start};
    struct pace *pace = w->rate > 0 ? &paced : NULL;
    if (pace && !o->requests) /* each that is due gets its answer, however late */
        w->limit = (uint64_t)(w->rate * (o->warmup + o->seconds));
    if (!o->requests) {
        start = run_until(epoll, w, pace, start + (uint64_t)(o->warmup * (double)second));
        end = pace ? UINT64_MAX : start + (uint64_t)(o->seconds * (double)second);
        histogram_clear(&w->latency);
    }
    uint64_t before = w->ended, cpu = server_cpu_ns(o), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    double seconds = (double)(run_until(epoll, w, pace, end) - start) / 1e9;
    double count = (double)(w->ended - before);
    cpu = server_cpu_ns(o) - cpu;
    own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    printf("requests=%.0f seconds=%.3f rate=%.0f p50_us=%.1f p99_us=%.1f p999_us=%.1f"
           " server_cpu_us=%.3f load_cpu=%.3f\n",
           count, seconds, count / seconds, (double)histogram_quantile(&w->latency, 0.5) / 1e3,
           (double)histogram_quantile(&w->latency, 0.99) / 1e3,
           (double)histogram_quantile(&w->latency, 0.999) / 1e3, (double)cpu / 1e3 / count,
           (double)own / 1e9 / seconds);
    close_clients(all, o->connections);
}

int main(int argc, char **argv)
{
    struct options o;
    options_read(&o, argc, argv);
    char *value = malloc(o.value);
    if (!value)
        err(2, "memory");
    memset(value, 'v', o.value);
    static struct workload w;
    w = (struct workload){.protocol = o.protocol,
                          .prefix = o.prefix,
                          .depth = o.depth,
                          .many = o.many,
                          .sets = o.sets,
                          .value = {value, o.value},
                          .rate = o.rate,
                          .limit = o.requests ? o.requests : UINT64_MAX};
    pick_init(&w.pick, o.keys, o.zipf);
    if (o.in_order)
        pick_in_order(&w.pick, o.first);
    if (prctl(PR_SET_TIMERSLACK, 1)) /* requests go out when they are due */
        err(2, "timer slack");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(2, "epoll");
    if (o.fill)
        fill(epoll, &w, &o);
    measure(epoll, &w, &o);
    close(epoll);
    free(value);
    return 0;
}
