/*
 * print: answers to text and exit codes.
 *
 * Thread: any. Limits: PRINT_MAX bytes of text.
 */
#ifndef RTCACHE_CLI_PRINT_H
#define RTCACHE_CLI_PRINT_H

#include "base/buf.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/command.h"

#define PRINT_MAX ((size_t)512 << 20)

struct print {
    const char *method;
    enum command_answer answer;
    enum { PRINT_COMPACT, PRINT_PRETTY, PRINT_RAW } style;
    bool table;            /* loaders and stats as people read them */
    const char *group;     /* of stats; NULL: all of them; borrowed */
    struct buf *out, *err; /* text for standard output and standard error */
};

/* How the answers to c are to be shown, given the options and whether a terminal shows them. */
void print_init(struct print *p, const struct command *c, const struct args *a, bool terminal,
                struct buf *out, struct buf *err);

/* One reply. An enum cli_exit in *code; ERR_PROTOCOL: the answer has another shape than its method
 * gives; ERR_TOO_LARGE, ERR_NOMEM. */
int print_reply(struct print *p, const struct client_reply *reply, int *code,
                struct err *e) MUST_USE;

#endif
