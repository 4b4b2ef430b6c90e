/*
 * state_block_fuzz: any bytes as a block. What is read must lie inside them, be the bytes that its
 * packing gives again, and not depend on what stands behind it.
 * Run: ./dev fuzz state_block
 */
#include "base/hash.h"
#include "state/block.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static enum block_read look(struct slice in)
{
    struct block b;
    struct err e;
    size_t used = 0;
    err_clear(&e);
    enum block_read read = block_read(in, &b, &used, &e);
    expect((read == BLOCK_BAD) == (e.code != 0));
    if (read == BLOCK_SHORT)
        expect(used > in.size);
    if (read != BLOCK_READ)
        return read;
    struct buf again;
    buf_init(&again, 0);
    expect(used <= in.size && block_append(&again, &b) == 0);
    expect(slice_eq(buf_slice(&again), slice_of(in.data, used)));
    expect(block_read(buf_slice(&again), &b, &used, &e) == BLOCK_READ && used == again.size);
    expect(block_read(slice_of(again.data, used - 1), &b, &used, &e) == BLOCK_SHORT);
    buf_fini(&again);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look(slice_of(data, size));
    if (size < BLOCK_HEADER)
        return 0;
    /* With checksums that fit, as chance would never find them. */
    char *right = malloc(size);
    memcpy(right, data, size);
    memcpy(right, "rtcb\1", 6);
    uint64_t head = hash_bytes(right, 24, 0);
    memcpy(right + 24, &head, 8);
    uint32_t length;
    memcpy(&length, right + 16, 4);
    if (length <= size - BLOCK_HEADER) {
        uint64_t body = hash_bytes(right + BLOCK_HEADER, length, head);
        memcpy(right + 32, &body, 8);
        expect(look(slice_of(right, size)) == BLOCK_READ);
    } else {
        expect(look(slice_of(right, size)) == (length > BLOCK_BODY_MOST ? BLOCK_BAD : BLOCK_SHORT));
    }
    free(right);
    return 0;
}
