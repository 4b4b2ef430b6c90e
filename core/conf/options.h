/*
 * options: the table of all options, from which parsing, checks, defaults, hints, the difference
 * between two configurations and docs/configuration.md are made.
 *
 * Shape: an array of rows, a few dozen; looking one up is a walk. Thread: any, it is constant.
 * Limits: none.
 */
#ifndef RTCACHE_CONF_OPTIONS_H
#define RTCACHE_CONF_OPTIONS_H

#include "conf/conf.h"

enum option_group {
    GROUP_TOP,     /* struct conf */
    GROUP_BACKEND, /* struct conf_backend */
    GROUP_LOADER,  /* struct conf_loader */
    GROUP_POLICY,  /* struct policy: in a loader and in `defaults` */
    GROUP_TLS,     /* struct conf_tls */
    GROUP_USER,    /* struct conf_user */
    GROUP_COUNT
};

enum option_type {
    OPT_BOOL,     /* bool */
    OPT_INT,      /* int64_t */
    OPT_SIZE,     /* int64_t, bytes */
    OPT_DURATION, /* int64_t, ms */
    OPT_MICROS,   /* int64_t, microseconds */
    OPT_RATIO,    /* double; its bounds are whole numbers */
    OPT_STRING,   /* const char * */
    OPT_PATH,     /* const char *, made absolute */
    OPT_CHOICE,   /* const char *, one of choices */
    OPT_DRIVER,   /* enum conf_driver, in the order of choices */
    OPT_LISTEN,   /* conf's listen and listen_count */
    OPT_WORDS,    /* struct conf_words; of choices where there are any */
    OPT_GROUP,    /* read by hand, as is the next */
    OPT_GROUPS,   /* a list of groups */
};

#define DRIVER_ANY (-1)

/* The most that a time to live and a wait may be: for clients as in the configuration. */
#define OPTIONS_MOST_TTL_MS  ((int64_t)3650 * 24 * 60 * 60 * 1000)
#define OPTIONS_MOST_WAIT_MS ((int64_t)60 * 60 * 1000)

struct option {
    enum option_group group;
    enum option_type type;
    const char *name;
    const char *fallback; /* as it would be written in quotes; NULL: none */
    const char *text;     /* Markdown, one or two sentences */
    const char *const *choices;
    int64_t least, most;
    size_t offset;
    int driver; /* DRIVER_ANY, or the only one that knows it */
    bool required;
    bool secret;  /* its text is in no message */
    bool restart; /* cannot change while the server runs */
};

extern const struct option options_table[];
extern const size_t options_count;
extern const char *const options_drivers[]; /* by enum conf_driver; NULL ends it */
extern const char *const options_rights[];  /* by the bits of enum conf_right; NULL ends it */

/* NULL where the group, with that driver, has none of that name. */
const struct option *options_find(enum option_group group, const char *name, int driver);

/* Whether two structs of the group have the same value. */
bool options_equal(const struct option *o, const void *a, const void *b);

#endif
