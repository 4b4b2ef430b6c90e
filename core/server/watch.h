/*
 * watch: tells when rtcache.conf, a file of its TLS or of a password, or a script changes on disk
 * (inotify(7), through the libev loop).
 *
 * Shape: one inotify descriptor; directories are watched, not files, so that editors which rename
 * are seen. A burst of events is one call, WATCH_SETTLE_MS after the last of them. Thread: the main
 * one. Limits: WATCH_DIRS_MAX directories, logged when passed; files that the configuration
 * includes from other folders are not watched.
 */
#ifndef RTCACHE_SERVER_WATCH_H
#define RTCACHE_SERVER_WATCH_H

#include "conf/conf.h"

#include <ev.h>

#define WATCH_SETTLE_MS 100
#define WATCH_DIRS_MAX  256

struct watch;

int watch_new(struct watch **out, struct ev_loop *loop, void (*changed)(void *arg), void *arg,
              struct err *e) MUST_USE;
/* Watches the folders of this configuration instead of the former ones. */
void watch_set(struct watch *w, struct conf *conf);
void watch_free(struct watch *w); /* NULL is allowed */

/* A hash over the configuration file, the files of TLS and of passwords and all scripts, to tell a
 * change from a touch. */
uint64_t watch_fingerprint(const struct conf *conf);

#endif
