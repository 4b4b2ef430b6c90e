/*
 * rivals: what other policies would have missed on a trace, to see what there is to be had.
 *
 *   s3fifo  Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023: small queue of 10 %, ghost as large as main
 *   arc     Megiddo and Modha, FAST 2003
 *   lirs    Jiang and Zhang, SIGMETRICS 2002; part: of the room, that of the blocks of low recency
 *   wtlfu   Einziger, Friedman, Manes, ACM ToS 2017; part: of the room, the window's
 *   opt     Belady, IBM Systems Journal 1966: knows the future, and what is not worth storing
 *   gdsf    Cherkasova, HP Labs 1998: GreedyDual-Size-Frequency, for traces with sizes
 *
 * Written for this comparison after these papers; exact histories, no concurrency. All but gdsf
 * count keys, not bytes. Shape: 30 bytes a key at most. Thread: its owner's.
 */
#ifndef RTCACHE_BENCH_RIVALS_H
#define RTCACHE_BENCH_RIVALS_H

#include "trace.h"

/* The misses of a whole trace, with room for so many keys. */
size_t rival_s3fifo(const struct trace *t, size_t room);
size_t rival_arc(const struct trace *t, size_t room);
size_t rival_lirs(const struct trace *t, size_t room, double part);
size_t rival_wtlfu(const struct trace *t, size_t room, double part);
size_t rival_opt(const struct trace *t, size_t room);
/* With room for so many bytes; costs: bytes, by key. */
size_t rival_gdsf(const struct trace *t, const size_t *costs, size_t capacity_bytes);

#endif
