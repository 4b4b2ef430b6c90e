#include "state/block.h"

#include "base/hash.h"
#include "state/le.h"

static const char magic[4] = {'r', 't', 'c', 'b'};

/* Where each field begins. */
enum {
    AT_FORMAT = 4,
    AT_TYPE = 6,
    AT_SEQ = 8,
    AT_LENGTH = 16,
    AT_COUNT = 20,
    AT_HEAD = 24,
    AT_BODY = 32,
};

int block_close(struct buf *out, size_t begin, unsigned type, uint64_t seq, uint32_t count)
{
    size_t length = out->size - begin - BLOCK_HEADER;
    if (length > BLOCK_BODY_MOST)
        return ERR_TOO_LARGE;
    char *header = out->data + begin;
    memcpy(header, magic, sizeof magic);
    le_put16(header + AT_FORMAT, BLOCK_FORMAT);
    le_put16(header + AT_TYPE, (uint16_t)type);
    le_put64(header + AT_SEQ, seq);
    le_put32(header + AT_LENGTH, (uint32_t)length);
    le_put32(header + AT_COUNT, count);
    uint64_t head = hash_bytes(header, AT_HEAD, 0);
    le_put64(header + AT_HEAD, head);
    le_put64(header + AT_BODY, hash_bytes(header + BLOCK_HEADER, length, head));
    return 0;
}

int block_append(struct buf *out, const struct block *b)
{
    size_t begin = out->size;
    if (b->body.size > BLOCK_BODY_MOST)
        return ERR_TOO_LARGE;
    int rc = buf_grow(out, BLOCK_HEADER + b->body.size);
    if (rc != 0)
        return rc;
    if (b->body.size > 0)
        memcpy(out->data + begin + BLOCK_HEADER, b->body.data, b->body.size);
    out->size += BLOCK_HEADER + b->body.size;
    return block_close(out, begin, b->type, b->seq, b->count);
}

static enum block_read bad(struct err *e, const char *what)
{
    err_set(e, ERR_BAD_VALUE, "%s", what);
    return BLOCK_BAD;
}

/* What is wrong of the header, or of the part of it that is there. */
static enum block_read judge_header(struct slice in, struct err *e)
{
    for (size_t i = 0; i < sizeof magic && i < in.size; i++)
        if (in.data[i] != magic[i]) {
            err_set(e, ERR_BAD_VALUE, "byte %zu is none of a block's mark", i);
            return BLOCK_BAD;
        }
    if (in.size >= AT_TYPE && le_get16(in.data + AT_FORMAT) != BLOCK_FORMAT) {
        err_set(e, ERR_BAD_VALUE, "byte %d: format %u, where %d is known", AT_FORMAT,
                le_get16(in.data + AT_FORMAT), BLOCK_FORMAT);
        return BLOCK_BAD;
    }
    if (in.size < BLOCK_HEADER)
        return BLOCK_SHORT;
    if (le_get64(in.data + AT_HEAD) != hash_bytes(in.data, AT_HEAD, 0))
        return bad(e, "bytes 0 to 31, of the header, are not what was written");
    if (le_get32(in.data + AT_LENGTH) > BLOCK_BODY_MOST)
        return bad(e, "byte 16: longer than a block may be");
    return BLOCK_READ;
}

enum block_read block_read(struct slice in, struct block *b, size_t *used, struct err *e)
{
    *used = BLOCK_HEADER;
    enum block_read read = judge_header(in, e);
    if (read != BLOCK_READ)
        return read;
    size_t length = le_get32(in.data + AT_LENGTH);
    *used = BLOCK_HEADER + length;
    if (in.size < *used)
        return BLOCK_SHORT;
    const char *body = in.data + BLOCK_HEADER;
    if (le_get64(in.data + AT_BODY) != hash_bytes(body, length, le_get64(in.data + AT_HEAD))) {
        err_set(e, ERR_BAD_VALUE, "bytes 32 to %zu, of the body, are not what was written",
                *used - 1);
        return BLOCK_BAD;
    }
    *b = (struct block){
        .type = le_get16(in.data + AT_TYPE),
        .count = le_get32(in.data + AT_COUNT),
        .seq = le_get64(in.data + AT_SEQ),
        .body = slice_of(body, length),
    };
    return BLOCK_READ;
}
