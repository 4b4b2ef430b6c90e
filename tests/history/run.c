#include "run.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define HOT 50
#define AGAIN_MOST                                                                                 \
    200 /* for each key, on average; an error, which takes its time, counts for more */
#define AGAIN_ERROR 5000

const char class_letters[CLASSES + 1] = "pru";

uint64_t run_now(struct run *run)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    run->last_ns = now > run->last_ns ? now : run->last_ns + 1;
    return run->last_ns;
}

static uint64_t step(uint64_t x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

uint64_t run_random(struct run *run)
{
    return run->seed = step(run->seed);
}

uint32_t run_below(struct run *run, uint32_t bound)
{
    return (uint32_t)(run_random(run) >> 32) % bound;
}

bool run_chance(struct run *run, unsigned percent)
{
    return run_below(run, 100) < percent;
}

uint32_t run_key(struct run *run, unsigned class)
{
    return key_of(class, run_below(run, run_chance(run, 50) ? HOT : run->keys));
}

void run_record(struct run *run, const struct record *r)
{
    if (fwrite(r, sizeof *r, 1, run->out) != 1)
        err(2, "the history cannot be written");
}

void run_learn(struct run *run, uint32_t key, const struct known *now)
{
    struct known *k = &run->known[key_class(key)][key_number(key)];
    if (now->version > k->version)
        *k = *now;
}

void run_hear(struct run *run, uint32_t key, int64_t version)
{
    int64_t *heard = &run->heard[key_class(key)][key_number(key)];
    if (version > *heard)
        *heard = version;
}

void run_doubt(struct run *run, uint32_t key)
{
    run->known[key_class(key)][key_number(key)].unsure = true;
}

void run_follow(struct run *run, const struct follow *f)
{
    if (run->follow_tail - run->follow_head < FOLLOWS)
        run->follows[run->follow_tail++ % FOLLOWS] = *f;
}

bool run_take_follow(struct run *run, struct follow *f)
{
    if (run->follow_head == run->follow_tail)
        return false;
    *f = run->follows[run->follow_head++ % FOLLOWS];
    return true;
}

bool run_again(struct run *run, uint32_t key, bool failed)
{
    size_t room = (size_t)CLASSES * run->keys;
    if (!run->again)
        run->again = calloc(room, sizeof *run->again);
    if (!run->again)
        err(2, "memory");
    if (run->again_count == room || run->again_total >= room * AGAIN_MOST)
        return false;
    run->again_total += failed ? AGAIN_ERROR : 1;
    run->again[run->again_count++] = key;
    return true;
}

bool run_take_again(struct run *run, uint32_t *key)
{
    if (run->again_count == 0)
        return false;
    *key = run->again[--run->again_count];
    return true;
}

void run_watch(struct run *run, struct watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    int how = !w->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    if (w->events == events)
        return;
    if (epoll_ctl(run->epoll, how, w->fd, &e))
        err(2, "epoll");
    w->events = events;
}

void run_turn(struct run *run, int timeout_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(run->epoll, events, 64, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct watch *w = events[i].data.ptr;
        w->ready(w, events[i].events);
    }
}

size_t body_write(char out[BODY_MAX], uint64_t content)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    size_t size = 64 + content % 900;
    uint64_t x = content;
    snprintf(out, 17, "%016" PRIx64, content);
    for (size_t i = 16; i < size; i++) {
        x = step(x);
        out[i] = letters[x >> 58];
    }
    return size;
}

uint64_t body_read(const char *text, size_t size)
{
    char expected[BODY_MAX], digits[17] = {0}, *end;
    if (size < 16)
        return CONTENT_BROKEN;
    memcpy(digits, text, 16);
    uint64_t content = strtoull(digits, &end, 16);
    if (*end || content == 0)
        return CONTENT_BROKEN;
    return body_write(expected, content) == size && memcmp(expected, text, size) == 0
               ? content
               : CONTENT_BROKEN;
}

void value_read(const char *text, size_t size, struct record *r)
{
    char head[64] = {0}, letter;
    unsigned number, team;
    int used = 0;
    r->content = CONTENT_BROKEN;
    memcpy(head, text, size < sizeof head ? size : sizeof head - 1);
    if (sscanf(head, "%c:%u %" SCNd64 " %u %n", &letter, &number, &r->version, &team, &used) < 4 ||
        used == 0 || letter != class_letters[key_class(r->key)] || number != key_number(r->key))
        return;
    r->tag = (uint16_t)team;
    r->content = body_read(text + used, size - (size_t)used);
}

int value_write(char *out, size_t room, uint32_t key, const struct known *row)
{
    char body[BODY_MAX];
    int size = (int)body_write(body, row->content);
    return snprintf(out, room, "%c:%u %" PRId64 " %u %.*s", class_letters[key_class(key)],
                    key_number(key), row->version, row->tag, size, body);
}
