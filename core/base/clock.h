/*
 * clock: the only place that asks the operating system what time it is.
 *
 * CLOCK_BOOTTIME for everything that is compared (it goes on while the machine sleeps and never
 * jumps); the wall clock only for log lines and for scripts that ask for it. Thread: any.
 */
#ifndef RTCACHE_BASE_CLOCK_H
#define RTCACHE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);
int64_t clock_us(void);
/* Microseconds of CPU time of the calling thread. */
int64_t clock_thread_cpu_us(void);
/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

#endif
