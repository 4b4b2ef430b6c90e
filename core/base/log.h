/*
 * log: structured lines on a descriptor, one event a line.
 *
 *   2026-01-31T12:00:00.123Z warn  pg.disconnected backend=main reason="server closed it"
 * retry_ms=250
 *
 * Shape: a time in UTC, a level, an event's name (area.what), then key=value pairs; values with a
 * space, quote or control character are quoted and escaped. One write(2) a line, no lock.
 * Thread: any. Limits: a line is cut at 2048 bytes; each call site writes at most LOG_BURST lines
 * a second, and then says how many it swallowed (suppressed=N on the next line it writes).
 * Keys and values of users never go through here in full: use log_key().
 */
#ifndef RTCACHE_BASE_LOG_H
#define RTCACHE_BASE_LOG_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define LOG_BURST 20

/* State of one call site; the macros below make one. */
struct log_site {
    _Atomic int64_t second;
    _Atomic uint32_t written;
    _Atomic uint32_t swallowed;
};

void log_setup(int fd, enum log_level least);
/* "debug", "info", "warn" or "error"; -1 for anything else. */
int log_level_parse(const char *name);
enum log_level log_level_now(void);

/* pairs: a printf format of "key=%s other=%d". A %s whose text may hold spaces goes through log_q.
 */
void log_write(struct log_site *site, enum log_level level, const char *event, const char *pairs,
               ...) __attribute__((format(printf, 4, 5)));

/* Quotes text for a pair, into a ring of 8 buffers of the thread: use it in the same call only. */
const char *log_q(const char *text);
/* The same for a key: its first 32 bytes, escaped, then its size. */
const char *log_key(struct slice key);

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        log_write(&log_site_, level, event, __VA_ARGS__);                                          \
    } while (0)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)

#endif
