/*
 * checks: what one option alone cannot show: options that contradict one another, names that are
 * not there, files that are missing.
 *
 * Thread: the one that loads; it asks the file system. Limits: those of the configuration.
 */
#ifndef RTCACHE_CONF_CHECKS_H
#define RTCACHE_CONF_CHECKS_H

#include "conf/setting.h"

/* A group of the file whose options are looked at. */
struct conf_check {
    struct reading *r;
    const config_setting_t *group;
};

/* After reader_read. What is wrong is among the problems. */
void checks_run(struct reading *r, const config_setting_t *root);

/* checks_tls.c: that addresses with "tls:" have the group, and that its files can be read. What is
 * in them is looked at when the configuration is taken over (sys/tls.h). */
void checks_tls(struct reading *r, const config_setting_t *root);
bool checks_tls_address(const char *address);

/* checks_tier.c: the group "tier", and the loaders that are kept there. */
void checks_tier(struct reading *r, const config_setting_t *root);

/* checks_unix.c: the permissions and the group of the files of Unix sockets, as numbers. */
void checks_unix(struct reading *r, const config_setting_t *root);

#endif
