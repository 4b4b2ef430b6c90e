/*
 * option_rows: short names for what tables of options are made of. For the files that have one:
 * conf/options.c, and one of each driver.
 *
 *   {BACKEND(OPT_INT, pool, "pool", "4"), .least = 1, .most = 1000, .text = "Connections."},
 *
 * Thread: any.
 */
#ifndef RTCACHE_CONF_OPTION_ROWS_H
#define RTCACHE_CONF_OPTION_ROWS_H

#include "conf/options.h"

#define KB   ((int64_t)1 << 10)
#define MB   ((int64_t)1 << 20)
#define GB   ((int64_t)1 << 30)
#define SEC  ((int64_t)1000)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define LONG OPTIONS_MOST_TTL_MS

/* What every row has: type, member of the struct, name in the file, default as it would be written
 * in quotes (NULL: none). */
#define ROW(group_, struct_, type_, field, name_, fallback_)                                       \
    .group = group_, .type = type_, .offset = offsetof(struct_, field), .name = name_,             \
    .fallback = fallback_
#define TOP(...)     ROW(GROUP_TOP, struct conf, __VA_ARGS__)
#define BACKEND(...) ROW(GROUP_BACKEND, struct conf_backend, __VA_ARGS__)
#define LOADER(...)  ROW(GROUP_LOADER, struct conf_loader, __VA_ARGS__)
#define USER(...)    ROW(GROUP_USER, struct conf_user, __VA_ARGS__)
#define POLICY(...)  ROW(GROUP_POLICY, struct policy, __VA_ARGS__)
#define TLS(...)     ROW(GROUP_TLS, struct conf_tls, __VA_ARGS__)
#define TIER(...)    ROW(GROUP_TIER, struct conf_tier, __VA_ARGS__)
/* A group or a list of groups, read by hand. */
#define SECTION(type_, name_) .group = GROUP_TOP, .type = type_, .name = name_
/* In the struct of a driver's own, which the table's file names OPTION_OWN. */
#define OWN(...) ROW(GROUP_DRIVER, OPTION_OWN, __VA_ARGS__)

#endif
