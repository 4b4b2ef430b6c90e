/*
 * watch_files: the files that a configuration is made of, and the ways that lead to them.
 *
 * Shape: two walks over the file system. watch_files_walk visits the scripts and their folders,
 * through links; watch_way visits each step of a path, where a link stands for the path that it
 * names:
 *
 *   /srv/current/k.lua, current -> releases/7   steps: (/, srv) (/srv, current) (/srv, releases)
 *                                                      (/srv/releases, 7) (/srv/releases/7, k.lua)
 *
 * Whoever sees these names in these folders sees every way in which the file can become another
 * one. Thread: any. Limits: WATCH_DEPTH_MAX folders deep, WATCH_FILES_MAX scripts, WATCH_LINKS_MAX
 * links on one way (the kernel's own bound).
 */
#ifndef RTCACHE_SERVER_WATCH_FILES_H
#define RTCACHE_SERVER_WATCH_FILES_H

#include "conf/conf.h"

#define WATCH_DEPTH_MAX 8
#define WATCH_FILES_MAX 10000
#define WATCH_LINKS_MAX 40

/* What is visited; either function may be NULL. */
struct watch_visitor {
    void (*on_folder)(struct watch_visitor *v, const char *path);
    void (*on_file)(struct watch_visitor *v, const char *path);
    size_t files; /* so far */
};

bool watch_is_script(const char *name);

/* The n-th file beside the scripts: of the configuration, of TLS, of passwords. NULL: no more. */
const char *watch_file_of(const struct conf *conf, size_t n);

/* Folders before what is in them, in the order of names. */
void watch_files_walk(struct watch_visitor *v, const struct conf *conf);

/* path is absolute. last: the step whose name is the path's own end. */
void watch_way(const char *path,
               void (*on_step)(const char *folder, const char *name, bool last, void *arg),
               void *arg);

/* A hash over the names and the bytes of all of them, to tell a change from a touch. */
uint64_t watch_fingerprint(const struct conf *conf);

#endif
