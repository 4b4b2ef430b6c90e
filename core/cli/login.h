/*
 * login: who the tool is to a server, and the hashes of passwords.
 *
 * Thread: the process's only one.
 */
#ifndef RTCACHE_CLI_LOGIN_H
#define RTCACHE_CLI_LOGIN_H

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/client.h"

/* Says `auth` where the command line or the environment names a user. 0: go on. Else *reply has
 * what the server answered, or its data is NULL and e says what is wrong. */
int login(struct client *c, const struct cli *cli, const struct args *a, struct client_reply *reply,
          struct err *e) MUST_USE;

/* The command passwd: prints the argon2id hash (RFC 9106) of a password, for 64 MiB and 2 passes.
 * ERR_CONFIG, ERR_BAD_REQUEST, ERR_IO, ERR_NOMEM. */
int login_print_hash(struct buf *out, const struct cli *cli, const struct args *a,
                     struct err *e) MUST_USE;

#endif
