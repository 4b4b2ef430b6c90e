#include "state/journal_record.h"

#include "state/le.h"

enum { FLAG_SOFT = 1, FLAG_GONE = 2, FLAG_MISFITS = 4, FLAG_VERSION = 8, FLAGS = 15 };

/* Where each field begins, behind the size. */
enum { AT_KIND = 0, AT_FLAGS = 1, AT_TEXT_SIZE = 2, AT_VERSION = 4, AT_LEFT = 12, FIXED = 20 };

int journal_record_append(struct buf *out, const struct journal_record *r)
{
    if (r->text.size > JOURNAL_TEXT_MOST)
        return ERR_TOO_LARGE;
    size_t size = FIXED + r->text.size;
    char *at = buf_room(out, 4 + size);
    if (!at)
        return ERR_NOMEM;
    le_put32(at, (uint32_t)size);
    at += 4;
    at[AT_KIND] = (char)r->kind;
    at[AT_FLAGS] = (char)((r->soft ? FLAG_SOFT : 0) | (r->gone ? FLAG_GONE : 0) |
                          (r->misfits ? FLAG_MISFITS : 0) | (r->has_version ? FLAG_VERSION : 0));
    le_put16(at + AT_TEXT_SIZE, (uint16_t)r->text.size);
    le_put64(at + AT_VERSION, (uint64_t)r->version);
    le_put64(at + AT_LEFT, (uint64_t)r->left_ms);
    if (r->text.size > 0)
        memcpy(at + FIXED, r->text.data, r->text.size);
    out->size += 4 + size;
    return 0;
}

const char *journal_record_read(struct slice *in, struct journal_record *r)
{
    if (in->size < 4 || in->size - 4 < le_get32(in->data))
        return "a record that is longer than its batch";
    const char *at = in->data + 4;
    size_t size = le_get32(in->data);
    if (size < FIXED || size - FIXED < le_get16(at + AT_TEXT_SIZE))
        return "a record that is shorter than what it holds";
    unsigned kind = (unsigned char)at[AT_KIND], flags = (unsigned char)at[AT_FLAGS];
    if (kind < JOURNAL_KEY || kind > JOURNAL_DOUBT)
        return "a record of a kind that this version does not know";
    if (flags & ~(unsigned)FLAGS)
        return "a record with a mark that this version does not know";
    *r = (struct journal_record){
        .kind = kind,
        .text = slice_of(at + FIXED, le_get16(at + AT_TEXT_SIZE)),
        .soft = flags & FLAG_SOFT,
        .gone = flags & FLAG_GONE,
        .misfits = flags & FLAG_MISFITS,
        .has_version = flags & FLAG_VERSION,
        .version = (int64_t)le_get64(at + AT_VERSION),
        .left_ms = (int64_t)le_get64(at + AT_LEFT),
    };
    *in = slice_of(at + size, in->size - 4 - size);
    return NULL;
}
