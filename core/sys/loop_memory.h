/*
 * loop_memory: memory for libev, which ends the process where it gets none.
 *
 *   libev asks --> realloc --none--> the reserve is freed --> realloc once more --none--> abort
 *
 * Its requests are few and small (a table grows by doubling), so that a reserve carries it over a
 * moment without memory; it is taken again with a later request. Thread: install the main one's,
 * before any loop; the rest any. Limits: LOOP_MEMORY_RESERVE bytes.
 */
#ifndef RTCACHE_SYS_LOOP_MEMORY_H
#define RTCACHE_SYS_LOOP_MEMORY_H

#define LOOP_MEMORY_RESERVE ((size_t)1024 * 1024)

void loop_memory_install(void);

#endif
