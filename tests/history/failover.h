/*
 * failover: the primary ends at once and its standby takes its place, once in a run.
 *
 *   pause the writers --> end the primary --> promote the standby --> the writers go on, there
 *
 * Shape: readers and puts go on all the while. The standby is a synchronous one, so that nothing is
 * lost that anybody saw, and the account stays the truth. Thread: the loop's.
 */
#ifndef HISTORY_FAILOVER_H
#define HISTORY_FAILOVER_H

#include "run.h"

/* postmaster: of the primary. */
void failover_begin(const char *standby, int postmaster);
/* Whether it is over. */
bool failover_turn(struct run *run);

#endif
