/*
 * command: what rtcache can be told: names, words, options, help, and how the answer is shown.
 *
 * Shape: one table; a command is one method of the protocol with its words as params. Thread: any.
 */
#ifndef RTCACHE_CLI_COMMAND_H
#define RTCACHE_CLI_COMMAND_H

#include "base/buf.h"
#include "cli/args.h"

/* How an answer becomes output and exit code. */
enum command_answer {
    COMMAND_PLAIN,   /* as JSON */
    COMMAND_VALUE,   /* nil: exit 1 */
    COMMAND_VALUES,  /* of get_many, as several keys and --partial become: one value a line */
    COMMAND_ENTRY,   /* nil, or a map whose value is nil: exit 1 */
    COMMAND_FOUND,   /* false: exit 1 */
    COMMAND_LOADERS, /* a table on a terminal */
    COMMAND_STATS    /* aligned lines on a terminal */
};

struct command {
    const char *name;  /* also of the method */
    const char *words; /* as the help shows them */
    int least, most;   /* words after the name; most -1: any number */
    uint32_t options;  /* ARGS_BITs beside those that all commands take */
    enum command_answer answer;
    const char *method;
    const char *summary;
    const char *text; /* of `rtcache help NAME`, below the summary; may be NULL */
};

/* NULL where there is none. */
const struct command *command_find(const char *name);
/* The nearest name, or NULL. */
const char *command_nearest(const char *name);

/* The right number of words, and no option that the command does not take. ERR_BAD_REQUEST. */
int command_check(const struct command *c, const struct args *a, struct err *e) MUST_USE;

/* c->answer, but for what becomes a get_many. */
enum command_answer command_answer_of(const struct command *c, const struct args *a);

/* What `rtcache --help` and `rtcache help NAME` print. */
int command_help(struct buf *out, const struct command *c) MUST_USE;
int command_help_all(struct buf *out) MUST_USE;

#endif
