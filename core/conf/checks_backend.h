/*
 * checks_backend: that a backend which an option names is there, and can be asked what it will be.
 *
 * Thread: the one that loads. Limits: those of the configuration.
 */
#ifndef RTCACHE_CONF_CHECKS_BACKEND_H
#define RTCACHE_CONF_CHECKS_BACKEND_H

#include "conf/setting.h"

/* Told at the option, where that is written, else of the group. named NULL: none is. */
void checks_backend_named(struct reading *r, const config_setting_t *group, const char *option,
                          const char *named);
/* One that is not there is passed over. */
void checks_backend_speaks_sql(struct reading *r, const config_setting_t *group,
                               const char *option, const char *named);

#endif
