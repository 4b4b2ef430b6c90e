#include "sys/addr.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX   "unix:"
#define CANNOT_LISTEN "cannot listen on %s: %s"
#define NO_SOCKET     "cannot listen on %s: the file exists and is no socket"

static void set_unix(struct addr *a, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    a->sa_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

bool addr_same(const struct addr *a, const struct addr *b)
{
    return a->sa_size == b->sa_size && memcmp(&a->sa, &b->sa, a->sa_size) == 0;
}

/* An address that is there already is left out: where /etc/hosts names both 127.0.0.1 and ::1
 * localhost, glibc gives the first one twice. */
static void append(struct addrs *all, const struct addr *like, const struct addrinfo *found)
{
    struct addr *a = &all->at[all->count];
    *a = *like;
    memcpy(&a->sa, found->ai_addr, found->ai_addrlen);
    a->sa_size = found->ai_addrlen;
    for (unsigned i = 0; i < all->count; i++)
        if (addr_same(&all->at[i], a))
            return;
    all->count++;
}

int addr_resolve(struct addrs *all, const char *text, struct err *e)
{
    struct address written;
    struct addr like = {.sa_size = 0};
    all->count = 0;
    int rc = address_read(&written, text, e);
    if (rc != 0)
        return rc;
    snprintf(like.text, sizeof like.text, "%s", text);
    snprintf(like.host, sizeof like.host, "%s", written.host);
    like.tls = written.tls;
    if (written.is_unix) {
        set_unix(&like, written.path);
        all->at[all->count++] = like;
        return 0;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int gai = getaddrinfo(written.host, written.port, &hints, &found);
    if (gai != 0)
        return err_set(e, ERR_CONFIG, "address \"%s\": %s", text,
                       gai == EAI_SYSTEM ? strerror(errno) : gai_strerror(gai));
    for (const struct addrinfo *f = found; f && all->count < ADDRS_MAX; f = f->ai_next)
        if (f->ai_family == AF_INET || f->ai_family == AF_INET6)
            append(all, &like, f);
    freeaddrinfo(found);
    return all->count > 0 ? 0 : err_set(e, ERR_CONFIG, "address \"%s\": no address", text);
}

unsigned addr_port(const struct addr *a)
{
    if (a->sa.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
    if (a->sa.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
    return 0;
}

void addr_set_port(struct addr *a, unsigned port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((uint16_t)port);
    else if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((uint16_t)port);
}

bool addr_is_unix(const struct addr *a)
{
    return a->sa.ss_family == AF_UNIX;
}

bool addr_is_loopback(const struct addr *a)
{
    if (a->sa.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr) >> 24 == 127;
    if (a->sa.ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&a->sa)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return addr_is_unix(a);
}

int fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : ERR_IO;
}

static int bind_and_listen(int fd, const struct addr *a, int backlog)
{
    if (bind(fd, (const struct sockaddr *)&a->sa, a->sa_size) != 0)
        return -1;
    return listen(fd, backlog);
}

static const char *path_of(const struct addr *a)
{
    return ((const struct sockaddr_un *)&a->sa)->sun_path;
}

/* The owner and the group, where they are others already. */
static int give(const char *path, const struct addr_file *file)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return -1;
    uid_t uid = file->uid < 0 || (int64_t)st.st_uid == file->uid ? (uid_t)-1 : (uid_t)file->uid;
    gid_t gid = file->gid < 0 || (int64_t)st.st_gid == file->gid ? (gid_t)-1 : (gid_t)file->gid;
    return uid == (uid_t)-1 && gid == (gid_t)-1 ? 0 : lchown(path, uid, gid);
}

/* The file has its permissions from its first moment, and its owner before somebody is let in:
 * until the socket listens, whoever connects is refused. -1: errno says why. */
static int bind_file(int fd, const struct addr *a, int backlog, const struct addr_file *file,
                     struct err *e)
{
    mode_t before = file->mode >= 0 ? umask(~(mode_t)file->mode & 0777) : 0;
    int rc = bind(fd, (const struct sockaddr *)&a->sa, a->sa_size);
    int reason = errno;
    if (file->mode >= 0)
        umask(before);
    errno = reason;
    if (rc != 0)
        return -1;
    if (give(path_of(a), file) != 0)
        rc = err_set(e, ERR_IO, "cannot give %s its owner and group: %s", a->text, strerror(errno));
    else if (listen(fd, backlog) != 0)
        rc = -1;
    reason = errno;
    if (rc != 0)
        unlink(path_of(a));
    errno = reason;
    return rc;
}

/* Whether somebody answers on a Unix socket file; when in doubt, yes. */
static bool unix_answers(const struct addr *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool refused =
        connect(fd, (const struct sockaddr *)&a->sa, a->sa_size) != 0 && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

/* A lock on the socket's folder, held from the look at an old file until the new socket listens, so
 * that two starts at once do not remove each other's socket. -1 where it cannot be had in 1 s: then
 * it goes without. */
static int folder_lock(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t size = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, size);
    memcpy(folder + size, "/", 2);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == 100) {
            close(fd);
            return -1;
        }
        poll(NULL, 0, 10);
    }
    return fd;
}

static int listen_unix(int fd, const struct addr *a, int backlog, const struct addr_file *file,
                       struct err *e)
{
    const char *path = path_of(a);
    int lock = folder_lock(path);
    int rc = bind_file(fd, a, backlog, file, e);
    if (rc == -1 && errno == EADDRINUSE) {
        struct stat st;
        if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
            rc = err_set(e, ERR_IO, NO_SOCKET, a->text);
        else if (unix_answers(a))
            rc = err_set(e, ERR_IO, "cannot listen on %s: address in use, a server answers there",
                         a->text);
        else if (unlink(path) != 0 && errno != ENOENT)
            rc =
                err_set(e, ERR_IO, "cannot remove the old socket %s: %s", a->text, strerror(errno));
        else
            rc = bind_file(fd, a, backlog, file, e);
    }
    if (rc == -1)
        rc = err_set(e, ERR_IO, CANNOT_LISTEN, a->text, strerror(errno));
    if (lock >= 0)
        close(lock);
    return rc;
}

static int check_unix(const struct addr *a, struct err *e)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(e, ERR_IO, NO_SOCKET, a->text);
    snprintf(folder, sizeof folder, "%.*s/", (int)(strrchr(path, '/') - path), path);
    return stat(folder, &st) == 0 ? 0 : err_set(e, ERR_IO, CANNOT_LISTEN, a->text, strerror(errno));
}

int addr_check(const struct addr *a, struct err *e)
{
    const int on = 1;
    if (addr_is_unix(a))
        return check_unix(a, e);
    int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* With SO_REUSEADDR this is in nobody's way, for it does not listen. */
    bool ok = s >= 0 && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(s, (const struct sockaddr *)&a->sa, a->sa_size) == 0;
    int reason = ok ? 0 : errno;
    if (s >= 0)
        close(s);
    int rc = 0;
    if (reason != 0 && reason != EADDRINUSE && reason != EACCES)
        rc = err_set(e, ERR_IO, CANNOT_LISTEN, a->text, strerror(reason));
    errno = reason;
    return rc;
}

static int listen_tcp(int fd, const struct addr *a, int backlog, bool reuse_port, struct err *e)
{
    const int on = 1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (ok && reuse_port)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (ok && a->sa.ss_family == AF_INET6)
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    if (!ok || bind_and_listen(fd, a, backlog) != 0)
        return err_set(e, ERR_IO, CANNOT_LISTEN, a->text, strerror(errno));
    return 0;
}

static int listen_on(const struct addr *a, int backlog, bool reuse_port,
                     const struct addr_file *file, int *fd, struct err *e)
{
    *fd = -1;
    int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return err_set(e, ERR_IO, "no socket for %s: %s", a->text, strerror(errno));
    int rc = addr_is_unix(a) ? listen_unix(s, a, backlog, file, e)
                             : listen_tcp(s, a, backlog, reuse_port, e);
    int reason = errno;
    if (rc != 0)
        close(s);
    else
        *fd = s;
    errno = reason;
    return rc;
}

int addr_listen(const struct addr *a, int backlog, bool reuse_port, int *fd, struct err *e)
{
    const struct addr_file any = {.mode = -1, .uid = -1, .gid = -1};
    return listen_on(a, backlog, reuse_port, &any, fd, e);
}

int addr_listen_unix(const struct addr *a, int backlog, const struct addr_file *file, int *fd,
                     struct err *e)
{
    return listen_on(a, backlog, false, file, fd, e);
}

void addr_of_socket(int fd, char *text, size_t size)
{
    struct sockaddr_storage sa = {0};
    socklen_t sa_size = sizeof sa;
    char host[INET6_ADDRSTRLEN + 20], port[8]; /* + a scope: "%interface" */
    snprintf(text, size, "?");
    if (getsockname(fd, (struct sockaddr *)&sa, &sa_size) != 0)
        return;
    if (sa.ss_family == AF_UNIX) {
        size_t head = offsetof(struct sockaddr_un, sun_path);
        int n = sa_size > head ? (int)(sa_size - head) : 0;
        snprintf(text, size, UNIX_PREFIX "%.*s", n, ((struct sockaddr_un *)&sa)->sun_path);
    } else if (getnameinfo((struct sockaddr *)&sa, sa_size, host, sizeof host, port, sizeof port,
                           NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(text, size, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

/* Finishes a connect that goes on by itself. 0 or an errno. */
static int await_connected(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, timeout_ms > 0 ? timeout_ms : -1);
    if (n <= 0)
        return n == 0 ? ETIMEDOUT : errno;
    int reason = 0;
    socklen_t size = sizeof reason;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0)
        return errno;
    return reason;
}

/* The kernel's own limit on connect (SO_SNDTIMEO) holds for both families. 0 or an errno. */
static int connect_within(int fd, const struct addr *a, int timeout_ms)
{
    int ms = timeout_ms > 0 ? timeout_ms : 0;
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    const struct timeval none = {0};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return errno;
    int rc;
    do {
        rc = connect(fd, (const struct sockaddr *)&a->sa, a->sa_size);
    } while (rc != 0 && errno == EINTR && addr_is_unix(a));
    if (rc != 0) {
        int reason = errno;
        if (reason == EINTR) /* TCP goes on by itself */
            reason = await_connected(fd, timeout_ms);
        else if (reason == EINPROGRESS || reason == EAGAIN)
            reason = ETIMEDOUT;
        if (reason != 0)
            return reason;
    }
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) == 0 ? 0 : errno;
}

/* One address. 0 or an errno. */
static int connect_one(const struct addr *a, int timeout_ms, int *fd)
{
    const int on = 1;
    int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return errno;
    int reason = connect_within(s, a, timeout_ms);
    if (reason != 0) {
        close(s);
        return reason;
    }
    if (!addr_is_unix(a))
        (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *fd = s;
    return 0;
}

/* What is left goes to the addresses that are left in equal parts, so that one which does not
 * answer leaves time for the others. */
static int part_of(int64_t until_ms, unsigned left)
{
    int64_t rest = until_ms - clock_ms();
    return rest > (int64_t)left ? (int)(rest / left) : 1;
}

int addr_connect(const struct addrs *all, int timeout_ms, int *fd, struct err *e)
{
    int64_t until_ms = clock_ms() + timeout_ms;
    bool any_refused = false;
    int reason = EADDRNOTAVAIL, refused = 0;
    *fd = -1;
    for (unsigned i = 0; i < all->count; i++) {
        int limit = timeout_ms > 0 ? part_of(until_ms, all->count - i) : 0;
        reason = connect_one(&all->at[i], limit, fd);
        if (reason == 0)
            return 0;
        if (reason != ETIMEDOUT && !any_refused) {
            any_refused = true;
            refused = reason;
        }
    }
    const char *text = all->count > 0 ? all->at[0].text : "";
    if (!any_refused && timeout_ms > 0)
        return err_set(e, ERR_TIMEOUT, "cannot connect to %s: no answer within %d ms", text,
                       timeout_ms);
    return err_set(e, ERR_IO, "cannot connect to %s: %s", text,
                   strerror(any_refused ? refused : reason));
}
