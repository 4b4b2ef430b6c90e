#include "cli/login.h"

#include "cli/secret.h"
#include "wire/mpw.h"

#include <sodium.h>
#include <unistd.h>

static int find_password(struct secret *s, const struct cli *cli, const struct args *a,
                         struct err *e)
{
    if (a->password_file)
        return secret_of_file(s, a->password_file, e);
    if (cli->password)
        return secret_of_text(s, cli->password, e);
    if (isatty(fileno(cli->in)) == 1)
        return secret_ask(s, cli, false, e);
    *s = (struct secret){.size = 0};
    return err_set(e, ERR_BAD_REQUEST,
                   "--user: there is no password; name --password-file FILE, or set "
                   "RTCACHE_PASSWORD");
}

static int pack_auth(struct buf *out, const char *user, const struct secret *s, struct err *e)
{
    int rc = mpw_array(out, 4) | mpw_uint(out, 0) | mpw_uint(out, 1) | mpw_cstr(out, "auth") |
             mpw_array(out, 2) | mpw_text(out, slice_str(user)) |
             mpw_text(out, slice_of(s->text, s->size));
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory");
}

int login(struct client *c, const struct cli *cli, const struct args *a, struct client_reply *reply,
          struct err *e)
{
    const char *user = a->user ? a->user : cli->user;
    struct secret secret;
    struct buf request;
    if (!user)
        return a->password_file
                   ? err_set(e, ERR_BAD_REQUEST, "--password-file goes with --user NAME")
                   : 0;
    buf_init(&request, SECRET_MAX + 1024);
    int rc = find_password(&secret, cli, a, e);
    if (rc == 0)
        rc = pack_auth(&request, user, &secret, e);
    if (rc == 0)
        rc = client_exchange(c, buf_slice(&request), reply, 1, e);
    if (rc == 0 && reply->failed)
        rc = err_set(e, ERR_AUTH_FAILED, "auth: refused");
    secret_wipe(&secret);
    if (request.data)
        sodium_memzero(request.data, request.capacity);
    buf_fini(&request);
    return rc;
}

int login_print_hash(struct buf *out, const struct cli *cli, const struct args *a, struct err *e)
{
    char hash[crypto_pwhash_STRBYTES];
    struct secret secret;
    int rc = a->from ? secret_of_file(&secret, a->from, e) : secret_ask(&secret, cli, true, e);
    if (rc == 0 &&
        (sodium_init() < 0 ||
         crypto_pwhash_str(hash, secret.text, secret.size, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                           crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0))
        rc = err_set(e, ERR_NOMEM, "the hash needs 64 MiB of memory, and there is none");
    secret_wipe(&secret);
    if (rc == 0 && buf_printf(out, "%s\n", hash) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory");
    return rc;
}
