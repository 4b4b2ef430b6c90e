/*
 * loaded: configurations that are right, read. After conf/folder.h.
 */
#ifndef RTCACHE_TESTS_UNIT_CONF_LOADED_H
#define RTCACHE_TESTS_UNIT_CONF_LOADED_H

#include "backend/backend.h"
#include "conf/conf.h"
#include "conf/folder.h"

static inline struct conf *load_at(const char *path)
{
    struct conf *c;
    struct err e;
    err_clear(&e);
    if (conf_load(path, backend_drivers, &c, NULL, &e) != 0)
        fail_msg("%s", e.text);
    return c;
}

/* The text, as the folder's rtcache.conf. */
static inline struct conf *load(const char *text)
{
    write_file("rtcache.conf", text);
    return load_at(in_folder("rtcache.conf"));
}

#endif
