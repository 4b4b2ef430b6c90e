/*
 * sock: recv and send for threads that nobody cancels.
 *
 * The C library's are cancellation points (pthreads(7)), which costs two locked instructions each
 * wherever there is more than one thread, for each request of a client that waits for its answer.
 * These are the system calls alone. Thread: any. Errors: -1 and errno, as recv(2) and send(2).
 */
#ifndef RTCACHE_SYS_SOCK_H
#define RTCACHE_SYS_SOCK_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline ssize_t sock_recv(int fd, void *room, size_t size)
{
    return syscall(SYS_recvfrom, fd, room, size, 0, NULL, NULL);
}

/* Without a signal where the other side has left. */
static inline ssize_t sock_send(int fd, const void *bytes, size_t size)
{
    return syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL, NULL, 0);
}

/* The same for several pieces, one after the other. */
static inline ssize_t sock_send_pieces(int fd, struct iovec *pieces, size_t count)
{
    struct msghdr m = {.msg_iov = pieces, .msg_iovlen = count};
    return syscall(SYS_sendmsg, fd, &m, MSG_NOSIGNAL);
}

#endif
