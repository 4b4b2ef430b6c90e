#include "store/entry.h"

#include "store/heap.h"

#include <stdlib.h>

#define STORED_MAX      ((INT64_C(1) << 40) - 1)
#define SHORT_KEY_MAX   UINT8_MAX
#define SHORT_VALUE_MAX ((1u << 24) - 1)
#define TAG_BYTES       sizeof(uint32_t)
#define AHEAD_WHOLE     65536

_Static_assert(offsetof(struct entry, data) == 40, "what an entry costs");
_Static_assert(ENTRY_WIDE == 2 * sizeof(uint32_t), "the flag is the size of what it stands for");

static size_t value_size_of(const struct put *p)
{
    return p->negative ? 0 : p->value.size;
}

static bool is_wide(const struct put *p)
{
    return p->key.size > SHORT_KEY_MAX || value_size_of(p) > SHORT_VALUE_MAX;
}

static size_t tags_size(size_t count, size_t texts)
{
    return count ? sizeof(uint64_t) + count * TAG_BYTES + 1 + sizeof(uint16_t) + texts : 0;
}

bool entry_can_hold(const struct put *p)
{
    return p->key.size <= ENTRY_KEY_MAX && value_size_of(p) <= UINT32_MAX &&
           p->tag_count <= MARKS_TAGS_MAX && p->tag_texts.size <= UINT16_MAX;
}

size_t entry_size(const struct put *p)
{
    return offsetof(struct entry, data) + (is_wide(p) ? ENTRY_WIDE : 0) +
           (p->has_version ? sizeof(int64_t) : 0) + p->key.size + value_size_of(p) +
           tags_size(p->tag_count, p->tag_texts.size);
}

static unsigned tag_count(const struct entry *e)
{
    return e->flags & ENTRY_TAGGED ? (unsigned char)*entry_end(e) : 0;
}

/* Of a tagged one. */
static struct slice tag_texts(const struct entry *e)
{
    uint16_t size;
    const char *at = entry_end(e) + 1 + sizeof(uint64_t) + tag_count(e) * TAG_BYTES;
    memcpy(&size, at, sizeof size);
    return slice_of(at + sizeof size, size);
}

void entry_read_tags(const struct entry *e, struct entry_tags *out)
{
    const char *at = entry_end(e) + 1;
    out->count = tag_count(e);
    out->texts = (struct slice){.size = 0};
    if (out->count == 0)
        return;
    memcpy(out->slots, at + sizeof(uint64_t), out->count * TAG_BYTES);
    out->texts = tag_texts(e);
}

enum entry_tagged entry_tag_texts(const struct entry *e, struct slice *texts)
{
    *texts = (struct slice){.size = 0};
    if (!(e->flags & ENTRY_TAGGED))
        return TAGGED_NOT;
    *texts = tag_texts(e);
    return texts->size > 0 ? TAGGED_TEXTS : TAGGED_UNKNOWN;
}

enum mark entry_judge_tags(const struct entry *e, const struct marks *m)
{
    if (!(e->flags & ENTRY_TAGGED))
        return MARK_NONE;
    const char *at = entry_end(e);
    uint64_t since;
    memcpy(&since, at + 1, sizeof since);
    return marks_judge_tags(m, at + 1 + sizeof since, (unsigned char)*at, since);
}

void entry_shape(struct entry *e, const struct put *p)
{
    bool wide = is_wide(p);
    const uint32_t sizes[] = {(uint32_t)p->key.size, (uint32_t)value_size_of(p)};
    e->state = e->globs_seen = e->stored_high = 0;
    e->timer = (struct timer){0};
    near_list_init(&e->queue);
    e->stored_low = 0;
    e->short_key_size = wide ? 0 : (uint8_t)sizes[0];
    e->short_value_size = wide ? 0 : sizes[1] & SHORT_VALUE_MAX;
    e->fresh = e->stale = e->keep = 0;
    e->load = span_pack(p->load_us);
    e->owner = 0;
    atomic_init(&e->refs, 1);
    e->flags = (p->negative ? ENTRY_NEGATIVE : 0) | (p->has_version ? ENTRY_VERSIONED : 0) |
               (p->tag_count ? ENTRY_TAGGED : 0) | (wide ? ENTRY_WIDE : 0);
    e->reads = e->ahead = 0;
    if (wide)
        memcpy(e->data, sizes, sizeof sizes);
    if (p->tag_count == 0)
        return;
    char *end = (char *)entry_end(e);
    const uint16_t texts = (uint16_t)p->tag_texts.size;
    *end = (char)p->tag_count;
    memcpy(end + 1 + sizeof(uint64_t) + p->tag_count * TAG_BYTES, &texts, sizeof texts);
}

void entry_fill(struct entry *e, const struct put *p)
{
    char *at = e->data + entry_version_offset(e);
    if (p->has_version) {
        memcpy(at, &p->version, sizeof(p->version));
        at += sizeof(p->version);
    }
    if (p->key.size)
        memcpy(at, p->key.data, p->key.size);
    at += p->key.size;
    if (value_size_of(p))
        memcpy(at, p->value.data, p->value.size);
    if (!p->tag_count)
        return;
    at += value_size_of(p) + 1;
    memcpy(at, &p->since, sizeof p->since);
    at += sizeof p->since;
    memcpy(at, p->tags, p->tag_count * TAG_BYTES);
    at += p->tag_count * TAG_BYTES + sizeof(uint16_t);
    if (p->tag_texts.size)
        memcpy(at, p->tag_texts.data, p->tag_texts.size);
}

uint32_t entry_units(const struct entry *e)
{
    const char *end = entry_end(e);
    if (e->flags & ENTRY_TAGGED)
        end += tags_size(tag_count(e), tag_texts(e).size);
    return (uint32_t)((size_t)(end - (const char *)e + HEAP_UNIT - 1) / HEAP_UNIT);
}

size_t entry_bytes(const struct entry *e)
{
    return (size_t)entry_units(e) * HEAP_UNIT;
}

struct slice entry_key_of(const struct entry *e)
{
    return entry_key(e);
}

struct slice entry_value(const struct entry *e)
{
    return slice_of(e->data + entry_key_offset(e) + entry_key_size(e), entry_value_size(e));
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

void entry_set_load(struct entry *e, const struct put *p, int64_t waited_ms)
{
    e->load = span_pack(p->load_us ? p->load_us + waited_ms * 1000 : 0);
}

void entry_set_loader(struct entry *e, const struct put *p)
{
    e->owner = p->refresh.owner;
    e->life = (uint8_t)((e->life & ~(ENTRY_EARLY | ENTRY_UNPROVEN)) |
                        (p->refresh.early ? ENTRY_EARLY : 0));
}

bool entry_is_renewal(const struct entry *e, const struct put *p)
{
    struct slice own = entry_value(e);
    if (p->value.data != own.data || p->value.size != own.size || p->negative ||
        p->has_version != !!(e->flags & ENTRY_VERSIONED) || p->tag_count != tag_count(e))
        return false;
    return (!p->has_version || p->version == entry_version(e)) &&
           (p->tag_count == 0 ||
            (memcmp(entry_end(e) + 1 + sizeof p->since, p->tags, p->tag_count * TAG_BYTES) == 0 &&
             slice_eq(tag_texts(e), p->tag_texts)));
}

void entry_renew(struct entry *e, const struct put *p, int64_t now_ms)
{
    entry_set_deadlines(e, p, now_ms);
    entry_set_loader(e, p);
    if (p->tag_count)
        memcpy((char *)entry_end(e) + 1, &p->since, sizeof p->since);
}

int64_t entry_dies_ms(const struct entry *e)
{
    uint16_t after = e->stale > e->keep ? e->stale : e->keep; /* spans order as their lengths do */
    if (e->fresh == SPAN_FOREVER || after == SPAN_FOREVER)
        return STORE_FOREVER_MS;
    return entry_stored_ms(e) + span_ms(e->fresh) + span_ms(after);
}

float entry_ahead_share(const struct entry *e)
{
    return (float)e->ahead / AHEAD_WHOLE;
}

int64_t entry_due_ms(const struct entry *e)
{
    if (e->ahead == 0)
        return entry_dies_ms(e);
    return entry_stored_ms(e) + (int64_t)((double)span_ms(e->fresh) / AHEAD_WHOLE * e->ahead);
}
