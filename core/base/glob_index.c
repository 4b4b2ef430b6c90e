#include "base/glob_index.h"

#include "base/chains.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define GRAM_MOST   4
#define FEW         4  /* nodes of a beginning or an end that are no reason for a gram */
#define GRAMS_TRIED 16 /* of one literal */
#define PROBES      32 /* anchors that one step looks for */
#define SIZE_WORDS  (GLOB_MAX / 64 + 1)

enum anchor_kind { PREFIX, SUFFIX, GRAM, STARS, ANCHOR_KINDS };

struct anchor {
    struct chain_link link;
    struct list nodes;
    uint32_t count;
    uint64_t met; /* by this walk */
    enum anchor_kind kind;
    uint16_t size;
    char bytes[];
};

struct glob_node {
    struct chain_link link;
    struct list peers; /* of the anchor's */
    struct list items;
    uint32_t count;
    struct anchor *anchor;
    struct glob glob;
    char text[];
};

/* How many anchors of one kind have each size, and which sizes there are. */
struct sizes {
    uint32_t count[GLOB_MAX + 1];
    uint64_t there[SIZE_WORDS];
};

struct walk {
    struct slice key;
    enum anchor_kind kind; /* where it goes on */
    size_t at;             /* of GRAM: the byte */
    size_t size;
    struct list_walk nodes, items;
};

struct glob_index {
    struct chains anchors, nodes;
    struct sizes sizes[ANCHOR_KINDS];
    uint64_t seed, walks, compared;
    struct walk walk;
};

struct glob_index *glob_index_new(uint64_t seed)
{
    struct glob_index *ix = calloc(1, sizeof *ix);
    if (!ix || chains_init(&ix->anchors) != 0 || chains_init(&ix->nodes) != 0) {
        glob_index_free(ix);
        return NULL;
    }
    ix->seed = seed;
    ix->walk.kind = ANCHOR_KINDS;
    return ix;
}

void glob_index_free(struct glob_index *ix)
{
    if (!ix)
        return;
    chains_fini(&ix->anchors);
    chains_fini(&ix->nodes);
    free(ix);
}

uint64_t glob_index_compared(const struct glob_index *ix)
{
    return ix->compared;
}

/* ---- anchors ---- */

static uint64_t anchor_hash(const struct glob_index *ix, enum anchor_kind kind, struct slice s)
{
    return hash_slice(s, ix->seed + (uint64_t)kind);
}

static struct anchor *find_anchor(const struct glob_index *ix, enum anchor_kind kind,
                                  struct slice bytes)
{
    struct chain_link *link = chains_first(&ix->anchors, anchor_hash(ix, kind, bytes));
    for (; link; link = chains_next(link)) {
        struct anchor *a = container_of(link, struct anchor, link);
        if (a->kind == kind && slice_eq(slice_of(a->bytes, a->size), bytes))
            return a;
    }
    return NULL;
}

/* Where a node could hang, and how many hang there. */
struct place {
    enum anchor_kind kind;
    struct slice bytes;
    uint32_t count;
};

static struct place place_at(const struct glob_index *ix, enum anchor_kind kind, struct slice bytes)
{
    const struct anchor *a = find_anchor(ix, kind, bytes);
    return (struct place){.kind = kind, .bytes = bytes, .count = a ? a->count : 0};
}

static void take_better(struct place *best, struct place other)
{
    if (best->kind == STARS || other.count < best->count)
        *best = other;
}

/* The grams of a literal, from places that are spread over it. */
static void try_grams(const struct glob_index *ix, struct slice literal, struct place *best)
{
    size_t size = literal.size < GRAM_MOST ? literal.size : GRAM_MOST;
    size_t places = literal.size - size + 1;
    size_t step = (places + GRAMS_TRIED - 1) / GRAMS_TRIED;
    for (size_t at = 0; at < places && best->count > 0; at += step)
        take_better(best, place_at(ix, GRAM, slice_of(literal.data + at, size)));
}

static struct place choose_place(const struct glob_index *ix, const struct glob *g)
{
    struct slice first = glob_segment(g, 0), last = glob_segment(g, g->stars);
    struct place best = {.kind = STARS, .bytes = slice_of("", 0), .count = UINT32_MAX};
    if (first.size > 0)
        take_better(&best, place_at(ix, PREFIX, first));
    if (g->stars > 0 && last.size > 0)
        take_better(&best, place_at(ix, SUFFIX, last));
    if (best.kind != STARS && best.count < FEW)
        return best;
    for (unsigned i = 1; i < g->stars; i++)
        if (glob_segment(g, i).size > 0)
            try_grams(ix, glob_segment(g, i), &best);
    return best;
}

static void count_size(struct sizes *s, size_t size, int by)
{
    s->count[size] += (uint32_t)by;
    if (s->count[size] > 0)
        s->there[size / 64] |= UINT64_C(1) << size % 64;
    else
        s->there[size / 64] &= ~(UINT64_C(1) << size % 64);
}

static struct anchor *anchor_for(struct glob_index *ix, const struct place *at)
{
    struct anchor *a = find_anchor(ix, at->kind, at->bytes);
    if (a)
        return a;
    a = calloc(1, sizeof *a + at->bytes.size);
    if (!a)
        return NULL;
    a->link.hash = anchor_hash(ix, at->kind, at->bytes);
    a->kind = at->kind;
    a->size = (uint16_t)at->bytes.size;
    memcpy(a->bytes, at->bytes.data, at->bytes.size);
    list_init(&a->nodes);
    chains_add(&ix->anchors, &a->link);
    count_size(&ix->sizes[a->kind], a->size, 1);
    return a;
}

static void drop_anchor(struct glob_index *ix, struct anchor *a)
{
    list_walk_ends(&ix->walk.nodes, &a->nodes);
    chains_remove(&ix->anchors, &a->link);
    count_size(&ix->sizes[a->kind], a->size, -1);
    free(a);
}

/* ---- nodes ---- */

static uint64_t node_hash(const struct glob_index *ix, const struct glob *g)
{
    uint64_t h = hash_bytes(g->text, glob_literal_bytes(g), ix->seed + ANCHOR_KINDS);
    h = hash_bytes(g->end, (g->stars + 1u) * sizeof g->end[0], h);
    return hash_bytes(g->type, g->stars, h);
}

static bool same_glob(const struct glob *a, const struct glob *b)
{
    return a->stars == b->stars &&
           memcmp(a->end, b->end, (a->stars + 1u) * sizeof a->end[0]) == 0 &&
           memcmp(a->type, b->type, a->stars) == 0 &&
           memcmp(a->text, b->text, glob_literal_bytes(a)) == 0;
}

static struct glob_node *find_node(const struct glob_index *ix, const struct glob *g, uint64_t hash)
{
    for (struct chain_link *l = chains_first(&ix->nodes, hash); l; l = chains_next(l)) {
        struct glob_node *n = container_of(l, struct glob_node, link);
        if (same_glob(&n->glob, g))
            return n;
    }
    return NULL;
}

static struct glob_node *node_for(struct glob_index *ix, const struct glob *g)
{
    uint64_t hash = node_hash(ix, g);
    struct glob_node *n = find_node(ix, g, hash);
    if (n)
        return n;
    struct place at = choose_place(ix, g);
    struct anchor *a = anchor_for(ix, &at);
    n = a ? malloc(sizeof *n + glob_literal_bytes(g)) : NULL;
    if (!n) {
        if (a && a->count == 0)
            drop_anchor(ix, a);
        return NULL;
    }
    *n = (struct glob_node){.link.hash = hash, .anchor = a, .glob = *g};
    n->glob.text = memcpy(n->text, g->text, glob_literal_bytes(g));
    list_init(&n->items);
    list_push_back(&a->nodes, &n->peers);
    a->count++;
    chains_add(&ix->nodes, &n->link);
    return n;
}

static void drop_node(struct glob_index *ix, struct glob_node *n)
{
    struct anchor *a = n->anchor;
    list_walk_ends(&ix->walk.items, &n->items);
    list_walk_passes(&ix->walk.nodes, &n->peers);
    list_remove(&n->peers);
    chains_remove(&ix->nodes, &n->link);
    free(n);
    if (--a->count == 0)
        drop_anchor(ix, a);
}

int glob_index_add(struct glob_index *ix, struct glob_item *item, struct slice pattern)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, pattern, room);
    struct glob_node *n = node_for(ix, &g);
    item->node = n;
    if (!n)
        return ERR_NOMEM;
    list_push_back(&n->items, &item->link);
    n->count++;
    return 0;
}

void glob_index_remove(struct glob_index *ix, struct glob_item *item)
{
    struct glob_node *n = item->node;
    if (!n)
        return;
    list_walk_passes(&ix->walk.items, &item->link);
    list_remove(&item->link);
    item->node = NULL;
    if (--n->count == 0)
        drop_node(ix, n);
}

const struct glob *glob_item_glob(const struct glob_item *item)
{
    return &item->node->glob;
}

/* ---- walks ---- */

void glob_index_walk(struct glob_index *ix, struct slice key)
{
    ix->walks++;
    ix->walk = (struct walk){.key = key, .kind = PREFIX};
}

/* The least size that there is from this one on; past GLOB_MAX: none. */
static size_t size_from(const struct sizes *s, size_t size)
{
    while (size <= GLOB_MAX) {
        uint64_t word = s->there[size / 64] & ~UINT64_C(0) << size % 64;
        if (word)
            return size / 64 * 64 + (size_t)__builtin_ctzll(word);
        size = (size / 64 + 1) * 64;
    }
    return GLOB_MAX + 1;
}

/* The bytes of the key that the next anchor has to have. false: there are no more of this kind. */
static bool next_bytes(struct glob_index *ix, struct slice *bytes)
{
    struct walk *w = &ix->walk;
    const struct sizes *s = &ix->sizes[w->kind];
    for (;;) {
        size_t rest = w->key.size - w->at, size = size_from(s, w->size);
        if (size <= GLOB_MAX && size <= rest) {
            w->size = size + 1;
            const char *at = w->kind == SUFFIX ? w->key.data + rest - size : w->key.data + w->at;
            *bytes = slice_of(at, size);
            return true;
        }
        if (w->kind != GRAM || rest == 0 || size_from(s, 0) > GLOB_MAX)
            return false;
        w->at++;
        w->size = 0;
    }
}

/* Goes to the next anchor that the key has, or some bytes further. false: that was all. */
static bool step_anchor(struct glob_index *ix)
{
    struct walk *w = &ix->walk;
    struct slice bytes;
    for (int i = 0; i < PROBES; i++) {
        while (!next_bytes(ix, &bytes)) {
            w->at = w->size = 0;
            if (++w->kind == ANCHOR_KINDS)
                return false;
        }
        struct anchor *a = find_anchor(ix, w->kind, bytes);
        if (a && a->met != ix->walks) {
            a->met = ix->walks;
            list_walk_begin(&w->nodes, &a->nodes);
            return true;
        }
    }
    return true;
}

bool glob_index_step(struct glob_index *ix, struct glob_item **item)
{
    struct walk *w = &ix->walk;
    struct list *link = list_walk_next(&w->items);
    *item = NULL;
    if (link) {
        *item = container_of(link, struct glob_item, link);
        return true;
    }
    if (w->kind == ANCHOR_KINDS)
        return false;
    link = list_walk_next(&w->nodes);
    if (!link)
        return step_anchor(ix);
    struct glob_node *n = container_of(link, struct glob_node, peers);
    ix->compared++;
    if (glob_matches(&n->glob, w->key, NULL))
        list_walk_begin(&w->items, &n->items);
    return true;
}
