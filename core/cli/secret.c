#include "cli/secret.h"

#include "base/bom.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

void secret_wipe(struct secret *s)
{
    sodium_memzero(s, sizeof *s);
}

static int check(const struct secret *s, const char *where, struct err *e)
{
    if (s->size == 0)
        return err_set(e, ERR_CONFIG, "%s: the password is empty", where);
    if (s->size > SECRET_MAX)
        return err_set(e, ERR_CONFIG, "%s: the password has more than %d bytes", where, SECRET_MAX);
    return 0;
}

/* A line of f without its end; more than SECRET_MAX bytes are cut to one more. */
static bool read_line(struct secret *s, FILE *f)
{
    bool got = fgets(s->text, sizeof s->text, f) != NULL;
    s->size = got ? strcspn(s->text, "\r\n") : 0;
    return got || !ferror(f);
}

int secret_of_file(struct secret *s, const char *path, struct err *e)
{
    *s = (struct secret){.size = 0};
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(e, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
    setvbuf(f, NULL, _IONBF, 0); /* no second copy of it */
    bool read = read_line(s, f);
    int reason = errno;
    fclose(f);
    if (!read)
        return err_set(e, ERR_CONFIG, "cannot read %s: %s", path, strerror(reason));
    const char *mark = bom_of(slice_of(s->text, s->size));
    if (mark)
        return err_set(e, ERR_CONFIG, "%s: %s", path, mark);
    return check(s, path, e);
}

int secret_of_text(struct secret *s, const char *text, struct err *e)
{
    *s = (struct secret){.size = strnlen(text, SECRET_MAX + 1)};
    memcpy(s->text, text, s->size);
    return check(s, "RTCACHE_PASSWORD", e);
}

static volatile sig_atomic_t stopped_by;

static void on_signal(int number)
{
    stopped_by = number;
}

/* Reads a line that the terminal does not show. A signal that ends the process finds the terminal
 * as it was. */
static bool read_unseen(struct secret *s, FILE *f)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    enum { COUNT = sizeof ending / sizeof *ending };
    const struct sigaction noted = {.sa_handler = on_signal}; /* no SA_RESTART: it ends the read */
    struct sigaction before[COUNT];
    struct termios shown, unseen;
    if (tcgetattr(fileno(f), &shown) != 0)
        return false;
    unseen = shown;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    for (int i = 0; i < COUNT; i++)
        sigaction(ending[i], &noted, &before[i]);
    tcsetattr(fileno(f), TCSAFLUSH, &unseen);
    bool read = read_line(s, f);
    int reason = errno;
    tcsetattr(fileno(f), TCSAFLUSH, &shown);
    for (int i = 0; i < COUNT; i++)
        sigaction(ending[i], &before[i], NULL);
    if (stopped_by) {
        secret_wipe(s);
        raise(stopped_by);
    }
    errno = reason;
    return read;
}

static int type_in(struct secret *s, const struct cli *cli, const char *prompt, struct err *e)
{
    *s = (struct secret){.size = 0};
    fprintf(cli->err, "%s: ", prompt);
    fflush(cli->err);
    bool read = read_unseen(s, cli->in);
    fputc('\n', cli->err);
    return read ? check(s, "standard input", e)
                : err_set(e, ERR_IO, "cannot read the password: %s", strerror(errno));
}

int secret_ask(struct secret *s, const struct cli *cli, bool again, struct err *e)
{
    *s = (struct secret){.size = 0};
    setvbuf(cli->in, NULL, _IONBF, 0);
    if (isatty(fileno(cli->in)) != 1) {
        if (!read_line(s, cli->in))
            return err_set(e, ERR_IO, "cannot read the password: %s", strerror(errno));
        return check(s, "standard input", e);
    }
    struct secret second;
    int rc = type_in(s, cli, "password", e);
    if (rc != 0 || !again)
        return rc;
    rc = type_in(&second, cli, "again", e);
    if (rc == 0 && (s->size != second.size || memcmp(s->text, second.text, s->size) != 0))
        rc = err_set(e, ERR_BAD_REQUEST, "the two are not the same");
    secret_wipe(&second);
    return rc;
}
