/* user: a user with up to two patterns, for tests of rights. */
#ifndef RTCACHE_TESTS_SERVE_USER_H
#define RTCACHE_TESTS_SERVE_USER_H

#include "conf/conf.h"

#define PATTERNS 2

/* A user with up to two patterns. */
struct one {
    struct conf_user user;
    struct glob globs[PATTERNS];
    char rooms[PATTERNS][GLOB_MAX];
    const char *patterns[PATTERNS];
};

static inline const struct conf_user *user_of(struct one *o, unsigned rights, const char *first,
                                              const char *second)
{
    *o = (struct one){.patterns = {first, second}};
    size_t count = first ? 1 + (second != NULL) : 0;
    o->user = (struct conf_user){.name = "app",
                                 .rights = rights,
                                 .keys = {.list = o->patterns, .count = count},
                                 .globs = o->globs};
    for (size_t i = 0; i < count; i++)
        glob_compile(&o->globs[i], slice_str(o->patterns[i]), o->rooms[i]);
    return &o->user;
}

#endif
