/*
 * account: the user that a server becomes when it is started as root.
 *
 *   account_of -> account_enter, account_leave (files are made as that user) -> account_become
 *
 * Entering changes the effective user and groups of the whole process, and leaving brings root's
 * back; becoming is for good. Thread: the main one, before there are others. Limits: root's
 * ACCOUNT_GROUPS groups.
 */
#ifndef RTCACHE_SERVER_ACCOUNT_H
#define RTCACHE_SERVER_ACCOUNT_H

#include "conf/conf.h"

#include <sys/types.h>

#define ACCOUNT_GROUPS 256

struct account {
    const char *name; /* borrowed from the configuration; NULL: the process stays who it is */
    uid_t uid;
    gid_t gid;
    gid_t groups[ACCOUNT_GROUPS]; /* of root, while the process is entered as another */
    int group_count;
};

/* Whom a server of this configuration becomes. ERR_CONFIG: there is no such user. */
int account_of(const struct conf *conf, struct account *a, struct err *e) MUST_USE;
/* Does nothing where the process stays who it is, as the next two. */
int account_enter(struct account *a, struct err *e) MUST_USE;
/* Back to root; a system that refuses that ends the process. */
void account_leave(const struct account *a);
int account_become(const struct account *a, struct err *e) MUST_USE;
/* Whether the process may give its own files to the group. */
bool account_may_give(int64_t gid);

#endif
