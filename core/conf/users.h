/*
 * users: what is more to the users of a configuration than their options: hashes, system users,
 * compiled patterns, and the rule that an open address wants users.
 *
 * Thread: the one that loads. Limits: CONF_USERS_MAX and the other bounds of conf.h; a hash may ask
 * for USERS_HASH_KIB_MAX KiB of memory and USERS_HASH_PASSES_MAX passes.
 */
#ifndef RTCACHE_CONF_USERS_H
#define RTCACHE_CONF_USERS_H

#include "base/address.h"
#include "conf/setting.h"

#define USERS_HASH_KIB_MAX    (1024U * 1024U)
#define USERS_HASH_PASSES_MAX 64U

/* A user whose options are read. */
void users_finish(struct reading *r, const config_setting_t *group, struct conf_user *u);
/* An address that others than this machine reach wants users. */
void users_check_address(struct reading *r, const config_setting_t *root, const struct address *a,
                         const char *text);
/* What concerns several users. */
void users_check(struct reading *r, const config_setting_t *root);

/* Whether text is an argon2id hash within the bounds; why, where it is not: NULL where there is no
 * memory to tell. */
bool users_hash_is_right(const char *text, const char **why);

#endif
