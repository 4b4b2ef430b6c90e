/*
 * faulty: what a server meets on a bad day, put between it and the C library. Linked into
 * rtcached_faulty, a server for tests alone, whose malloc, mmap, pthread_create, wall clock, read,
 * write and syscall (core/sys/sock.h) are these.
 *
 * Shape: the file that FAULTS_CONTROL names is mapped by the server and by the test that drives it
 * (tests/faults/faulty.lua has the same struct). A countdown that reaches zero makes that one call
 * fail, and those after it as many times as `more` says, but for as many bytes as were given back
 * meanwhile in large blocks. FAULTS_TRACE=1 writes where to standard error. Receiving and sending
 * takes `take_most` bytes at once, and each `trouble_each`-th time none: EINTR and EAGAIN in turn.
 * The disk has room for `disk_room` bytes more; then write(2) to a plain file fails, or, where the
 * disk `holds`, write(2) to and read(2) from one wait until it has room again.
 * Thread: any. Limits: what the C library allocates for itself without malloc does not fail, nor
 * what libconfig's parser does, which ends the process or crashes by itself.
 */
#include "faulty.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <libconfig.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FRAMES     24
#define LARGE      ((int64_t)1 << 20)
#define ROOM_BYTES 4096 /* for dlsym, which allocates before there is an allocator */

struct control {
    _Atomic int64_t fail_at; /* the how many-th allocation from now fails; 0: none */
    _Atomic int64_t more;    /* and how many after it */
    _Atomic int64_t seen;    /* allocations asked for while fail_at was set */
    _Atomic int64_t failed;
    _Atomic int64_t thread_at; /* the how many-th thread from now does not start; 0: none */
    _Atomic int64_t wall_shift_s;
    _Atomic int64_t take_most;    /* bytes; 0: as many as there are */
    _Atomic int64_t trouble_each; /* 0: never */
    _Atomic int64_t taken;        /* calls that received or sent, while either is set */
    _Atomic int64_t disk_room;    /* bytes, and one; 0: as many as there are */
    _Atomic int64_t disk_holds;
    _Atomic int64_t held; /* calls that wait for room now */
};

static struct control nothing;
static struct control *control = &nothing;
static bool traces;
static _Atomic int64_t given_back; /* bytes, while allocations fail */
static _Thread_local bool inside;  /* of what the faults themselves call */
static char room[ROOM_BYTES];
static size_t room_used;

static struct {
    long (*syscall)(long, ...);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*write)(int, const void *, size_t);
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void (*free)(void *);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*gettimeofday)(struct timeval *, void *);
    time_t (*time)(time_t *);
    int (*config_read_string)(config_t *, const char *);
    void (*config_init)(config_t *);
} real;

/* What the program is not linked with, it does not call. */
static void find_any(void *into, const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);
    memcpy(into, &at, sizeof at);
}

static void find(void *into, const char *name)
{
    if (!dlsym(RTLD_NEXT, name))
        abort();
    find_any(into, name);
}

static void find_all(void)
{
    static bool begun;
    if (begun)
        return;
    begun = true;
    find(&real.syscall, "syscall");
    find(&real.read, "read");
    find(&real.write, "write");
    find(&real.free, "free");
    find(&real.calloc, "calloc");
    find(&real.realloc, "realloc");
    find(&real.aligned_alloc, "aligned_alloc");
    find(&real.posix_memalign, "posix_memalign");
    find(&real.mmap, "mmap");
    find(&real.pthread_create, "pthread_create");
    find(&real.clock_gettime, "clock_gettime");
    find(&real.gettimeofday, "gettimeofday");
    find(&real.time, "time");
    find_any(&real.config_read_string, "config_read_string");
    find_any(&real.config_init, "config_init");
    find(&real.malloc, "malloc");
}

static bool is_in_room(const void *p)
{
    return (const char *)p >= room && (const char *)p < room + ROOM_BYTES;
}

static void *take_room(size_t size)
{
    size_t at = (room_used + 15) & ~(size_t)15;
    if (size > ROOM_BYTES - at)
        abort();
    room_used = at + size;
    return room + at;
}

__attribute__((constructor)) static void faulty_start(void)
{
    find_all();
    const char *path = getenv("FAULTS_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    traces = getenv("FAULTS_TRACE") != NULL;
    void *frames[1];
    if (traces)
        backtrace(frames, 1); /* loads what it needs */
    void *at = real.mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        abort();
    control = at;
}

void faulty_fail_allocation(int64_t nth, int64_t more)
{
    atomic_store(&control->seen, 0);
    atomic_store(&control->failed, 0);
    atomic_store(&control->more, more);
    atomic_store(&control->fail_at, nth);
}

void faulty_fail_thread(int64_t nth)
{
    atomic_store(&control->thread_at, nth);
}

bool faulty_calm(void)
{
    atomic_store(&control->fail_at, 0);
    return atomic_load(&control->failed) > 0;
}

static void trace(void)
{
    static const char title[] = "faulty: failed here:\n";
    void *frames[FRAMES];
    inside = true;
    int count = backtrace(frames, FRAMES);
    if (write(2, title, sizeof title - 1) > 0)
        backtrace_symbols_fd(frames, count, 2);
    inside = false;
}

static bool is_calm(void)
{
    return inside || atomic_load_explicit(&control->fail_at, memory_order_relaxed) == 0;
}

/* There is memory where some was given back. */
static void note_free(void *p)
{
    int64_t size = is_calm() ? 0 : (int64_t)malloc_usable_size(p);
    if (size >= LARGE)
        atomic_fetch_add(&given_back, size);
}

static bool has_some(size_t size)
{
    int64_t left = atomic_load(&given_back);
    while (left >= (int64_t)size)
        if (atomic_compare_exchange_weak(&given_back, &left, left - (int64_t)size))
            return true;
    return false;
}

/* Whether this allocation is one that fails. */
static bool fails(size_t size)
{
    if (is_calm())
        return false;
    int64_t nth = atomic_fetch_add(&control->seen, 1) + 1;
    int64_t first = atomic_load(&control->fail_at);
    if (nth == 1 || nth < first)
        atomic_store(&given_back, 0);
    if (nth < first || nth > first + atomic_load(&control->more) || has_some(size))
        return false;
    atomic_fetch_add(&control->failed, 1);
    if (traces)
        trace();
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    find_all();
    if (!real.malloc)
        return take_room(size);
    return fails(size) ? NULL : real.malloc(size);
}

void *calloc(size_t count, size_t size)
{
    find_all();
    if (!real.malloc)
        return take_room(count * size); /* is zero, and never used twice */
    return fails(count * size) ? NULL : real.calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    find_all();
    return fails(size) ? NULL : real.realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(size) ? NULL : real.aligned_alloc(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    return fails(size) ? ENOMEM : real.posix_memalign(out, alignment, size);
}

void free(void *p)
{
    if (!p || is_in_room(p))
        return;
    note_free(p);
    real.free(p);
}

/* An allocator's own mmap fails within the malloc that asks for it, which is another failure. */
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    find_all();
    if (!real.malloc || fd >= 0)
        return real.mmap(at, size, protection, flags, fd, offset);
    return fails(size) ? MAP_FAILED : real.mmap(at, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *arg)
{
    if (atomic_load(&control->thread_at) > 0 && atomic_fetch_sub(&control->thread_at, 1) == 1)
        return EAGAIN;
    return real.pthread_create(thread, attributes, start, arg);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = real.clock_gettime(id, ts);
    if (rc == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += atomic_load_explicit(&control->wall_shift_s, memory_order_relaxed);
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    int rc = real.gettimeofday(tv, zone);
    if (rc == 0)
        tv->tv_sec += atomic_load_explicit(&control->wall_shift_s, memory_order_relaxed);
    return rc;
}

time_t time(time_t *out)
{
    time_t now =
        real.time(NULL) + atomic_load_explicit(&control->wall_shift_s, memory_order_relaxed);
    if (out)
        *out = now;
    return now;
}

static long send_less(int fd, const struct msghdr *m, int flags, size_t most)
{
    size_t i = 0;
    while (i < m->msg_iovlen && m->msg_iov[i].iov_len == 0)
        i++;
    if (i == m->msg_iovlen)
        return real.syscall(SYS_sendmsg, fd, m, flags);
    struct iovec piece = m->msg_iov[i];
    piece.iov_len = piece.iov_len < most ? piece.iov_len : most;
    const struct msghdr less = {.msg_iov = &piece, .msg_iovlen = 1};
    return real.syscall(SYS_sendmsg, fd, &less, flags);
}

/* Of those that receive and send; whether this one does nothing. */
static bool has_trouble(void)
{
    int64_t each = atomic_load(&control->trouble_each);
    int64_t nth = atomic_fetch_add(&control->taken, 1) + 1;
    if (each == 0 || nth % each != 0)
        return false;
    errno = nth / each % 2 ? EINTR : EAGAIN;
    return true;
}

long syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    find_all();
    int64_t most = atomic_load_explicit(&control->take_most, memory_order_relaxed);
    bool takes = number == SYS_recvfrom || number == SYS_sendto || number == SYS_sendmsg;
    if (!takes || (most == 0 && atomic_load(&control->trouble_each) == 0))
        return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (has_trouble())
        return -1;
    if (most > 0 && number == SYS_sendmsg)
        return send_less((int)a[0], (const struct msghdr *)a[1], (int)a[2], (size_t)most);
    if (most > 0 && number != SYS_sendmsg && a[2] > most)
        a[2] = most;
    return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool is_plain_file(int fd)
{
    struct stat st;
    return fd != STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void wait_for_room(void)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    atomic_fetch_add(&control->held, 1);
    while (atomic_load(&control->disk_room) != 0)
        nanosleep(&ms, NULL);
    atomic_fetch_sub(&control->held, 1);
}

/* How many of these bytes the disk takes or gives at once. */
static size_t disk_share(int fd, size_t size)
{
    int64_t left = atomic_load_explicit(&control->disk_room, memory_order_relaxed);
    if (left == 0 || size == 0 || !is_plain_file(fd))
        return size;
    while (left > 1) {
        int64_t share = (int64_t)size < left - 1 ? (int64_t)size : left - 1;
        if (atomic_compare_exchange_weak(&control->disk_room, &left, left - share))
            return (size_t)share;
    }
    if (left == 0)
        return size;
    if (!atomic_load(&control->disk_holds))
        return 0;
    wait_for_room();
    return size;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    find_all();
    size_t share = disk_share(fd, size);
    if (share > 0 || size == 0)
        return real.write(fd, bytes, share);
    errno = ENOSPC;
    return -1;
}

ssize_t read(int fd, void *into, size_t size)
{
    find_all();
    bool holds = atomic_load_explicit(&control->disk_holds, memory_order_relaxed) != 0;
    return real.read(fd, into, holds ? disk_share(fd, size) : size);
}

int config_read_string(config_t *into, const char *text)
{
    bool was = inside;
    inside = true;
    int rc = real.config_read_string(into, text);
    inside = was;
    return rc;
}

/* The function above calls it too. */
void config_init(config_t *config)
{
    bool was = inside;
    inside = true;
    real.config_init(config);
    inside = was;
}
