/*
 * lives: how a server with a folder of state is ended, again and again, at any moment.
 *
 *   KILL                 kill -9 in the middle of the work
 *   KILL_WRITING         kill -9 while a snapshot that was asked for is written
 *   KILL_READING         kill -9, and again while the next life reads what is there
 *   STOP                 SIGTERM, as for an upgrade
 *   STOP_TWICE           SIGTERM, and again while the last snapshot is written
 *   STOP_KILL            SIGTERM, and kill -9 while the last snapshot is written
 *
 * The second blow comes at a random moment of the first milliseconds; where the server was quicker
 * it does not come. Who runs the server starts it again and writes its process id to a file.
 * Thread: the loop's.
 */
#ifndef HISTORY_LIVES_H
#define HISTORY_LIVES_H

#include "peer.h"

enum life_end {
    END_KILL,
    END_KILL_WRITING,
    END_KILL_READING,
    END_STOP,
    END_STOP_TWICE,
    END_STOP_KILL,
    LIFE_ENDS
};

struct lives_counts {
    unsigned begun[LIFE_ENDS];
    unsigned second; /* blows */
};

/* pid_file: borrowed; it is whole whenever it is read. */
void lives_init(const char *pid_file);
/* control: asks for a snapshot. server: the process that serves. */
void lives_end_one(struct run *run, struct peer *control, int server);
/* Until the next life answers. true: a second blow came; what answered until then is no more. */
bool lives_turn(struct run *run);
/* It has answered: nothing more is to hit it. */
void lives_are_over(void);
/* Whether this is a process other than the one that was ended. */
bool lives_is_new(int server);
const struct lives_counts *lives_counts(void);

#endif
