/*
 * registry: the table in which loaders stand, beside those of rtcache.conf.
 *
 *   every, a feed's word --> a look --> other rows? --> reload_rows (all threads, or none)
 *   a reload of the file --> a look --> registry_put: the rows upon what the file says
 *   the start            --> looks, for `timeout` at most --> reload_first
 *
 * Rows that are wrong change nothing, are logged once, and are not tried again before they, or what
 * the file says, are others. A table that cannot be read changes nothing either; at the start the
 * rows of the last life stand in, where a snapshot has kept them.
 * Thread: the main one, but for registry_changed. Limits: one look at a time (registry_look.h), ten
 * a second; CONF_LOADERS_MAX loaders.
 */
#ifndef RTCACHE_SERVER_REGISTRY_H
#define RTCACHE_SERVER_REGISTRY_H

#include "server/server.h"

#define REGISTRY_PAUSE_MS 100 /* between two looks that a feed asks for */

struct registry;

int registry_new(struct registry **out, struct server *s, struct err *e) MUST_USE;
struct registry_numbers *registry_numbers_of(struct registry *r);
/* Nothing is asked any more, and no reload begun. NULL is allowed, as for the next. */
void registry_stop(struct registry *r);
void registry_free(struct registry *r);

/* Before the first reload. done is called once, at once where the configuration has no registry. */
void registry_begin(struct registry *r, void (*done)(struct server *s));
/* The first reload was refused with the rows that registry_put chose: whether it is worth another
 * try, with others or none. */
bool registry_fall_back(struct registry *r, const struct err *e);

/* Before a reload: looks, from now on. done is called once, never from inside. false: the
 * configuration in force has no registry, and done is not called. One at a time. */
bool registry_look_first(struct registry *r, void (*done)(struct server *s));

/* Puts rows upon a configuration that was read from its file, whose reference it exchanges: those
 * that were read last, or, unless `all` is asked for, those in force. On failure *conf is as it
 * was. ERR_CONFIG names the row. */
int registry_put(struct registry *r, struct conf **conf, bool all, struct err *e) MUST_USE;

/* The snapshot in force is another one. */
void registry_set(struct registry *r);
/* A reload for the sake of rows alone was refused on some thread. */
void registry_refused(struct registry *r, const struct err *e);
/* After a look, and after a reload that was refused: begins a reload for rows that wait for one. */
void registry_settle(struct registry *r);

/* For feeds_tell_registry: of any thread. */
void registry_changed(void *arg);

#endif
