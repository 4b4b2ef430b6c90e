#include "store/table.h"

#include "base/hash.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ALWAYS_INLINE __attribute__((always_inline))
#define RACY          __attribute__((no_sanitize("thread"))) /* it only chooses what to ask for */

#define PLACE_BITS  30
#define PLACE_MASK  ((1u << PLACE_BITS) - 1)
#define SLOTS       12
#define TAG_BITS    HASH_TAG_BITS
#define TAG_MASK    ((1u << TAG_BITS) - 1)
#define BEGIN_MASK  31
#define MORE_MASK   ((1u << 23) - 1)
#define TAG_LOW     8 /* bits of it in the bytes that are compared at once */
#define TAG_STEP    4 /* bits of the hash between the tags of a bucket and its next ones */
#define LEVEL_LEAST 6
#define SHORT_KEY   32
#define MOST_EACH   9 /* entries to a bucket: with more it grows */
#define LEAST_EACH  7

struct line {
    uint8_t tags[SLOTS];
    uint32_t count : 4;
    uint32_t begin : 5; /* of a bucket: the bit of the hash where its tags begin */
    uint32_t more : 23; /* the number of the next line; 0: no more */
    uint32_t slots[SLOTS];
};

/* A slot of a bucket, or of a line beyond it. */
struct spot {
    struct line *line;
    unsigned i;
};

_Static_assert(sizeof(struct line) == LINE_BYTES, "a bucket is a cache line");
_Static_assert(HEAP_BYTES / HEAP_UNIT <= PLACE_MASK + 1, "a slot holds any place of a heap");
_Static_assert(LEVEL_LEAST >= TAG_STEP, "a bucket's number has the bits that a join asks for");

static struct entry *entry_of(const struct table *t, uint32_t slot)
{
    return heap_at(t->heap, slot & PLACE_MASK);
}

static struct line *bucket_at(const struct table *t, size_t i)
{
    return line_array_at(&t->buckets, i);
}

/* NULL: it was the last one. */
static struct line *line_after(const struct table *t, const struct line *l)
{
    return l->more ? line_array_at(&t->more, l->more - 1) : NULL;
}

static size_t half_of(const struct table *t)
{
    return (t->mask >> 1) + 1;
}

static size_t bucket_of(const struct table *t, uint64_t hash)
{
    size_t i = hash_bucket(hash, t->mask);
    return i < t->buckets.count ? i : i - half_of(t);
}

/* Where the tags of a bucket begin, when `level` bits of the hash choose it. The lowest bits of its
 * number are those of the bucket it came from, and spread the work of making new tags. */
static unsigned tags_begin(size_t bucket, unsigned level)
{
    return level - (level + (unsigned)bucket) % TAG_STEP;
}

static inline ALWAYS_INLINE uint32_t tag_in(const struct line *bucket, uint64_t hash)
{
    return hash_tag(hash, bucket->begin);
}

/* A bit for each slot whose tag may be this one. */
static inline ALWAYS_INLINE unsigned matches(const struct line *l, uint32_t tag)
{
    unsigned all = 0;
#ifdef __SSE2__
    __m128i tags = _mm_load_si128((const __m128i *)(const void *)l);
    all = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag)));
#else
    for (unsigned i = 0; i < SLOTS; i++)
        all |= (unsigned)(l->tags[i] == (uint8_t)tag) << i;
#endif
    return all & ((1u << l->count) - 1);
}

static uint32_t tag_at(struct spot s)
{
    return s.line->tags[s.i] | s.line->slots[s.i] >> PLACE_BITS << TAG_LOW;
}

static void write_spot(struct spot s, uint32_t place, uint32_t tag)
{
    s.line->tags[s.i] = (uint8_t)tag;
    s.line->slots[s.i] = place | tag >> TAG_LOW << PLACE_BITS;
}

int table_init(struct table *t, const struct heap *a, uint64_t seed)
{
    *t = (struct table){
        .heap = a, .seed = seed, .level = LEVEL_LEAST, .mask = (1u << LEVEL_LEAST) - 1};
    bool made = line_array_init(&t->buckets) == 0 && line_array_init(&t->more) == 0;
    for (size_t i = 0; made && i <= t->mask; i++) {
        made = line_array_reserve(&t->buckets, i + 1) == 0;
        if (made)
            *(struct line *)line_array_push(&t->buckets) =
                (struct line){.begin = tags_begin(i, LEVEL_LEAST) & BEGIN_MASK};
    }
    if (!made)
        table_fini(t);
    return made ? 0 : ERR_NOMEM;
}

void table_fini(struct table *t)
{
    line_array_fini(&t->buckets);
    line_array_fini(&t->more);
}

uint64_t table_hash(const struct table *t, const struct entry *e)
{
    return hash_slice(entry_key(e), t->seed);
}

/* Most keys are so short that a call would take longer than to compare them, in words of which the
 * last one overlaps the one before. */
static inline ALWAYS_INLINE bool is_key(const struct entry *e, struct slice key)
{
    struct slice own = entry_key(e);
    uint64_t a, b;
    if (own.size != key.size)
        return false;
    if (key.size < sizeof a || key.size > SHORT_KEY)
        return memcmp(own.data, key.data, key.size) == 0;
    for (size_t i = 0; i < key.size; i += sizeof a) {
        size_t at = i + sizeof a <= key.size ? i : key.size - sizeof a;
        memcpy(&a, own.data + at, sizeof a);
        memcpy(&b, key.data + at, sizeof b);
        if (a != b)
            return false;
    }
    return true;
}

struct entry *table_find(const struct table *t, struct slice key, uint64_t hash)
{
    const struct line *l = bucket_at(t, bucket_of(t, hash));
    uint32_t tag = tag_in(l, hash);
    for (; l; l = line_after(t, l)) {
        for (unsigned all = matches(l, tag); all; all &= all - 1) {
            uint32_t slot = l->slots[__builtin_ctz(all)];
            struct entry *e = entry_of(t, slot);
            if (slot >> PLACE_BITS == tag >> TAG_LOW && is_key(e, key))
                return e;
        }
    }
    return NULL;
}

/* An entry begins anywhere in a cache line: its header may reach into the next, its key does. */
static void prefetch_slot(const struct table *t, uint32_t slot)
{
    const char *at = (const char *)entry_of(t, slot);
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + sizeof(struct entry), 1);
}

/* What is read without the lock: the number of buckets, once, and the mask that goes with it, which
 * is as table_add and table_shrink keep it. Whenever that number was right, the bucket that it
 * leads to was there; two fields of different times would lead anywhere. */
static RACY struct table glance(const struct table *t)
{
    size_t count = *(const volatile size_t *)&t->buckets.count;
    return (struct table){
        .heap = t->heap,
        .mask = (UINT64_C(2) << (63 - __builtin_clzll(count - 1))) - 1,
        .buckets = {.base = t->buckets.base, .count = count},
    };
}

void table_prefetch_bucket(const struct table *t, uint64_t hash)
{
    struct table seen = glance(t);
    __builtin_prefetch(bucket_at(&seen, bucket_of(&seen, hash)), 1);
}

RACY void table_prefetch_entry(const struct table *t, uint64_t hash)
{
    struct table seen = glance(t);
    const struct line *l = bucket_at(&seen, bucket_of(&seen, hash));
    unsigned all = matches(l, tag_in(l, hash)) & ((1u << SLOTS) - 1);
    if (all)
        prefetch_slot(t, l->slots[__builtin_ctz(all)]);
}

/* Slot k of a bucket; line NULL: it has not so many. */
static struct spot spot_at(const struct table *t, struct line *bucket, size_t k)
{
    struct spot s = {.line = bucket};
    for (; s.line && k >= SLOTS; k -= SLOTS)
        s.line = line_after(t, s.line);
    if (s.line && k >= s.line->count)
        s.line = NULL;
    s.i = (unsigned)k;
    return s;
}

struct entry *table_at(const struct table *t, size_t i, size_t k)
{
    struct spot s = spot_at(t, bucket_at(t, i), k);
    return s.line ? entry_of(t, s.line->slots[s.i]) : NULL;
}

/* e is in the bucket. */
static struct spot spot_of(const struct table *t, struct line *l, const struct entry *e,
                           uint64_t hash)
{
    uint32_t tag = tag_in(l, hash), place = heap_offset(t->heap, e);
    for (;; l = line_after(t, l))
        for (unsigned all = matches(l, tag); all; all &= all - 1) {
            unsigned i = (unsigned)__builtin_ctz(all);
            if ((l->slots[i] & PLACE_MASK) == place)
                return (struct spot){.line = l, .i = i};
        }
}

/* The memory was made sure of. */
static struct line *add_line(struct table *t, struct line *after)
{
    uint32_t number = t->more_free;
    struct line *l;
    if (number) {
        l = line_array_at(&t->more, number - 1);
        t->more_free = l->more;
        *l = (struct line){.count = 0};
    } else {
        l = line_array_push(&t->more);
        number = (uint32_t)t->more.count;
    }
    t->more_used++;
    after->more = number & MORE_MASK;
    return l;
}

static void drop_line(struct table *t, struct line *l, struct line *before)
{
    uint32_t number = before->more;
    before->more = 0;
    l->more = t->more_free & MORE_MASK;
    t->more_free = number;
    t->more_used--;
}

static void append(struct table *t, struct line *l, uint32_t place, uint32_t tag)
{
    while (l->more)
        l = line_after(t, l);
    if (l->count == SLOTS)
        l = add_line(t, l);
    write_spot((struct spot){.line = l, .i = l->count}, place, tag);
    l->count++;
}

/* The last one of its bucket takes its place. */
static void take_out(struct table *t, struct line *bucket, struct spot s)
{
    struct line *last = bucket, *before = NULL;
    for (; last->more; last = line_after(t, last))
        before = last;
    last->count--;
    s.line->tags[s.i] = last->tags[last->count];
    s.line->slots[s.i] = last->slots[last->count];
    if (last->count == 0 && before)
        drop_line(t, last, before);
}

/* New tags, which begin elsewhere in the hash. */
static void write_tags(const struct table *t, struct line *bucket, unsigned begin)
{
    struct spot s;
    bucket->begin = begin & BEGIN_MASK;
    for (size_t k = 0; (s = spot_at(t, bucket, k)).line; k++) {
        uint32_t place = s.line->slots[s.i] & PLACE_MASK;
        write_spot(s, place, tag_in(bucket, table_hash(t, entry_of(t, place))));
    }
}

/* One bucket more: it takes its part of another one. */
static void split_one(struct table *t)
{
    if (line_array_reserve(&t->buckets, t->buckets.count + 1) != 0)
        return;
    if (t->buckets.count > t->mask) {
        t->mask = 2 * t->mask + 1;
        t->level++;
    }
    size_t last = t->buckets.count, source = last - half_of(t);
    struct line *from = bucket_at(t, source), *into = line_array_push(&t->buckets);
    unsigned level = t->level - 1, bit = level - from->begin;
    bool new_tags = bit == TAG_STEP - 1;
    struct spot s;
    into->begin = from->begin;
    for (size_t k = 0; new_tags && (s = spot_at(t, from, k)).line; k++)
        prefetch_slot(t, s.line->slots[s.i]);
    for (size_t k = 0; (s = spot_at(t, from, k)).line;) {
        uint32_t tag = tag_at(s), place = s.line->slots[s.i] & PLACE_MASK;
        if (tag >> bit & 1) {
            take_out(t, from, s); /* first, for its line may be needed */
            append(t, into, place, tag);
        } else {
            k++;
        }
    }
    if (new_tags) {
        write_tags(t, from, level + 1);
        write_tags(t, into, level + 1);
    }
}

/* The bits of the hash that a tag begins with when those of two buckets become those of one; the
 * buckets' own numbers have them. */
static uint32_t tag_before(uint32_t tag, size_t bucket, unsigned level)
{
    uint32_t own = (uint32_t)(bucket >> (level + 1 - TAG_STEP)) & ((1u << TAG_STEP) - 1);
    return (tag << TAG_STEP | own) & TAG_MASK;
}

/* One bucket less: all that is in it goes to the one that it came from. */
static bool join_one(struct table *t)
{
    if (table_reserve(t) != 0)
        return false;
    size_t last = t->buckets.count - 1, source = last - half_of(t);
    struct line *from = bucket_at(t, last), *into = bucket_at(t, source);
    unsigned level = t->level - 1;
    unsigned begin = tags_begin(source, level);
    bool old_tags = begin != into->begin;
    struct spot s;
    into->begin = begin & BEGIN_MASK;
    for (size_t k = 0; old_tags && (s = spot_at(t, into, k)).line; k++)
        write_spot(s, s.line->slots[s.i] & PLACE_MASK, tag_before(tag_at(s), source, level));
    while ((s = spot_at(t, from, 0)).line) {
        uint32_t tag = tag_at(s), place = s.line->slots[s.i] & PLACE_MASK;
        take_out(t, from, s);
        append(t, into, place, old_tags ? tag_before(tag, last, level) : tag);
    }
    line_array_pop(&t->buckets);
    if (t->buckets.count == half_of(t)) {
        t->mask >>= 1;
        t->level--;
    }
    return true;
}

int table_reserve(struct table *t)
{
    return t->more_free ? 0 : line_array_reserve(&t->more, t->more.count + 1);
}

void table_add(struct table *t, struct entry *e, uint64_t hash)
{
    struct line *bucket = bucket_at(t, bucket_of(t, hash));
    append(t, bucket, heap_offset(t->heap, e), tag_in(bucket, hash));
    if (++t->entries > MOST_EACH * t->buckets.count)
        split_one(t);
}

void table_leave(struct table *t, struct entry *e, uint64_t hash)
{
    struct line *bucket = bucket_at(t, bucket_of(t, hash));
    take_out(t, bucket, spot_of(t, bucket, e, hash));
    t->entries--;
}

void table_remove(struct table *t, struct entry *e, uint64_t hash)
{
    table_leave(t, e, hash);
    if (!t->held)
        table_shrink(t, 1);
}

void table_shrink(struct table *t, unsigned most)
{
    for (; most > 0 && t->entries < LEAST_EACH * t->buckets.count; most--)
        if (t->level == LEVEL_LEAST || !join_one(t))
            break;
    if (t->more_used == 0 && t->more_free) {
        line_array_clear(&t->more);
        t->more_free = 0;
    }
}

void table_replace(const struct table *t, const struct entry *old, const struct entry *e,
                   uint64_t hash)
{
    struct spot s = spot_of(t, bucket_at(t, bucket_of(t, hash)), old, hash);
    write_spot(s, heap_offset(t->heap, e), tag_at(s));
}

size_t table_bytes(const struct table *t)
{
    return line_array_bytes(&t->buckets) + line_array_bytes(&t->more);
}

size_t table_growth(const struct table *t)
{
    return (t->entries < MOST_EACH * t->buckets.count ? 0 : line_array_growth(&t->buckets)) +
           (t->more_free ? 0 : line_array_growth(&t->more));
}
