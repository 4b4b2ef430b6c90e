/*
 * reason: why a load is begun, as it is counted per loader. Thread: any, pure.
 */
#ifndef RTCACHE_LOAD_REASON_H
#define RTCACHE_LOAD_REASON_H

enum load_reason {
    REASON_MISS,     /* a request waits for it */
    REASON_REFRESH,  /* a stale value was read, or a client asked for it */
    REASON_PREFETCH, /* refresh_ahead */
    REASON_EARLY,    /* early_beta */
    REASON_COUNT
};

static inline const char *load_reason_name(enum load_reason r)
{
    static const char *const names[] = {"loads_miss", "loads_refresh", "loads_prefetch",
                                        "loads_early"};
    return names[r];
}

#endif
