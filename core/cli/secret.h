/*
 * secret: a password, from where no list of processes shows it.
 *
 * Shape: the first line of a file or of standard input, or what is typed without being shown.
 * Thread: the process's only one. Limits: SECRET_MAX bytes. secret_wipe is due on 0 and on failure.
 */
#ifndef RTCACHE_CLI_SECRET_H
#define RTCACHE_CLI_SECRET_H

#include "cli/cli.h"

#include "base/err.h"

#define SECRET_MAX 512

struct secret {
    char text[SECRET_MAX + 2];
    size_t size;
};

/* ERR_CONFIG: the file cannot be read, its first line is empty or too long. */
int secret_of_file(struct secret *s, const char *path, struct err *e) MUST_USE;
/* ERR_CONFIG where it is too long, or empty. */
int secret_of_text(struct secret *s, const char *text, struct err *e) MUST_USE;
/* From cli->in: asked for on cli->err where it is a terminal, twice with again; else its first
 * line. ERR_BAD_REQUEST, ERR_IO. */
int secret_ask(struct secret *s, const struct cli *cli, bool again, struct err *e) MUST_USE;
void secret_wipe(struct secret *s);

#endif
