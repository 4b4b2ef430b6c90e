/*
 * watch: tells when rtcache.conf, a file of its TLS or of a password, or a script changes on disk
 * (inotify(7), through the libev loop).
 *
 * Shape: one inotify descriptor; folders are watched, not files, so that editors which rename are
 * seen, and with them every step of the way to a file (watch_files.h): a link that is switched, a
 * folder that is moved. A burst of events is one call, WATCH_SETTLE_MS after the last of them; the
 * ways are looked at anew before it. Thread: the main one. Limits: WATCH_DIRS_MAX folders and
 * WATCH_NAMES_MAX steps, logged when passed.
 */
#ifndef RTCACHE_SERVER_WATCH_H
#define RTCACHE_SERVER_WATCH_H

#include "conf/conf.h"

#include <ev.h>

#define WATCH_SETTLE_MS 100
#define WATCH_DIRS_MAX  256
#define WATCH_NAMES_MAX 4096

struct watch;

int watch_new(struct watch **out, struct ev_loop *loop, void (*changed)(void *arg), void *arg,
              struct err *e) MUST_USE;
/* Watches the files of this configuration instead of the former ones. changed is called once more
 * afterwards, for what may have changed before they were watched. */
void watch_set(struct watch *w, struct conf *conf);
void watch_free(struct watch *w); /* NULL is allowed */

#endif
