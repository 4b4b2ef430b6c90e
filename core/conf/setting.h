/*
 * setting: one option's value, from what is written to what the struct holds.
 *
 *   "${HOME}/x" --environment--> "/root/x" --type, bounds--> conf
 *
 * Thread: the one that loads. Limits: SETTING_TEXT_MAX bytes of a string, expanded.
 */
#ifndef RTCACHE_CONF_SETTING_H
#define RTCACHE_CONF_SETTING_H

#include "conf/arena.h"
#include "conf/options.h"
#include "conf/problems.h"
#include "conf/source.h"

#include <libconfig.h>

#define SETTING_TEXT_MAX 4096

/* What one load works with; all borrowed until it ends. */
struct reading {
    struct conf *conf;
    struct arena *arena; /* of the snapshot */
    struct source *source;
    struct problems *problems;
    const struct conf_driver *const *drivers; /* NULL ends them */
    const char *dir;                          /* absolute; what relative paths are relative to */
};

/* A problem at the line of a setting. */
void setting_wrong(struct reading *r, const config_setting_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct source_place setting_place(const struct reading *r, const config_setting_t *at);

/* Whether s is right; otherwise the problem is told and target keeps what it had. */
bool setting_read(struct reading *r, const struct option *o, const config_setting_t *s,
                  void *target);

/* Sets all of the group's options, the driver's own among them (NULL: none), to their defaults. */
void setting_defaults(struct reading *r, enum option_group group, const struct conf_driver *driver,
                      void *target);

/* "a string", "a duration such as ...": for errors and docs. */
const char *setting_form(enum option_type type);

#endif
