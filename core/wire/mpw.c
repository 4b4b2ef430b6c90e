#include "wire/mpw.h"

#include "wire/mp.h"

#include <math.h>
#include <msgpack/pack.h>

#define EXACT_MAX   9007199254740992.0 /* 2^53: every integer up to it is a double */
#define OPEN_HEADER 5                  /* the format byte and a 32-bit count */

/* msgpack-c hands back what this returns, so the codes of buf arrive unchanged. */
static int packer_write(void *data, const char *bytes, size_t size)
{
    return buf_append(data, bytes, size);
}

static inline msgpack_packer packer_of(struct buf *b)
{
    return (msgpack_packer){.data = b, .callback = packer_write};
}

/* Values of one byte, as most of a row's that are no strings, are written in place. */
static int put_byte(struct buf *b, unsigned char byte)
{
    char *to = buf_room(b, 1);
    if (!to)
        return buf_append(b, &byte, 1); /* for its code */
    *to = (char)byte;
    b->size++;
    return 0;
}

int mpw_nil(struct buf *b)
{
    return put_byte(b, 0xc0);
}

int mpw_bool(struct buf *b, bool v)
{
    return put_byte(b, v ? 0xc3 : 0xc2);
}

/* An integer's format and its lowest bytes. */
static int put_int(struct buf *b, unsigned char format, uint64_t bits, unsigned bytes)
{
    int rc = buf_fits(b, 1 + bytes) ? 0 : buf_grow(b, 1 + bytes);
    if (rc != 0)
        return rc;
    char *to = b->data + b->size;
    bits = __builtin_bswap64(bits << (64 - 8 * bytes));
    to[0] = (char)format;
    memcpy(to + 1, &bits, bytes);
    b->size += 1 + bytes;
    return 0;
}

int mpw_int(struct buf *b, int64_t v)
{
    if (v >= -32 && v < 128)
        return put_byte(b, (unsigned char)v);
    uint64_t size = v < 0 ? (uint64_t) - (v + 1) * 2 : (uint64_t)v; /* what has to fit in a form */
    unsigned width = size <= UINT8_MAX ? 0 : size <= UINT16_MAX ? 1 : size <= UINT32_MAX ? 2 : 3;
    return put_int(b, (unsigned char)((v < 0 ? 0xd0 : 0xcc) + width), (uint64_t)v, 1U << width);
}

int mpw_uint(struct buf *b, uint64_t v)
{
    msgpack_packer pk = packer_of(b);
    return msgpack_pack_uint64(&pk, v);
}

int mpw_float(struct buf *b, double v)
{
    msgpack_packer pk = packer_of(b);
    return msgpack_pack_double(&pk, v);
}

int mpw_number(struct buf *b, double v)
{
    if (v >= -EXACT_MAX && v <= EXACT_MAX && v == (double)(int64_t)v && !(v == 0 && signbit(v)))
        return mpw_int(b, (int64_t)v);
    return mpw_float(b, isnan(v) ? (double)NAN : v);
}

int mpw_array(struct buf *b, uint32_t count)
{
    if (count < 16)
        return put_byte(b, (unsigned char)(0x90 | count));
    msgpack_packer pk = packer_of(b);
    return msgpack_pack_array(&pk, count);
}

int mpw_map(struct buf *b, uint32_t pairs)
{
    if (pairs < 16)
        return put_byte(b, (unsigned char)(0x80 | pairs));
    msgpack_packer pk = packer_of(b);
    return msgpack_pack_map(&pk, pairs);
}

/* The bytes of a string after its header: what is left of a failed one goes away with it. */
static int finish_bytes(struct buf *b, size_t before, int rc, struct slice s)
{
    if (rc == 0)
        rc = buf_append(b, s.data, s.size);
    if (rc != 0)
        b->size = before;
    return rc;
}

int mpw_str(struct buf *b, struct slice s)
{
    char *to = s.size < 32 ? buf_room(b, 1 + s.size) : NULL;
    if (to) {
        to[0] = (char)(0xa0 | s.size);
        if (s.size > 0) /* the data of an empty slice may be NULL */
            memcpy(to + 1, s.data, s.size);
        b->size += 1 + s.size;
        return 0;
    }
    if (s.size > UINT32_MAX)
        return ERR_TOO_LARGE;
    msgpack_packer pk = packer_of(b);
    size_t before = b->size;
    return finish_bytes(b, before, msgpack_pack_str(&pk, s.size), s);
}

int mpw_cstr(struct buf *b, const char *s)
{
    return mpw_str(b, slice_str(s));
}

int mpw_bin(struct buf *b, struct slice s)
{
    if (s.size > UINT32_MAX)
        return ERR_TOO_LARGE;
    msgpack_packer pk = packer_of(b);
    size_t before = b->size;
    return finish_bytes(b, before, msgpack_pack_bin(&pk, s.size), s);
}

int mpw_ext(struct buf *b, int8_t type, struct slice s)
{
    if (s.size > UINT32_MAX)
        return ERR_TOO_LARGE;
    msgpack_packer pk = packer_of(b);
    size_t before = b->size;
    return finish_bytes(b, before, msgpack_pack_ext(&pk, s.size, type), s);
}

int mpw_text(struct buf *b, struct slice s)
{
    return mp_utf8_valid(s) ? mpw_str(b, s) : mpw_bin(b, s);
}

int mpw_raw(struct buf *b, struct slice packed)
{
    return buf_append(b, packed.data, packed.size);
}

static int open_container(struct buf *b, size_t *at, unsigned char format)
{
    const char header[OPEN_HEADER] = {(char)format, 0, 0, 0, 0};
    size_t before = b->size;
    int rc = buf_append(b, header, sizeof header);
    if (rc == 0)
        *at = before;
    return rc;
}

int mpw_array_open(struct buf *b, size_t *at)
{
    return open_container(b, at, 0xdd);
}

int mpw_map_open(struct buf *b, size_t *at)
{
    return open_container(b, at, 0xdf);
}

void mpw_close(struct buf *b, size_t at, uint32_t count)
{
    uint32_t big = __builtin_bswap32(count);
    memcpy(b->data + at + 1, &big, sizeof big);
}

void mpw_array_close(struct buf *b, size_t at, uint32_t count)
{
    size_t header = count < 16 ? 1 : count <= UINT16_MAX ? 3 : OPEN_HEADER;
    char *to = b->data + at;
    uint32_t big = __builtin_bswap32(count << (count <= UINT16_MAX ? 16 : 0));
    memmove(to + header, to + OPEN_HEADER, b->size - at - OPEN_HEADER);
    b->size -= OPEN_HEADER - header;
    to[0] = (char)(count < 16 ? 0x90 | count : count <= UINT16_MAX ? 0xdc : 0xdd);
    if (header > 1)
        memcpy(to + 1, &big, header - 1);
}
