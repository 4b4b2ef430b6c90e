#include "base/log.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

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
    n += (size_t)snprintf(line + n, sizeof line - n, " %-5s %s", level_names[level], event);
    if (swallowed != 0)
        n += (size_t)snprintf(line + n, sizeof line - n, " suppressed=%u", swallowed);
    if (pairs[0] != '\0') {
        line[n++] = ' ';
        va_list args;
        va_start(args, pairs);
        int more = vsnprintf(line + n, sizeof line - n, pairs, args);
        va_end(args);
        n += more > 0 ? (size_t)more : 0;
    }
    if (n > sizeof line - 1)
        n = sizeof line - 1;
    line[n++] = '\n';
    ssize_t written = write(atomic_load(&log_fd), line, n);
    (void)written; /* a log that cannot be written must not stop the server */
}

static char *ring_next(void)
{
    static _Thread_local char ring[8][ERR_TEXT_MAX + 64];
    static _Thread_local unsigned at;
    return ring[at++ % 8];
}

static size_t escape(char *out, size_t room, struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.size && n + 5 < room; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '"' || c == '\\')
            n += (size_t)snprintf(out + n, room - n, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
        else
            out[n++] = (char)c;
    }
    out[n] = '\0';
    return n;
}

const char *log_q(const char *text)
{
    char *out = ring_next();
    out[0] = '"';
    size_t n = 1 + escape(out + 1, ERR_TEXT_MAX + 32, slice_str(text ? text : ""));
    out[n] = '"';
    out[n + 1] = '\0';
    return out;
}

const char *log_key(struct slice key)
{
    char *out = ring_next();
    struct slice head = slice_of(key.data, key.size < 32 ? key.size : 32);
    out[0] = '"';
    size_t n = 1 + escape(out + 1, 256, head);
    snprintf(out + n, 32, key.size > 32 ? "...\"(%zu)" : "\"", key.size);
    return out;
}
