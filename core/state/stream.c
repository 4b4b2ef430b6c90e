#include "state/stream.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)

static int failed(const struct stream *s, const char *what, struct err *e)
{
    return err_set(e, ERR_IO, "%s: cannot %s at byte %llu: %s", s->name, what,
                   (unsigned long long)s->filled, strerror(errno));
}

int stream_init(struct stream *s, int fd, const char *name, struct err *e)
{
    struct stat st;
    *s = (struct stream){.fd = fd, .name = name};
    buf_init(&s->room, 0);
    if (fstat(fd, &st) != 0) {
        int rc = failed(s, "look at it", e);
        stream_fini(s);
        return rc;
    }
    s->size = (uint64_t)st.st_size;
    return 0;
}

void stream_fini(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    buf_fini(&s->room);
}

int stream_again(struct stream *s, struct err *e)
{
    s->at = s->filled = s->blocks = 0;
    buf_clear(&s->room);
    return lseek(s->fd, 0, SEEK_SET) == 0 ? 0 : failed(s, "go back in it", e);
}

/* What was read of the file from s->at on. */
static struct slice rest(const struct stream *s)
{
    size_t size = (size_t)(s->filled - s->at);
    return slice_of(s->room.size > 0 ? s->room.data + s->room.size - size : "", size);
}

/* Reads until there are `wanted` bytes of rest, or the file ends. */
static int fill(struct stream *s, size_t wanted, struct err *e)
{
    uint64_t left = s->size - s->filled;
    buf_consume(&s->room, s->room.size - rest(s).size);
    size_t most = wanted > READ_BYTES ? wanted : READ_BYTES;
    if (most - s->room.size > left)
        most = s->room.size + (size_t)left;
    if (!buf_room(&s->room, most - s->room.size))
        return err_set(e, ERR_NOMEM, "%s: no memory for a block of %zu bytes at byte %llu", s->name,
                       wanted, (unsigned long long)s->at);
    while (s->room.size < wanted && s->room.size < most) {
        ssize_t n = read(s->fd, s->room.data + s->room.size, most - s->room.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(s, "read", e);
        if (n == 0) {
            s->size = s->filled; /* it is shorter than it was */
            break;
        }
        s->room.size += (size_t)n;
        s->filled += (uint64_t)n;
    }
    return 0;
}

static enum stream_read torn(const struct stream *s, size_t wanted, struct err *e)
{
    err_set(e, ERR_BAD_VALUE, "%s: block %llu at byte %llu ends after %llu of at least %zu bytes",
            s->name, (unsigned long long)s->blocks, (unsigned long long)s->at,
            (unsigned long long)(s->size - s->at), wanted);
    return STREAM_TORN;
}

enum stream_read stream_next(struct stream *s, struct block *b, struct err *e)
{
    size_t wanted;
    enum block_read read;
    while ((read = block_read(rest(s), b, &wanted, e)) == BLOCK_SHORT) {
        /* A body that is not all there is not asked memory for. */
        if (s->filled == s->size || (wanted > BLOCK_HEADER && wanted > s->size - s->at))
            return s->at == s->size ? STREAM_END : torn(s, wanted, e);
        if (fill(s, wanted, e) != 0)
            return STREAM_FAILED;
    }
    if (read == BLOCK_BAD) {
        err_prefix(e, "%s: block %llu at byte %llu", s->name, (unsigned long long)s->blocks,
                   (unsigned long long)s->at);
        return STREAM_BAD;
    }
    s->at += wanted;
    s->blocks++;
    return STREAM_BLOCK;
}
