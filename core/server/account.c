#include "server/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int account_of(const struct conf *conf, struct account *a, struct err *e)
{
    *a = (struct account){.name = NULL};
    if (!conf->user || geteuid() != 0)
        return 0;
    const struct passwd *pw = getpwnam(conf->user);
    if (!pw)
        return err_set(e, ERR_CONFIG, "%s: user: there is no user \"%s\"", conf->file, conf->user);
    a->name = conf->user;
    a->uid = pw->pw_uid;
    a->gid = pw->pw_gid;
    return 0;
}

int account_enter(struct account *a, struct err *e)
{
    if (!a->name)
        return 0;
    a->group_count = getgroups(ACCOUNT_GROUPS, a->groups);
    if (a->group_count >= 0 && initgroups(a->name, a->gid) == 0 && setegid(a->gid) == 0 &&
        seteuid(a->uid) == 0)
        return 0;
    int reason = errno;
    if (a->group_count >= 0)
        account_leave(a);
    return err_set(e, ERR_IO, "user: cannot become \"%s\": %s", a->name, strerror(reason));
}

void account_leave(const struct account *a)
{
    if (!a->name)
        return;
    if (seteuid(0) != 0 || setegid(getgid()) != 0 ||
        setgroups((size_t)a->group_count, a->groups) != 0)
        abort();
}

int account_become(const struct account *a, struct err *e)
{
    if (a->name && (initgroups(a->name, a->gid) != 0 || setgid(a->gid) != 0 || setuid(a->uid) != 0))
        return err_set(e, ERR_IO, "user: cannot become \"%s\"", a->name);
    return 0;
}

bool account_may_give(int64_t gid)
{
    gid_t groups[ACCOUNT_GROUPS];
    int count = getgroups(ACCOUNT_GROUPS, groups);
    bool may = geteuid() == 0 || (int64_t)getegid() == gid || count < 0;
    for (int i = 0; i < count; i++)
        may |= (int64_t)groups[i] == gid;
    return may;
}
