#include "cli/cli.h"

#include "cli/client.h"
#include "cli/command.h"
#include "cli/login.h"
#include "cli/print.h"
#include "cli/request.h"
#include "cli/snapshot_keys.h"
#include "cli/tier_words.h"
#include "cli/warm.h"
#include "cli/watch_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int exit_of(int code)
{
    switch (code) {
    case ERR_TIMEOUT: return CLI_TIMEOUT;
    case ERR_CONFIG:
    case ERR_BAD_REQUEST:
    case ERR_BAD_VALUE: return CLI_USAGE;
    default: return CLI_CONNECTION;
    }
}

static int complain(struct cli *cli, const struct err *e)
{
    fprintf(cli->err, "rtcache: %s\n", e->text);
    return exit_of(e->code);
}

static bool write_text(FILE *to, const struct buf *text)
{
    return text->size == 0 || fwrite(text->data, 1, text->size, to) == text->size;
}

/* Writes what there is; the exit code, or CLI_CONNECTION where it cannot be written. */
static int flush(struct cli *cli, struct buf *out, struct buf *err, int code)
{
    bool told = write_text(cli->err, err);
    if (!write_text(cli->out, out) || fflush(cli->out) != 0 || !told) {
        fprintf(cli->err, "rtcache: cannot write the output: %s\n", strerror(errno));
        return CLI_CONNECTION;
    }
    return code;
}

static int print_replies(struct cli *cli, const struct command *c, const struct args *a,
                         const struct client_reply *replies, size_t count)
{
    struct buf out, err;
    struct print p;
    struct err e;
    int code = CLI_DONE, rc = 0;

    buf_init(&out, PRINT_MAX);
    buf_init(&err, PRINT_MAX);
    print_init(&p, c, a, cli->terminal, &out, &err);
    for (size_t i = 0; i < count && rc == 0; i++) {
        int one = CLI_DONE;
        rc = print_reply(&p, &replies[i], &one, &e);
        code = one > code ? one : code;
    }
    code = flush(cli, &out, &err, code);
    buf_fini(&out);
    buf_fini(&err);
    return rc == 0 ? code : complain(cli, &e);
}

/* Where, and over what: "--tls" stands for "tls:" before the address, of which room has a place.
 * ERR_BAD_REQUEST where the options do not go together. */
static int find_server(struct client_options *o, const struct cli *cli, const struct args *a,
                       char *room, size_t size, struct err *e)
{
    const char *server = a->server ? a->server : cli->server;
    bool says_tls = strncmp(server, "tls:", 4) == 0;
    bool is_unix = strncmp(server, "unix:", 5) == 0;
    if (args_has(a, ARGS_TLS) && is_unix)
        return err_set(e, ERR_BAD_REQUEST, "--tls: %.60s does not go over a network", server);
    if (!(args_has(a, ARGS_TLS) || says_tls) && (a->ca || a->cert || a->key))
        return err_set(e, ERR_BAD_REQUEST, "--ca, --cert and --key go with --tls or tls:host:port");
    if (!a->cert != !a->key)
        return err_set(e, ERR_BAD_REQUEST, "--cert and --key go together");
    snprintf(room, size, "%s%s", args_has(a, ARGS_TLS) && !says_tls ? "tls:" : "", server);
    o->address = room;
    o->tls = (struct tls_client_options){.ca = a->ca, .certificate = a->cert, .key = a->key};
    return 0;
}

/* Where c and its server's answer to auth go. The server's own TIMEOUT, which can carry more, comes
 * first where it knows the deadline. 0; or an error, and *refused has what auth was answered. */
static int open_server(struct client *client, struct cli *cli, const struct args *a,
                       struct client_reply *refused, struct err *e)
{
    struct client_options options = {.timeout_ms = CLI_TIMEOUT_DEFAULT};
    char address[256];
    if (args_has(a, ARGS_TIMEOUT))
        options.timeout_ms = a->timeout_ms;
    int rc = find_server(&options, cli, a, address, sizeof address, e);
    if (rc == 0)
        rc = client_open(client, &options, e);
    if (rc != 0)
        return rc;
    client->deadline_ms += args_has(a, ARGS_TIMEOUT) ? CLI_TIMEOUT_GRACE : 0;
    rc = login(client, cli, a, refused, e);
    if (rc != 0)
        client_close(client);
    if (rc == 0) {
        client_replies_free(refused, 1); /* that we are who we say */
        *refused = (struct client_reply){0};
    }
    return rc;
}

/* Requests out, answers back. *count: of the replies, which are fewer where who we are is refused:
 * why, in place of an answer. */
static int ask(struct cli *cli, const struct args *a, struct slice requests,
               struct client_reply *replies, size_t *count, struct err *e)
{
    struct client client;
    int rc = open_server(&client, cli, a, replies, e);
    if (rc == 0) {
        rc = client_exchange(&client, requests, replies, *count, e);
        client_close(&client);
    } else if (replies->failed) {
        rc = 0;
        *count = 1;
    }
    return rc;
}

/* They are printed as well. */
static int run_exchange(struct cli *cli, const struct command *c, const struct args *a,
                        struct slice requests, size_t count)
{
    struct err e;

    struct client_reply *replies = calloc(count, sizeof *replies);
    if (!replies) {
        err_set(&e, ERR_NOMEM, "no memory");
        return complain(cli, &e);
    }
    int rc = ask(cli, a, requests, replies, &count, &e);
    int code = rc == 0 ? print_replies(cli, c, a, replies, count) : complain(cli, &e);
    client_replies_free(replies, count);
    free(replies);
    return code;
}

/* ---- snapshot --keys ---- */

static int print_keys(struct cli *cli, struct slice answer)
{
    struct snapshot_keys k;
    struct err e;
    int rc = snapshot_keys_find(&k, answer, &e);
    if (rc == 0)
        rc = snapshot_keys_write(&k, cli->out, &e);
    if (rc == 0)
        return CLI_DONE;
    complain(cli, &e);
    return CLI_CONNECTION;
}

static int run_snapshot_keys(struct cli *cli, const struct command *c, const struct args *a,
                             struct slice request)
{
    struct client_reply reply = {0};
    struct err e;
    size_t count = 1;
    int rc = ask(cli, a, request, &reply, &count, &e), code;
    if (rc != 0)
        code = complain(cli, &e);
    else if (reply.failed)
        code = print_replies(cli, c, a, &reply, 1);
    else
        code = print_keys(cli, slice_of(reply.data, reply.size));
    client_replies_free(&reply, 1);
    return code;
}

/* ---- warm ---- */

static int print_warmed(struct cli *cli, const struct args *a, const struct warm_counts *n)
{
    struct buf out, err;
    buf_init(&out, 0);
    buf_init(&err, 0);
    bool json = !cli->terminal || args_has(a, ARGS_JSON) || args_has(a, ARGS_PRETTY);
    int rc = warm_write(&out, n, json, args_has(a, ARGS_PRETTY));
    int code = flush(cli, &out, &err, rc == 0 ? CLI_DONE : CLI_CONNECTION);
    buf_fini(&out);
    return code;
}

static int warm_code(int rc, const struct warm_counts *n)
{
    if (rc == ERR_SHUTDOWN || rc == ERR_UNAUTHENTICATED || (rc == 0 && n->failed > 0))
        return CLI_ERROR;
    return rc == 0 ? CLI_DONE : exit_of(rc);
}

static int warm_from(struct cli *cli, const struct command *c, const struct args *a, FILE *in)
{
    struct client client;
    struct client_reply refused = {0};
    struct warm_counts counts;
    struct err e;
    if (open_server(&client, cli, a, &refused, &e) != 0) {
        int code = refused.failed ? print_replies(cli, c, a, &refused, 1) : complain(cli, &e);
        client_replies_free(&refused, 1);
        return code;
    }
    struct warm_options o = {.rate = args_has(a, ARGS_RATE) ? a->rate : WARM_RATE_DEFAULT,
                             .timeout_ms = CLI_TIMEOUT_DEFAULT,
                             .progress_ms = WARM_PROGRESS_MS,
                             .in = in,
                             .err = cli->err};
    if (args_has(a, ARGS_TIMEOUT)) {
        o.deadline_ms = a->timeout_ms;
        o.timeout_ms = a->timeout_ms + CLI_TIMEOUT_GRACE;
    }
    int rc = warm_run(&client, &o, &counts, &e);
    client_close(&client);
    int code = print_warmed(cli, a, &counts);
    if (rc != 0)
        fprintf(cli->err, "rtcache: %s\n", e.text);
    return code != CLI_DONE ? code : warm_code(rc, &counts);
}

static int run_warm(struct cli *cli, const struct command *c, const struct args *a)
{
    const char *name = a->words[1];
    bool is_stdin = strcmp(name, "-") == 0;
    struct err e;
    FILE *in = is_stdin ? cli->in : fopen(name, "re");
    if (!in) {
        err_set(&e, ERR_CONFIG, "cannot read %.200s: %s", name, strerror(errno));
        return complain(cli, &e);
    }
    int code = warm_from(cli, c, a, in);
    if (!is_stdin)
        fclose(in);
    return code;
}

static int run_command(struct cli *cli, const struct command *c, const struct args *a)
{
    struct buf requests;
    struct err e;
    size_t count = 0;

    if (command_check(c, a, &e) != 0) {
        complain(cli, &e);
        fprintf(cli->err, "`rtcache help %s` says more.\n", c->name);
        return CLI_USAGE;
    }
    if (strcmp(c->name, "warm") == 0)
        return run_warm(cli, c, a);
    buf_init(&requests, REQUEST_MAX);
    int rc = request_pack(&requests, c, a, cli->in, &count, &e);
    int code;
    if (rc != 0)
        code = complain(cli, &e);
    else if (args_has(a, ARGS_KEYS))
        code = run_snapshot_keys(cli, c, a, buf_slice(&requests));
    else
        code = run_exchange(cli, c, a, buf_slice(&requests), count);
    buf_fini(&requests);
    return code;
}

static int run_passwd(struct cli *cli, const struct command *c, const struct args *a)
{
    struct buf out;
    struct err e;
    int rc = command_check(c, a, &e);
    buf_init(&out, 0);
    if (rc == 0)
        rc = login_print_hash(&out, cli, a, &e);
    int code = rc == 0 ? CLI_DONE : complain(cli, &e);
    if (rc == 0 && !(write_text(cli->out, &out) && fflush(cli->out) == 0))
        code = CLI_CONNECTION;
    buf_fini(&out);
    return code;
}

/* name NULL: about the tool. */
static int run_help(struct cli *cli, const char *name)
{
    const struct command *c = name ? command_find(name) : NULL;
    struct buf out;

    if (name && !c) {
        fprintf(cli->err, "rtcache: no command \"%.40s\"\n", name);
        return CLI_USAGE;
    }
    buf_init(&out, 0);
    int rc = c ? command_help(&out, c) : command_help_all(&out);
    if (rc == 0 && !write_text(cli->out, &out))
        rc = ERR_IO;
    buf_fini(&out);
    return rc == 0 && fflush(cli->out) == 0 ? CLI_DONE : CLI_CONNECTION;
}

static int run_words(struct cli *cli, const struct args *a)
{
    const char *name = a->count > 0 ? a->words[0] : NULL;
    struct err e;

    if (args_has(a, ARGS_VERSION) && a->count > 0) {
        err_set(&e, ERR_BAD_REQUEST,
                "--version says which rtcache this is and goes alone; the version of a value is "
                "--value-version N");
        complain(cli, &e);
        return CLI_USAGE;
    }
    if (args_has(a, ARGS_VERSION)) {
        bool told = fprintf(cli->out, "rtcache %s\n", RTCACHE_VERSION) > 0;
        return told && fflush(cli->out) == 0 ? CLI_DONE : CLI_CONNECTION;
    }
    if (name && strcmp(name, "help") == 0)
        return run_help(cli, a->count > 1 ? a->words[1] : NULL);
    if (args_has(a, ARGS_HELP))
        return run_help(cli, name);
    if (!name) {
        fprintf(cli->err, "rtcache: a command is missing; `rtcache --help` lists them\n");
        return CLI_USAGE;
    }
    const struct command *c = command_find(name);
    if (c && strcmp(name, "passwd") == 0)
        return run_passwd(cli, c, a);
    if (c)
        return run_command(cli, c, a);
    const char *near = command_nearest(name);
    if (near)
        fprintf(cli->err, "rtcache: no command \"%.40s\"; did you mean %s?\n", name, near);
    else
        fprintf(cli->err, "rtcache: no command \"%.40s\"; `rtcache --help` lists them\n", name);
    return CLI_USAGE;
}

static int write_watch(struct buf *out, int argc, char **argv, struct err *e)
{
    struct watch_sql w;
    int rc = watch_words_parse(&w, argc, argv, e);
    return rc != 0 ? rc : watch_sql_write(out, &w, e);
}

static int write_tier(struct buf *out, int argc, char **argv, struct err *e)
{
    struct tier_words w;
    int rc = tier_words_parse(&w, argc, argv, e);
    return rc != 0 ? rc : tier_words_write(out, &w, e);
}

/* Those that print SQL have options of their own, and no server. */
static const struct {
    const char *name;
    int (*write)(struct buf *out, int argc, char **argv, struct err *e);
} printers[] = {{"watch-sql", write_watch}, {"tier-sql", write_tier}};

static int run_printer(struct cli *cli, size_t printer, int argc, char **argv)
{
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    int rc = printers[printer].write(&out, argc, argv, &e);
    if (rc != 0)
        fprintf(cli->err, "rtcache: %s\n`rtcache help %s` says more.\n", e.text,
                printers[printer].name);
    bool written = rc == 0 && write_text(cli->out, &out) && fflush(cli->out) == 0;
    buf_fini(&out);
    return rc != 0 ? CLI_USAGE : written ? CLI_DONE : CLI_CONNECTION;
}

int cli_run(struct cli *cli, int argc, char **argv)
{
    bool helps = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    for (size_t i = 0; i < sizeof printers / sizeof *printers && argc > 1 && !helps; i++)
        if (strcmp(argv[1], printers[i].name) == 0)
            return run_printer(cli, i, argc - 1, argv + 1);
    struct args a;
    struct err e;
    int code;

    if (args_parse(&a, argc, argv, &e) != 0) {
        complain(cli, &e);
        code = e.code == ERR_NOMEM ? CLI_CONNECTION : CLI_USAGE;
    } else {
        code = run_words(cli, &a);
    }
    args_fini(&a);
    return code;
}
