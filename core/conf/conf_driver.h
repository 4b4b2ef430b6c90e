/*
 * conf_driver: what the configuration is told of a driver: its name, the options of its backends,
 * and what there is to check of them.
 *
 *   conf_load(path, drivers) --> conf_backend { driver, own, ... } --> the driver's open
 *
 * Shape: constants of the driver, which the table of drivers names (backend/backend.h). A row of
 * its options is GROUP_BACKEND where the value is one that every part of the server knows, such as
 * the size of a pool, and GROUP_DRIVER where it is one of the struct of its own.
 * Thread: any; `check` the one that loads. Limits: CONF_DRIVERS_MAX.
 */
#ifndef RTCACHE_CONF_CONF_DRIVER_H
#define RTCACHE_CONF_CONF_DRIVER_H

#include "conf/conf.h"

struct option;     /* conf/options.h */
struct conf_check; /* conf/conf_check.h */

struct conf_driver {
    const char *name;             /* as `driver = "..."` has it */
    const struct option *options; /* the last row has no name; NULL: none of its own */
    size_t own_size;              /* bytes of the struct that conf_backend.own is; 0: none */
    bool speaks_sql;              /* a loader may be `sql`, and has the verbs of backend/sql.h */
    /* What one option alone cannot show. NULL: nothing. Called where all of them could be read or
     * not: what could not has its default, or is NULL. */
    void (*check)(const struct conf_check *c, const struct conf_backend *b);
    /* Appends what names the rows that it reads: two backends that say the same read the same ones.
     * Not how they are reached: passwords, time limits. ERR_NOMEM. NULL: its name does. */
    int (*name_source)(const struct conf_backend *b, struct buf *out);
};

#endif
