#include "wire/mp.h"

/* Of a format byte from 0xc0 to 0xdf: what it opens and how many bytes of number follow it. */
struct form {
    uint8_t type;  /* enum mp_type, FORM_BAD or FORM_UINT */
    uint8_t width; /* bytes of the number (a value, a size or a count); EXT of a fixed size: 0 */
};

enum { FORM_BAD = 0x7f, FORM_UINT = 0x7e };

static const struct form forms[32] = {
    {MP_NIL, 0},    {FORM_BAD, 0},  {MP_BOOL, 0},   {MP_BOOL, 0},   /* c0 .. c3 */
    {MP_BIN, 1},    {MP_BIN, 2},    {MP_BIN, 4},    {MP_EXT, 1},    /* c4 .. c7 */
    {MP_EXT, 2},    {MP_EXT, 4},    {MP_FLOAT, 4},  {MP_FLOAT, 8},  /* c8 .. cb */
    {FORM_UINT, 1}, {FORM_UINT, 2}, {FORM_UINT, 4}, {FORM_UINT, 8}, /* cc .. cf */
    {MP_INT, 1},    {MP_INT, 2},    {MP_INT, 4},    {MP_INT, 8},    /* d0 .. d3 */
    {MP_EXT, 0},    {MP_EXT, 0},    {MP_EXT, 0},    {MP_EXT, 0},    /* d4 .. d7 */
    {MP_EXT, 0},    {MP_STR, 1},    {MP_STR, 2},    {MP_STR, 4},    /* d8 .. db */
    {MP_ARRAY, 2},  {MP_ARRAY, 4},  {MP_MAP, 2},    {MP_MAP, 4},    /* dc .. df */
};

static inline uint64_t big_endian(const unsigned char *p, unsigned width)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (width) {
    case 0: return 0;
    case 1: return *p;
    case 2: memcpy(&v16, p, 2); return __builtin_bswap16(v16);
    case 4: memcpy(&v32, p, 4); return __builtin_bswap32(v32);
    default: memcpy(&v64, p, 8); return __builtin_bswap64(v64);
    }
}

static inline int64_t signed_of(uint64_t v, unsigned width)
{
    switch (width) {
    case 1: return (int8_t)v;
    case 2: return (int16_t)v;
    case 4: return (int32_t)v;
    default: return (int64_t)v;
    }
}

static double float_of(uint64_t bits, unsigned width)
{
    if (width == 8) {
        double d;
        memcpy(&d, &bits, 8);
        return d;
    }
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, 4);
    return (double)f;
}

/* The bytes that follow the header at p: of an EXT of a fixed size, 1, 2, 4, 8 or 16. */
static inline uint64_t data_size(const unsigned char *p, unsigned width)
{
    return width > 0 ? big_endian(p + 1, width) : (uint64_t)1 << (*p - 0xd4);
}

/* A string of `size` bytes that begins `head` bytes after r->at. */
static inline int take_bytes(struct mp_reader *r, struct mp_token *t, size_t head, uint64_t size)
{
    if ((uint64_t)(r->end - r->at) - head < size)
        return MP_MORE;
    t->bytes = slice_of(r->at + head, (size_t)size);
    r->at += head + size;
    return MP_OK;
}

int mp_next_form(struct mp_reader *r, struct mp_token *t)
{
    const unsigned char *p = (const unsigned char *)r->at;
    if (*p == 0xd9 && r->end - r->at >= 2) { /* as most strings are that are not the shortest */
        t->type = MP_STR;
        return take_bytes(r, t, 2, p[1]);
    }
    struct form f = forms[*p - 0xc0];
    size_t head = 1 + (size_t)f.width + (f.type == MP_EXT);

    if (f.type == FORM_BAD)
        return MP_BAD;
    if ((size_t)(r->end - r->at) < head)
        return MP_MORE;
    uint64_t v = big_endian(p + 1, f.width);
    if (f.type == FORM_UINT) {
        t->type = v > INT64_MAX ? MP_UINT : MP_INT;
        t->u = v;
        r->at += head;
        return MP_OK;
    }
    t->type = (enum mp_type)f.type;
    switch (t->type) {
    case MP_BOOL: t->b = *p == 0xc3; break;
    case MP_INT: t->i = signed_of(v, f.width); break;
    case MP_FLOAT: t->d = float_of(v, f.width); break;
    case MP_EXT:
        t->ext_type = (int8_t)p[head - 1];
        return take_bytes(r, t, head, data_size(p, f.width));
    case MP_STR:
    case MP_BIN: return take_bytes(r, t, head, v);
    case MP_ARRAY:
    case MP_MAP: t->count = (uint32_t)v; break;
    default: break;
    }
    r->at += head;
    return MP_OK;
}

/* What a scan needs to know of a token: its header and data in bytes, and the values after it. */
struct span {
    uint64_t bytes;
    uint64_t children;
    bool container;
};

/* MP_MORE: the header itself is not complete; otherwise *s is filled, also where the data is not
 * there yet. */
static inline int span_of(const char *at, size_t n, struct span *s)
{
    if (n == 0)
        return MP_MORE;
    const unsigned char *p = (const unsigned char *)at;
    unsigned char c = *p;

    *s = (struct span){.bytes = 1};
    if (c < 0x80 || c >= 0xe0)
        return MP_OK;
    if (c < 0xa0) {
        s->container = true;
        s->children = (uint64_t)(c & 0x0f) << (c < 0x90);
        return MP_OK;
    }
    if (c < 0xc0) {
        s->bytes += c & 0x1f;
        return MP_OK;
    }
    struct form f = forms[c - 0xc0];
    if (f.type == FORM_BAD)
        return MP_BAD;
    s->bytes += (uint64_t)f.width + (f.type == MP_EXT);
    if (n < s->bytes)
        return MP_MORE;
    if (f.type == MP_STR || f.type == MP_BIN || f.type == MP_EXT) {
        s->bytes += data_size(p, f.width);
    } else if (f.type == MP_ARRAY || f.type == MP_MAP) {
        s->container = true;
        s->children = big_endian(p + 1, f.width) << (f.type == MP_MAP);
    }
    return MP_OK;
}

static int scan_fault(struct mp_scan *scan, enum mp_fault fault, uint64_t needed)
{
    scan->fault = fault;
    scan->needed = needed;
    return MP_BAD;
}

/* left[0] is unused: at depth 0 the value itself is all that is owed, and an offset says that it
 * has been seen. */
int mp_scan_step(struct mp_scan *scan, struct slice s, size_t max_bytes)
{
    uint32_t depth_max = MP_DEPTH_MAX + scan->extra_depth;

    if (s.size == 0)
        return MP_MORE;
    while (scan->depth > 0 || scan->offset == 0) {
        struct span span;
        size_t at = scan->offset;
        int rc = span_of(s.data + at, s.size - at, &span);
        if (rc == MP_BAD)
            return scan_fault(scan, MP_FAULT_BYTE, 0);
        if (rc == MP_MORE)
            return MP_MORE;
        if (span.container && scan->depth == depth_max)
            return scan_fault(scan, MP_FAULT_DEPTH, 0);
        /* This token is one of those owed at depth > 0. */
        uint32_t before = scan->depth;
        uint64_t owed = scan->owed - (before > 0) + span.children;
        uint64_t needed = at + span.bytes + owed;
        if (needed > max_bytes)
            return scan_fault(scan, MP_FAULT_SIZE, needed);
        if (span.bytes > s.size - at)
            return MP_MORE;
        scan->offset += (size_t)span.bytes;
        scan->owed = owed;
        if (before > 0)
            scan->left[before]--;
        if (span.children > 0)
            scan->left[++scan->depth] = span.children;
        while (scan->depth > 0 && scan->left[scan->depth] == 0)
            scan->depth--;
        if (before >= scan->mark_depth && scan->depth <= scan->mark_depth && scan->mark_depth > 0 &&
            scan->mark_count < MP_MARKS)
            scan->marks[scan->mark_count++] = scan->offset;
    }
    return MP_OK;
}

int mp_skip(struct mp_reader *r)
{
    size_t most = SIZE_MAX;
    return mp_skip_some(r, &most);
}

int mp_skip_some(struct mp_reader *r, size_t *most)
{
    uint64_t left[MP_DEPTH_MAX + 1];
    uint32_t depth = 0;
    const char *at = r->at;

    do {
        struct span span;
        if ((*most)-- == 0) {
            *most = 0;
            return MP_BAD;
        }
        int rc = span_of(at, (size_t)(r->end - at), &span);
        if (rc != MP_OK)
            return rc;
        if (span.container && depth == MP_DEPTH_MAX)
            return MP_BAD;
        if (span.bytes > (uint64_t)(r->end - at))
            return MP_MORE;
        at += span.bytes;
        if (depth > 0)
            left[depth]--;
        if (span.children > 0)
            left[++depth] = span.children;
        while (depth > 0 && left[depth] == 0)
            depth--;
    } while (depth > 0);
    r->at = at;
    return MP_OK;
}

int mp_take(struct mp_reader *r, struct slice *value)
{
    const char *start = r->at;
    int rc = mp_skip(r);
    if (rc == MP_OK)
        *value = slice_of(start, (size_t)(r->at - start));
    return rc;
}

int mp_check(struct slice s, struct err *e)
{
    struct mp_scan scan = {0};
    int rc = mp_scan_step(&scan, s, s.size);

    if (rc == MP_OK && scan.offset == s.size)
        return 0;
    if (rc == MP_OK)
        return err_set(e, ERR_PROTOCOL,
                       "%zu bytes after the MessagePack value that ends at byte %zu",
                       s.size - scan.offset, scan.offset);
    if (rc == MP_MORE)
        return err_set(e, ERR_PROTOCOL, "the MessagePack value is cut off at byte %zu", s.size);
    switch (scan.fault) {
    case MP_FAULT_DEPTH:
        return err_set(e, ERR_PROTOCOL, "nested deeper than %d at byte %zu", MP_DEPTH_MAX,
                       scan.offset);
    case MP_FAULT_SIZE:
        return err_set(e, ERR_PROTOCOL,
                       "byte %zu declares more than there is: at least %llu bytes, of %zu",
                       scan.offset, (unsigned long long)scan.needed, s.size);
    default: return err_set(e, ERR_PROTOCOL, "byte 0xc1 at %zu is no MessagePack", scan.offset);
    }
}
