/*
 * calls: the system's calls, which fail when a test says so. The functions here come before those
 * of the C library in the one program that includes this.
 *
 *   call_plan(CALL_POLL, 2, EBADF);    the second poll from now
 *   call_plan(CALL_POLL, 1, 0);        the first one; it returns 0
 *   call_made(CALL_CONNECT, 1, EINTR); the first connect, which takes place all the same
 *   ...
 *   calls_forget();                    each of them was called, and none fails any more
 *
 * Thread: the test's only one.
 */
#ifndef RTCACHE_TESTS_UNIT_CALLS_H
#define RTCACHE_TESTS_UNIT_CALLS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
    CALL_SOCKET,
    CALL_SETSOCKOPT,
    CALL_GETSOCKOPT,
    CALL_GETSOCKNAME,
    CALL_BIND,
    CALL_LISTEN,
    CALL_CONNECT,
    CALL_FCNTL,
    CALL_POLL,
    CALL_RECV,
    CALL_SEND,
    CALL_FLOCK,
    CALL_LSTAT,
    CALL_UNLINK,
    CALL_OPENAT,
    CALL_FSTAT,
    CALL_MKDIR,
    CALL_FSYNC,
    CALL_FDATASYNC,
    CALL_READ,
    CALL_WRITE,
    CALL_RENAMEAT,
    CALL_UNLINKAT,
    CALL_FTRUNCATE,
    CALL_COUNT
};

static struct {
    int nth, reason;
    int then; /* the reason of the call behind it; 0: that one takes place */
    bool made;
} calls[CALL_COUNT];

static inline void call_plan(enum call call, int nth, int reason)
{
    calls[call].nth = nth;
    calls[call].reason = reason;
    calls[call].made = false;
    calls[call].then = 0;
}

static inline void call_made(enum call call, int nth, int reason)
{
    call_plan(call, nth, reason);
    calls[call].made = true;
}

/* The nth write takes so many bytes, and the one behind it none, for that reason. */
static inline void call_short(int nth, int bytes, int reason)
{
    call_plan(CALL_WRITE, nth, -bytes);
    calls[CALL_WRITE].then = reason;
}

/* A call that was planned and never made is the test's mistake. */
static inline void calls_forget(void)
{
    for (int i = 0; i < CALL_COUNT; i++) {
        if (calls[i].nth > 0)
            fail_msg("call %d of %d more was not made", i, calls[i].nth);
        calls[i].nth = 0;
    }
}

/* Whether this one does not do what it would. */
static inline bool call_fails(enum call call)
{
    if (calls[call].nth > 0)
        return --calls[call].nth == 0;
    if (calls[call].then == 0)
        return false;
    calls[call].reason = calls[call].then;
    calls[call].then = 0;
    return true;
}

static inline void call_find(void *into, const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);
    memcpy(into, &at, sizeof at);
}

/* The call as the C library has it, unless it is to fail. */
#define CALL(call, type, name, ...)                                                                \
    type (*of_libc)(__VA_ARGS__);                                                                  \
    call_find(&of_libc, name);                                                                     \
    bool fails = call_fails(call)

#define CALL_END(call, ...)                                                                        \
    if (!fails)                                                                                    \
        return of_libc(__VA_ARGS__);                                                               \
    if (calls[call].made)                                                                          \
        (void)of_libc(__VA_ARGS__);                                                                \
    errno = calls[call].reason;                                                                    \
    return errno == 0 ? 0 : -1

int socket(int domain, int type, int protocol)
{
    CALL(CALL_SOCKET, int, "socket", int, int, int);
    CALL_END(CALL_SOCKET, domain, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    CALL(CALL_SETSOCKOPT, int, "setsockopt", int, int, int, const void *, socklen_t);
    CALL_END(CALL_SETSOCKOPT, fd, level, name, value, size);
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size)
{
    CALL(CALL_GETSOCKOPT, int, "getsockopt", int, int, int, void *, socklen_t *);
    CALL_END(CALL_GETSOCKOPT, fd, level, name, value, size);
}

int getsockname(int fd, __SOCKADDR_ARG sa, socklen_t *restrict size)
{
    CALL(CALL_GETSOCKNAME, int, "getsockname", int, __SOCKADDR_ARG, socklen_t *);
    CALL_END(CALL_GETSOCKNAME, fd, sa, size);
}

int bind(int fd, __CONST_SOCKADDR_ARG sa, socklen_t size)
{
    CALL(CALL_BIND, int, "bind", int, __CONST_SOCKADDR_ARG, socklen_t);
    CALL_END(CALL_BIND, fd, sa, size);
}

int listen(int fd, int backlog)
{
    CALL(CALL_LISTEN, int, "listen", int, int);
    CALL_END(CALL_LISTEN, fd, backlog);
}

int connect(int fd, __CONST_SOCKADDR_ARG sa, socklen_t size)
{
    CALL(CALL_CONNECT, int, "connect", int, __CONST_SOCKADDR_ARG, socklen_t);
    CALL_END(CALL_CONNECT, fd, sa, size);
}

int fcntl(int fd, int what, ...)
{
    va_list args;
    va_start(args, what);
    void *arg = va_arg(args, void *);
    va_end(args);
    CALL(CALL_FCNTL, int, "fcntl", int, int, ...);
    CALL_END(CALL_FCNTL, fd, what, arg);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    CALL(CALL_POLL, int, "poll", struct pollfd *, nfds_t, int);
    CALL_END(CALL_POLL, fds, count, timeout_ms);
}

ssize_t recv(int fd, void *room, size_t size, int flags)
{
    CALL(CALL_RECV, ssize_t, "recv", int, void *, size_t, int);
    CALL_END(CALL_RECV, fd, room, size, flags);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    CALL(CALL_SEND, ssize_t, "send", int, const void *, size_t, int);
    CALL_END(CALL_SEND, fd, bytes, size, flags);
}

int flock(int fd, int how)
{
    CALL(CALL_FLOCK, int, "flock", int, int);
    CALL_END(CALL_FLOCK, fd, how);
}

int lstat(const char *restrict path, struct stat *restrict out)
{
    CALL(CALL_LSTAT, int, "lstat", const char *, struct stat *);
    CALL_END(CALL_LSTAT, path, out);
}

int unlink(const char *path)
{
    CALL(CALL_UNLINK, int, "unlink", const char *);
    CALL_END(CALL_UNLINK, path);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    CALL(CALL_OPENAT, int, "openat", int, const char *, int, ...);
    CALL_END(CALL_OPENAT, dir, path, flags, mode);
}

int fstat(int fd, struct stat *out)
{
    CALL(CALL_FSTAT, int, "fstat", int, struct stat *);
    CALL_END(CALL_FSTAT, fd, out);
}

int mkdir(const char *path, mode_t mode)
{
    CALL(CALL_MKDIR, int, "mkdir", const char *, mode_t);
    CALL_END(CALL_MKDIR, path, mode);
}

int fsync(int fd)
{
    CALL(CALL_FSYNC, int, "fsync", int);
    CALL_END(CALL_FSYNC, fd);
}

/* What is to be done in each before it takes place, by any thread. NULL: nothing. */
static void (*in_fdatasync)(void);

int fdatasync(int fd)
{
    if (in_fdatasync)
        in_fdatasync();
    CALL(CALL_FDATASYNC, int, "fdatasync", int);
    CALL_END(CALL_FDATASYNC, fd);
}

ssize_t read(int fd, void *room, size_t size)
{
    CALL(CALL_READ, ssize_t, "read", int, void *, size_t);
    CALL_END(CALL_READ, fd, room, size);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    CALL(CALL_WRITE, ssize_t, "write", int, const void *, size_t);
    if (fails && calls[CALL_WRITE].reason < 0)
        return of_libc(fd, bytes, (size_t)-calls[CALL_WRITE].reason);
    CALL_END(CALL_WRITE, fd, bytes, size);
}

int renameat(int from, const char *old, int to, const char *name)
{
    CALL(CALL_RENAMEAT, int, "renameat", int, const char *, int, const char *);
    CALL_END(CALL_RENAMEAT, from, old, to, name);
}

int unlinkat(int dir, const char *path, int flags)
{
    CALL(CALL_UNLINKAT, int, "unlinkat", int, const char *, int);
    CALL_END(CALL_UNLINKAT, dir, path, flags);
}

int ftruncate(int fd, off_t size)
{
    CALL(CALL_FTRUNCATE, int, "ftruncate", int, off_t);
    CALL_END(CALL_FTRUNCATE, fd, size);
}

#endif
