#include "serve/session.h"

#include "serve/rights.h"

#include <string.h>

void session_become(struct session *s, const struct conf *conf, const struct conf_user *u)
{
    s->user = u;
    s->known = u || conf->user_count == 0;
    s->may = u ? rights_at_once(u) : s->known ? RIGHTS_ALL : RIGHT_ANYBODY;
}

void session_begin(struct session *s, const struct conf *conf, int64_t uid)
{
    session_become(s, conf, conf->user_count > 0 ? conf_user_of_uid(conf, uid) : NULL);
}

bool session_is_another(const struct session *s, const struct conf_user *u)
{
    return s->user && !conf_user_same_rights(s->user, u);
}

const struct conf_user *session_user(const struct conf *conf, struct slice name, const char *hash,
                                     struct err *e)
{
    const struct conf_user *u = conf_user_find(conf, name);
    if (u && u->password_hash && strcmp(u->password_hash, hash) == 0)
        return u;
    err_set(e, ERR_AUTH_FAILED, "auth: the user was changed meanwhile");
    return NULL;
}

/* That user in another configuration, most likely at that place. */
static const struct conf_user *again(const struct conf_user *u, const struct conf *before,
                                     const struct conf *now)
{
    size_t place = (size_t)(u - before->users);
    if (place < now->user_count && strcmp(now->users[place].name, u->name) == 0)
        return &now->users[place];
    return conf_user_find(now, slice_str(u->name));
}

bool session_stays(struct session *s, const struct conf *before, const struct conf *now,
                   int64_t uid, bool subscribes)
{
    const struct conf_user *old = s->user, *u = NULL;
    bool stays = true;
    if (now->user_count > 0 && !old) { /* everybody could do everything, or it was nobody yet */
        u = conf_user_of_uid(now, uid);
        stays = u || !s->known;
    } else if (now->user_count > 0) {
        u = again(old, before, now);
        stays =
            u && conf_user_same_proof(old, u) && !(subscribes && !conf_user_same_rights(old, u));
    }
    session_become(s, now, stays ? u : NULL);
    return stays;
}
