/*
 * report_pack: a report (serve/report.h) as MessagePack: a map of maps, and lists.
 *
 * Thread: the buf's owner. Limits: REPORT_DEPTH groups in one another.
 */
#ifndef RTCACHE_NET_REPORT_PACK_H
#define RTCACHE_NET_REPORT_PACK_H

#include "base/buf.h"
#include "serve/report.h"

#define REPORT_DEPTH 4

struct report_pack {
    struct report_sink sink;
    struct buf *out;
    int rc; /* 0, or of what was packed first in vain */
    unsigned depth;
    struct {
        size_t at;
        uint32_t members;
    } open[REPORT_DEPTH];
};

void report_pack_init(struct report_pack *p, struct buf *out);

#endif
