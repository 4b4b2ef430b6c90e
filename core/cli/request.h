/*
 * request: a command line as MessagePack-RPC requests.
 *
 * Thread: any. Limits: standard input and a whole request, REQUEST_MAX bytes.
 */
#ifndef RTCACHE_CLI_REQUEST_H
#define RTCACHE_CLI_REQUEST_H

#include "base/buf.h"
#include "cli/args.h"
#include "cli/command.h"

#include <stdio.h>

#define REQUEST_MAX ((size_t)64 << 20)

/* Appends the requests, with the ids 1 .. *count. in: read where a value is "-".
 * ERR_BAD_REQUEST or ERR_BAD_VALUE: the words are wrong; ERR_IO: `in` cannot be read;
 * ERR_TOO_LARGE, ERR_NOMEM. */
int request_pack(struct buf *out, const struct command *c, const struct args *a, FILE *in,
                 size_t *count, struct err *e) MUST_USE;

#endif
