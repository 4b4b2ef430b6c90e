#include "base/log.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/show.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define RING_BYTES     (ERR_TEXT_MAX + 64)
#define LOG_KEY_MAX    32

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static _Atomic int log_fd = 2;
static _Atomic int log_least = LOG_INFO;

void log_setup(int fd, enum log_level least)
{
    atomic_store(&log_fd, fd);
    atomic_store(&log_least, (int)least);
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load(&log_least);
}

/* Whether this site may still write in this second; *swallowed gets what it owes the reader. */
static bool site_admits(struct log_site *site, int64_t second, uint32_t *swallowed)
{
    *swallowed = 0;
    if (atomic_load_explicit(&site->second, memory_order_relaxed) != second) {
        atomic_store_explicit(&site->second, second, memory_order_relaxed);
        atomic_store_explicit(&site->written, 0, memory_order_relaxed);
        *swallowed = atomic_exchange(&site->swallowed, 0);
    }
    if (atomic_fetch_add(&site->written, 1) < LOG_BURST)
        return true;
    atomic_fetch_add(&site->swallowed, 1);
    return false;
}

static size_t stamp(char *line, size_t room, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t n = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
    return n + (size_t)snprintf(line + n, room - n, ".%03dZ", (int)(wall_ms % 1000));
}

/* What a printf that returned n has put into room bytes, without the NUL. */
static size_t put(int n, size_t room)
{
    if (n < 0)
        return 0;
    return (size_t)n < room ? (size_t)n : room - 1;
}

void log_write(struct log_site *site, enum log_level level, const char *event, const char *pairs,
               ...)
{
    if ((int)level < atomic_load_explicit(&log_least, memory_order_relaxed))
        return;
    int64_t wall_ms = clock_wall_ms();
    uint32_t swallowed;
    if (!site_admits(site, wall_ms / 1000, &swallowed))
        return;
    char line[LINE_MAX_BYTES];
    size_t n = stamp(line, sizeof line, wall_ms);
    size_t room = sizeof line - n;
    n += put(snprintf(line + n, room, " %-5s %s", level_names[level], event), room);
    room = sizeof line - n;
    if (swallowed != 0)
        n += put(snprintf(line + n, room, " suppressed=%u", swallowed), room);
    if (pairs[0] != '\0' && n + 1 < sizeof line) {
        line[n++] = ' ';
        va_list args;
        va_start(args, pairs);
        n += put(vsnprintf(line + n, sizeof line - n, pairs, args), sizeof line - n);
        va_end(args);
    }
    n = utf8_cut(line, n);
    line[n++] = '\n';
    ssize_t written = write(atomic_load(&log_fd), line, n);
    (void)written; /* a log that cannot be written must not stop the server */
}

static char *ring_next(void)
{
    static _Thread_local char ring[8][RING_BYTES];
    static _Thread_local unsigned at;
    return ring[at++ % 8];
}

const char *log_q(const char *text)
{
    char *out = ring_next();
    out[0] = '"';
    size_t n = 1 + show_bytes(out + 1, RING_BYTES - 2, slice_str(text), "\"\\");
    memcpy(out + n, "\"", 2);
    return out;
}

const char *log_key(struct slice key)
{
    char *out = ring_next();
    size_t most = key.size > LOG_KEY_MAX ? utf8_cut(key.data, LOG_KEY_MAX) : key.size;
    out[0] = '"';
    size_t n = 1 + show_bytes(out + 1, RING_BYTES / 2, slice_of(key.data, most), "\"\\");
    snprintf(out + n, RING_BYTES - n, most < key.size ? "...\"(%zu)" : "\"", key.size);
    return out;
}
