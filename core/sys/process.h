/*
 * process: what the system says of this process. Thread: any.
 */
#ifndef RTCACHE_SYS_PROCESS_H
#define RTCACHE_SYS_PROCESS_H

#include <stddef.h>

/* Resident memory in bytes (proc(5), statm); 0 where the system does not say. */
size_t process_resident(void);

#endif
