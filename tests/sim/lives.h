/*
 * lives: a server that keeps its state, stopped, killed and begun again.
 *
 *   life: restart_open -> world -> restart_begin -> clients -> its end -> the next one
 *   end:  drained and stopped, or killed at any moment: then the folder is copied as it stands, and
 *         what the server does until it is taken down has never happened
 *
 * core/server/restart*.c are the server's own, with its journal, its snapshots and their files.
 * Simulated are the pool's thread, the feeds (feed.c), the times and the machine's boot id, and
 * what else happens between two blocks of a snapshot.
 *
 * Shape: one folder on a file system in memory for each life. Thread: one.
 */
#ifndef RTCACHE_SIM_LIVES_H
#define RTCACHE_SIM_LIVES_H

#include "server/server.h"
#include "sim.h"

#define LIVES_LOG 4096 /* changes that the feed's database has told of */

/* What a server is told that begins, and what of it holds: as docs/restarts.md says it. */
struct between {
    bool clean, journal, same_boot, clock_back, in_start, twice;
    int64_t down_ms;
};

struct lives {
    struct server server;
    struct io_snapshot asked;
    bool asking;
    char folder[128], next[128], older[128]; /* of this life, of the next one; of one before */
    bool open;                               /* clients may come */
    bool ending;                             /* none comes any more */
    bool opening;                            /* its state is read */
    int kill_blocks; /* killed after so many more blocks that are written, or read; 0: not there */
    bool stopped;    /* its last snapshot is there */
    bool journal;    /* of this life */
    int64_t wall_ms; /* what the wall clock is ahead of ours */
    int64_t died_ms, alive_wall_ms;
    int boot;
    uint64_t edition[SIM_LOADERS];  /* of its script */
    int64_t doubt_ms[HISTORY_KEYS]; /* of a write that a killed server had begun; 0: none */
    struct between between;
    struct rng rng; /* of what core draws from the operating system */
    /* The feed's database. */
    struct told {
        int key, version;
    } log[LIVES_LOG];
    int log_count, purged, fed; /* fed: so many are in force here */
    int resumes_at;             /* -1: nowhere */
    bool resumed;
};

/* Whether this seed's server keeps its state, and what comes with that. */
void lives_choose(struct sim *s, uint64_t seed);
/* Before and after the world is made. */
void lives_open(struct sim *s);
void lives_begin(struct sim *s);
/* After its loader thread has ended. */
void lives_end(struct sim *s);
void lives_close(struct sim *s);
/* From the first life to the last one, which goes on when this returns. */
void lives_run(struct sim *s);
void lives_fini(struct sim *s);

void lives_ask_snapshot(struct sim *s);
/* Now, unless something that was not acknowledged waits for the journal. */
void lives_kill(struct sim *s);

/* restarted.c */
void restarted_begin(void);
/* Whether something that was changed waits for the journal. */
bool sim_unflushed(const struct sim *s);

/* feed.c */
void feed_log(struct sim *s, int key, int version);
/* Whether this key's source tells of its changes. */
bool feed_has(const struct sim *s, int key);

/* folder.c: files on a file system in memory. */
void folder_name(char *out, size_t size, int number);
void folder_copy(const char *from, const char *to);
bool folder_copy_file(const char *from, const char *to, const char *name); /* false: no such */
void folder_remove(const char *path);                                      /* it may not be there */

#endif
