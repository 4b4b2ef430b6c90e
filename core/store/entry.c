#include "store/entry.h"

#include <malloc.h>
#include <stdlib.h>

#define STORED_MAX ((INT64_C(1) << 40) - 1)

#define TAG_BYTES sizeof(uint32_t)

#define AHEAD_WHOLE 65536

static size_t tags_size(size_t count)
{
    return count ? sizeof(uint64_t) + count * TAG_BYTES + 1 : 0;
}

size_t entry_size(const struct put *p)
{
    return offsetof(struct entry, data) + (p->has_version ? sizeof(int64_t) : 0) + p->key.size +
           (p->negative ? 0 : p->value.size) + tags_size(p->tag_count);
}

/* Where its value ends. */
static const char *tags_at(const struct entry *e)
{
    return e->data + entry_key_offset(e) + e->key_size + e->value_size;
}

static unsigned tag_count(const struct entry *e)
{
    return e->flags & ENTRY_TAGGED ? (unsigned char)*tags_at(e) : 0;
}

static void write_tags(struct entry *e, const struct put *p)
{
    char *at = (char *)tags_at(e);
    *at++ = (char)p->tag_count;
    memcpy(at, &p->since, sizeof p->since);
    memcpy(at + sizeof p->since, p->tags, p->tag_count * TAG_BYTES);
}

void entry_read_tags(const struct entry *e, struct entry_tags *out)
{
    const char *at = tags_at(e) + 1;
    out->count = tag_count(e);
    if (out->count > 0)
        memcpy(out->slots, at + sizeof(uint64_t), out->count * TAG_BYTES);
}

enum mark entry_judge_tags(const struct entry *e, const struct marks *m)
{
    if (!(e->flags & ENTRY_TAGGED))
        return MARK_NONE;
    const char *at = tags_at(e);
    uint64_t since;
    memcpy(&since, at + 1, sizeof since);
    return marks_judge_tags(m, at + 1 + sizeof since, (unsigned char)*at, since);
}

struct entry *entry_new(const struct put *p)
{
    struct slice value = p->negative ? slice_of(NULL, 0) : p->value;
    if (p->key.size > ENTRY_KEY_MAX || value.size > UINT32_MAX || p->tag_count > MARKS_TAGS_MAX)
        return NULL;
    size_t size = entry_size(p);
    struct entry *e = malloc(size < sizeof(*e) ? sizeof(*e) : size);
    if (!e)
        return NULL;
    *e = (struct entry){
        .value_size = (uint32_t)value.size,
        .load_us = p->load_us,
        .key_size = (uint16_t)p->key.size,
        .owner = p->refresh.owner,
        .flags = (p->negative ? ENTRY_NEGATIVE : 0) | (p->has_version ? ENTRY_VERSIONED : 0) |
                 (p->tag_count ? ENTRY_TAGGED : 0) | (p->refresh.early ? ENTRY_EARLY : 0),
    };
    list_init(&e->wheel);
    list_init(&e->queue);
    atomic_init(&e->refs, 1);
    char *at = e->data;
    if (p->has_version) {
        memcpy(at, &p->version, sizeof(p->version));
        at += sizeof(p->version);
    }
    if (p->key.size)
        memcpy(at, p->key.data, p->key.size);
    if (value.size)
        memcpy(at + p->key.size, value.data, value.size);
    if (p->tag_count)
        write_tags(e, p);
    return e;
}

struct entry *entry_new_value(struct slice packed)
{
    return entry_new(&(struct put){.value = packed});
}

size_t entry_bytes(const struct entry *e)
{
    return malloc_usable_size((void *)e) + sizeof(size_t);
}

struct entry *entry_ref(struct entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

struct slice entry_key_of(const struct entry *e)
{
    return entry_key(e);
}

void entry_unref(struct entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
}

struct slice entry_value(const struct entry *e)
{
    return slice_of(e->data + entry_key_offset(e) + e->key_size, e->value_size);
}

/* Only what will be fresh for a while is due before its end. */
static uint16_t pack_ahead(const struct entry *e, const struct put *p)
{
    if (p->ttl_ms <= 0 || p->refresh.ahead_ms <= 0 || p->refresh.ahead_ms >= p->ttl_ms)
        return 0;
    uint64_t share = (uint64_t)((double)p->refresh.ahead_ms / (double)p->ttl_ms * AHEAD_WHOLE);
    return e->flags & ENTRY_NEGATIVE ? 0 : (uint16_t)(share ? share : 1);
}

void entry_set_deadlines(struct entry *e, const struct put *p, int64_t now_ms)
{
    bool negative = e->flags & ENTRY_NEGATIVE;
    int64_t stored = now_ms < 0 ? 0 : now_ms > STORED_MAX ? STORED_MAX : now_ms;
    e->stored_low = (uint32_t)stored;
    e->stored_high = (uint8_t)(stored >> 32);
    e->fresh = p->ttl_ms == 0 ? SPAN_FOREVER : span_pack(p->ttl_ms);
    e->stale = negative ? 0 : span_pack(p->stale_ttl_ms);
    e->keep = negative ? 0 : span_pack(p->keep_ms);
    e->ahead = pack_ahead(e, p);
    e->reads = 0;
}

bool entry_is_renewal(const struct entry *e, const struct put *p)
{
    struct slice own = entry_value(e);
    if (p->value.data != own.data || p->value.size != own.size || p->negative ||
        p->has_version != !!(e->flags & ENTRY_VERSIONED) || p->tag_count != tag_count(e))
        return false;
    return (!p->has_version || p->version == entry_version(e)) &&
           (p->tag_count == 0 ||
            memcmp(tags_at(e) + 1 + sizeof p->since, p->tags, p->tag_count * TAG_BYTES) == 0);
}

void entry_renew(struct entry *e, const struct put *p, int64_t now_ms)
{
    entry_set_deadlines(e, p, now_ms);
    e->load_us = p->load_us;
    e->owner = p->refresh.owner;
    e->flags = (uint8_t)((e->flags & ~ENTRY_EARLY) | (p->refresh.early ? ENTRY_EARLY : 0));
    if (p->tag_count)
        memcpy((char *)tags_at(e) + 1, &p->since, sizeof p->since);
}

int64_t entry_dies_ms(const struct entry *e)
{
    uint32_t after = e->stale > e->keep ? e->stale : e->keep; /* spans order as their lengths do */
    if (e->fresh == SPAN_FOREVER || after == SPAN_FOREVER)
        return STORE_FOREVER_MS;
    return entry_stored_ms(e) + span_ms(e->fresh) + span_ms(after);
}

int64_t entry_due_ms(const struct entry *e)
{
    if (e->ahead == 0)
        return entry_dies_ms(e);
    return entry_stored_ms(e) + (int64_t)((double)span_ms(e->fresh) / AHEAD_WHOLE * e->ahead);
}

enum lookup entry_status(const struct entry *e, int64_t age_ms)
{
    int64_t past = e->fresh == SPAN_FOREVER ? -1 : age_ms - span_ms(e->fresh);
    if (past < 0)
        return e->flags & ENTRY_NEGATIVE ? LOOKUP_NEGATIVE : LOOKUP_FRESH;
    if (past < span_ms(e->stale))
        return LOOKUP_STALE;
    return past < span_ms(e->keep) ? LOOKUP_KEPT : LOOKUP_MISS;
}
