/*
 * run_turns: whose run goes on where scripts want more of their thread than there is.
 *
 *   woken --> ready (its script has not had more than others) --> step, at once while the turn
 * lasts
 *     `-----> late  (it has)                                  --> step, when its turn comes
 *
 * Each script has an account of the CPU that its runs took, and the runtime a clock that follows
 * the script which has its turn, as in fair queueing (Golestani, INFOCOM 1994). The turn is that of
 * the script which will have paid least after its next run, as long as its runs are as a rule: so
 * the quick go first, and who takes much waits until others had as much, or have nothing to do. The
 * price of time rises with the length of a script's runs, up to a bound: one whose runs take 100 ms
 * has an eighth of the time of one whose runs take 1 ms, where both want all of it. A script of
 * which no run has ended yet is taken to need all that one may. One that was idle begins at the
 * clock: nobody saves up time. Thread: the loader loop's. Limits: none of its own; a run is in one
 * of the lists once.
 */
#ifndef RTCACHE_BIND_RUN_TURNS_H
#define RTCACHE_BIND_RUN_TURNS_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct run;
struct runtime;

struct run_turns {
    struct list ready, late; /* runs */
    int64_t clock_us;        /* what the script that had its turn last had paid before it */
    int64_t left_us;         /* of this turn of the loop; INT64_MAX: nobody says when one begins */
};

/* Of one script. */
struct run_account {
    int64_t spent_us;    /* as it was priced */
    int64_t expected_us; /* of a run: a mean of the last ones */
    int64_t next_us;     /* the price of one */
    bool known;          /* a run of it has ended */
};

void run_turns_init(struct run_turns *t);
/* Of a script that never ran, and of which a run may take so much. */
void run_account_init(struct run_account *a, int64_t most_us);
/* Nobody waits before a run of the script: it may go on at once. */
bool run_turns_are_free(struct runtime *rt, int script);
/* r wants to go on; it is in no list. */
void run_turns_add(struct runtime *rt, struct run *r);
/* The first that is ready, out of its list; NULL: none is. */
struct run *run_turns_ready(struct runtime *rt);
/* The same, or, where none is, of the late the one whose script had least. */
struct run *run_turns_next(struct runtime *rt);
/* The script had its turn, and took so much; the clock follows. */
void run_turns_had(struct runtime *rt, int script, int64_t us);
/* It is to pay for that too. */
void run_turns_charge(struct runtime *rt, int script, int64_t us);
/* A run of it has ended, which took so much in all. */
void run_turns_ended(struct runtime *rt, int script, int64_t us);

#endif
