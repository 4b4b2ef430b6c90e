/*
 * options: the table of all options but those that drivers have of their own, from which parsing,
 * checks, defaults, hints, the difference between two configurations and docs/configuration.md are
 * made.
 *
 * Shape: an array of rows, a few dozen; looking one up is a walk. Each driver has one more
 * (conf_driver.h). Thread: any, it is constant. Limits: none.
 */
#ifndef RTCACHE_CONF_OPTIONS_H
#define RTCACHE_CONF_OPTIONS_H

#include "conf/conf_driver.h"

enum option_group {
    GROUP_TOP,     /* struct conf */
    GROUP_BACKEND, /* struct conf_backend */
    GROUP_LOADER,  /* struct conf_loader */
    GROUP_POLICY,  /* struct policy: in a loader and in `defaults` */
    GROUP_TLS,     /* struct conf_tls */
    GROUP_TIER,    /* struct conf_tier */
    GROUP_USER,    /* struct conf_user */
    GROUP_DRIVER,  /* the struct of a driver's own, in a backend */
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
    OPT_DRIVER,   /* const struct conf_driver *, by its name */
    OPT_LISTEN,   /* conf's listen and listen_count */
    OPT_WORDS,    /* struct conf_words; of choices where there are any */
    OPT_GROUP,    /* read by hand, as is the next */
    OPT_GROUPS,   /* a list of groups */
};

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
    bool required;
    bool secret;  /* its text is in no message */
    bool restart; /* cannot change while the server runs */
};

extern const struct option options_table[];
extern const size_t options_count;
extern const char *const options_rights[]; /* by the bits of enum conf_right; NULL ends it */

/* The rows of the table and, after them, those of the driver (NULL: none); NULL after the last. */
const struct option *options_row(const struct conf_driver *driver, size_t i);

/* NULL where the table has none of that name in the group. */
const struct option *options_find(enum option_group group, const char *name);
/* NULL where the driver has none of that name of its own. */
const struct option *options_of_driver(const struct conf_driver *driver, const char *name);

/* Whether two structs of the group have the same value. */
bool options_equal(const struct option *o, const void *a, const void *b);

#endif
