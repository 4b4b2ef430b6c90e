/*
 * process: what the system says of this process. Thread: any.
 */
#ifndef RTCACHE_SYS_PROCESS_H
#define RTCACHE_SYS_PROCESS_H

#include <stddef.h>

/* Resident memory in bytes (proc(5), statm); 0 where the system does not say. */
size_t process_resident(void);

#define PROCESS_BOOT_ID 40 /* bytes, with the NUL */
/* Of the machine's start: another one after each (random(4)). "" where the system does not say. */
void process_boot_id(char out[PROCESS_BOOT_ID]);

#endif
