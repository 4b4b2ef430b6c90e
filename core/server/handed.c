#include "server/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the environment ---- */

static int read_number(const char *name, const char *text, long *out, struct err *e)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0)
        return 0;
    return err_set(e, ERR_CONFIG, "%s is \"%.32s\", no number", name, text);
}

/* How many sockets are for this process. */
static int read_count(unsigned *count, struct err *e)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    long pid = 0, n = 0;
    *count = 0;
    if (!pid_text || !count_text)
        return 0;
    int rc = read_number("LISTEN_PID", pid_text, &pid, e);
    if (rc != 0 || pid != getpid())
        return rc;
    rc = read_number("LISTEN_FDS", count_text, &n, e);
    if (rc == 0 && n > HANDED_MAX)
        rc = err_set(e, ERR_CONFIG, "LISTEN_FDS is %ld; at most %d sockets are taken", n,
                     HANDED_MAX);
    *count = rc == 0 ? (unsigned)n : 0;
    return rc;
}

/* Each name to its socket; where there are no names at all it is "unknown", as for sd_listen_fds.
 */
static int read_names(struct handed *h, struct err *e)
{
    const char *text = getenv("LISTEN_FDNAMES");
    const char *at = text ? text : "";
    unsigned found = 0;
    for (unsigned i = 0; i < h->count && !text; i++)
        snprintf(h->at[i].name, sizeof h->at[i].name, "unknown");
    for (bool more = text != NULL; more; found++) {
        size_t size = strcspn(at, ":");
        if (size > HANDED_NAME_MAX)
            return err_set(e, ERR_CONFIG, "LISTEN_FDNAMES: a name has more than %d bytes",
                           HANDED_NAME_MAX);
        if (found < h->count)
            snprintf(h->at[found].name, sizeof h->at[found].name, "%.*s", (int)size, at);
        more = at[size] == ':';
        at += size + more;
    }
    if (text && found != h->count)
        return err_set(e, ERR_CONFIG, "LISTEN_FDNAMES has %u names, and LISTEN_FDS is %u", found,
                       h->count);
    return 0;
}

/* ---- one socket ---- */

static int wrong(const struct handed_socket *s, const char *what, struct err *e)
{
    return err_set(e, ERR_CONFIG, "LISTEN_FDS: descriptor %d (\"%.64s\") %s", s->fd, s->name, what);
}

/* Whether it has such an option, as every socket has. */
static bool read_option(int fd, int name, int *value)
{
    socklen_t size = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, name, value, &size) == 0;
}

static bool is_named_tls(const char *name)
{
    return strcmp(name, "tls") == 0 || strncmp(name, "tls-", 4) == 0;
}

/* What is to be read of an address that it is bound to: a name in the kernel alone has no path. */
static void write_text(struct addr *a, int fd)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sa;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    char name[sizeof un->sun_path]; /* apart, for it stands in what is written to */
    if (addr_is_unix(a) && a->sa_size > head && un->sun_path[0] == '\0') {
        memcpy(name, un->sun_path, sizeof name);
        snprintf(a->text, sizeof a->text, "unix:@%.*s", (int)(a->sa_size - head - 1), name + 1);
    } else {
        addr_of_socket(fd, a->text, sizeof a->text);
    }
}

static int look_at(struct handed_socket *s, struct err *e)
{
    char text[96];
    struct addr *a = &s->addr;
    if (fcntl(s->fd, F_SETFD, FD_CLOEXEC) != 0)
        return wrong(s, "is not open", e);
    int type, family, listens;
    if (!read_option(s->fd, SO_TYPE, &type) || !read_option(s->fd, SO_DOMAIN, &family) ||
        !read_option(s->fd, SO_ACCEPTCONN, &listens))
        return wrong(s, "is no socket", e);
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
        snprintf(text, sizeof text, "has the address family %d; IPv4, IPv6 and Unix are served",
                 family);
        return wrong(s, text, e);
    }
    if (type != SOCK_STREAM)
        return wrong(s, "is a socket of datagrams or packets; ListenStream= makes a stream", e);
    if (!listens)
        return wrong(s, "does not listen; it has to be one of ListenStream= with Accept=no", e);
    a->sa_size = sizeof a->sa;
    if (getsockname(s->fd, (struct sockaddr *)&a->sa, &a->sa_size) != 0)
        return wrong(s, strerror(errno), e);
    write_text(a, s->fd);
    a->tls = is_named_tls(s->name);
    if (a->tls && family == AF_UNIX)
        return wrong(s, "is a Unix socket, and is to speak TLS by its name", e);
    return fd_set_nonblocking(s->fd) == 0 ? 0 : wrong(s, strerror(errno), e);
}

int handed_read(struct handed *h, struct err *e)
{
    *h = (struct handed){.count = 0};
    int rc = read_count(&h->count, e);
    for (unsigned i = 0; i < h->count; i++)
        h->at[i].fd = HANDED_FIRST + (int)i;
    if (rc == 0 && h->count > 0)
        rc = read_names(h, e);
    for (unsigned i = 0; i < h->count && rc == 0; i++)
        rc = look_at(&h->at[i], e);
    if (rc == 0 && h->count > 0) {
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
    }
    return rc;
}

/* ---- matching ---- */

/* The path as it was bound is one of several that may lead to the file: /run and /var/run. */
static bool is_same_file(const struct addr *a, const struct addr *b)
{
    struct stat one, two;
    const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
    const char *other = ((const struct sockaddr_un *)&b->sa)->sun_path;
    if (path[0] == '\0' || other[0] == '\0')
        return false;
    if (strcmp(path, other) == 0)
        return true;
    return stat(path, &one) == 0 && stat(other, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

static bool is_bound_to(const struct addr *bound, const struct addr *a)
{
    if (addr_is_unix(bound) && addr_is_unix(a))
        return is_same_file(bound, a);
    return addr_same(bound, a);
}

int handed_take(struct handed *h, const struct addr *a, struct handed_socket **out, struct err *e)
{
    *out = NULL;
    for (unsigned i = 0; i < h->count && !*out; i++)
        if (!h->at[i].taken && is_bound_to(&h->at[i].addr, a))
            *out = &h->at[i];
    if (!*out)
        return 0;
    if ((*out)->addr.tls && !a->tls)
        return wrong(*out, "is to speak TLS by its name, and is without tls: in \"listen\"", e);
    (*out)->taken = true;
    return 0;
}

const struct handed_socket *handed_of_port(const struct handed *h, const struct addr *a)
{
    for (unsigned i = 0; i < h->count; i++)
        if (addr_port(a) != 0 && addr_port(&h->at[i].addr) == addr_port(a))
            return &h->at[i];
    return NULL;
}
