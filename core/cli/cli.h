/*
 * cli: the rtcache tool: one command line, run from its words to its exit code.
 *
 * Thread: the process's only one. Limits: those of request and client.
 */
#ifndef RTCACHE_CLI_CLI_H
#define RTCACHE_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#define CLI_SERVER_DEFAULT  "127.0.0.1:7411"
#define CLI_TIMEOUT_DEFAULT 30000 /* ms */
#define CLI_TIMEOUT_GRACE   500   /* ms, for the server to say TIMEOUT itself */

enum cli_exit {
    CLI_DONE = 0,
    CLI_NIL = 1,        /* null, or no such entry */
    CLI_USAGE = 2,      /* the command line is wrong */
    CLI_ERROR = 3,      /* the server answered an error */
    CLI_CONNECTION = 4, /* cannot connect, connection lost, or the output cannot be written */
    CLI_TIMEOUT = 5     /* no answer in time: seen here, or said by the server */
};

struct cli {
    FILE *in, *out, *err;
    bool terminal;               /* out is one */
    const char *server;          /* where the command line names none */
    const char *user, *password; /* likewise; NULL: none */
};

int cli_run(struct cli *cli, int argc, char **argv);

#endif
