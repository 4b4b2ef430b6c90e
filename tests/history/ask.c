/* What is asked of the server, and how it is packed. */
#include "peer.h"
#include "sql.h"

#include "wire/mpw.h"

#include <inttypes.h>

static const struct {
    uint8_t op;
    uint16_t weight; /* of 1000 */
} mix[] = {
    {OP_GET, 300},        {OP_ENTRY, 350},
    {OP_PEEK, 40},        {OP_MANY, 40},
    {OP_REFRESH, 20},     {OP_SET, 40},
    {OP_PUT, 50},         {OP_DELETE, 20},
    {OP_INVALIDATE, 80},  {OP_INVALIDATE_TAG, 10},
    {OP_EXPIRE, 30},      {OP_EXPIRE_TAG, 5},
    {OP_EXPIRE_MATCH, 1}, {OP_INVALIDATE_MATCH, 2},
};

static uint8_t choose_op(struct run *run)
{
    uint32_t n = run_below(run, 1000);
    for (size_t i = 0; i < sizeof mix / sizeof *mix; i++) {
        if (n < mix[i].weight)
            return mix[i].op;
        n -= mix[i].weight;
    }
    return OP_ENTRY;
}

static const struct known *known_of(struct run *run, uint32_t key)
{
    return &run->known[key_class(key)][key_number(key)];
}

/* An invalidation that repeats an old version, or says nothing but the key. */
static void choose_invalidation(struct run *run, struct record *r)
{
    const struct known *k = known_of(run, r->key);
    if (key_class(r->key) != CLASS_U && k->version > 0 && run_chance(run, 50))
        r->wanted = run_chance(run, 70) ? k->version : 1 + run_below(run, (uint32_t)k->version);
}

/* A set brings what its client knows; without a row, or without a version, it would be a lie. So it
 * would be after a write whose answer was lost, whether the feed told of it or a gap took it: no
 * floor outlives floor_ttl, nor the server, and then the old version is believed. */
static void choose_set(struct run *run, struct record *r)
{
    const struct known *k = known_of(run, r->key);
    int64_t heard = run->heard[key_class(r->key)][key_number(r->key)];
    if (key_class(r->key) == CLASS_U || k->version == 0 || k->deleted || k->unsure ||
        k->version < heard) {
        r->op = OP_ENTRY;
        return;
    }
    r->wanted = r->version = k->version;
    r->content = k->content;
    r->tag = k->tag;
}

static void choose_wanted(struct run *run, struct record *r)
{
    const struct known *k = known_of(run, r->key);
    if (key_class(r->key) == CLASS_U || k->version == 0 || !run_chance(run, 35))
        return;
    r->wanted = k->version - (run_chance(run, 20) && k->version > 1);
    r->wanted += run_chance(run, 2); /* what nobody has written yet */
}

void ask_choose(struct run *run, struct slot *slot)
{
    struct record *r = &slot->r;
    struct follow f;
    if (run_take_follow(run, &f)) {
        r->op = f.op;
        r->key = f.key;
        r->tag = f.tag;
        r->wanted = f.wanted;
        r->status = f.deleted; /* until the answer */
        return;
    }
    r->op = choose_op(run);
    if ((r->op == OP_PUT || r->op == OP_DELETE) && sql_is_pausing())
        r->op = OP_ENTRY;
    r->key = run_key(run, run_below(run, CLASSES));
    switch (r->op) {
    case OP_SET: choose_set(run, r); break;
    case OP_INVALIDATE: choose_invalidation(run, r); break;
    case OP_GET:
    case OP_ENTRY:
    case OP_MANY:
    case OP_REFRESH: choose_wanted(run, r); break;
    case OP_PUT: r->content = run_random(run); /* falls through */
    case OP_INVALIDATE_TAG:
    case OP_EXPIRE_TAG: r->tag = (uint16_t)run_below(run, TEAMS); break;
    case OP_INVALIDATE_MATCH:
    case OP_EXPIRE_MATCH: r->tag = (uint16_t)run_below(run, HISTORY_DIGITS + 1); break;
    default: break;
    }
    for (unsigned i = 0; r->op == OP_MANY && i < PEER_MANY; i++)
        slot->many[i] = run_key(run, key_class(r->key));
    if (r->op == OP_MANY)
        r->wanted = 0;
}

/* ---- packing ---- */

static int pack_key(struct buf *b, uint32_t key)
{
    char text[32];
    snprintf(text, sizeof text, "%c:%u", class_letters[key_class(key)], key_number(key));
    return mpw_cstr(b, text);
}

static int pack_number(struct buf *b, const char *name, int64_t n)
{
    return mpw_cstr(b, name) | mpw_int(b, n);
}

static int pack_read(struct peer *p, struct slot *s, const char *method)
{
    const struct record *r = &s->r;
    bool hurry = run_chance(p->run, 2);
    if (r->wanted > known_of(p->run, r->key)->version)
        hurry = true; /* it will not come, so do not wait for long */
    uint32_t options = (r->wanted != 0) + hurry;
    peer_open(p, s, method, 1 + (options > 0));
    int rc = pack_key(&p->out, r->key);
    if (options)
        rc |= mpw_map(&p->out, options);
    if (r->wanted)
        rc |= pack_number(&p->out, "min_version", r->wanted);
    if (hurry)
        rc |= pack_number(&p->out, "timeout_ms", 30);
    return rc;
}

static int pack_many(struct peer *p, struct slot *s)
{
    peer_open(p, s, "get_many", 1);
    int rc = mpw_array(&p->out, PEER_MANY);
    for (unsigned i = 0; i < PEER_MANY; i++)
        rc |= pack_key(&p->out, s->many[i]);
    return rc;
}

static int pack_tag(struct buf *b, unsigned team)
{
    char text[32];
    snprintf(text, sizeof text, "t:%u", team);
    return mpw_cstr(b, text);
}

static int pack_set(struct peer *p, struct slot *s)
{
    const struct record *r = &s->r;
    struct known row = {.version = r->version, .content = r->content, .tag = r->tag};
    char text[BODY_MAX + 64];
    int size = value_write(text, sizeof text, r->key, &row);
    peer_open(p, s, "set", 3);
    return pack_key(&p->out, r->key) | mpw_str(&p->out, slice_of(text, (size_t)size)) |
           mpw_map(&p->out, 2) | pack_number(&p->out, "version", r->version) |
           mpw_cstr(&p->out, "tags") | mpw_array(&p->out, 1) | pack_tag(&p->out, r->tag);
}

/* The script takes the team from in front of the body. */
static int pack_put(struct peer *p, struct slot *s)
{
    char body[BODY_MAX], text[BODY_MAX + 16];
    int size = (int)body_write(body, s->r.content);
    size = snprintf(text, sizeof text, "%u %.*s", s->r.tag, size, body);
    peer_open(p, s, "put", 2);
    return pack_key(&p->out, s->r.key) | mpw_str(&p->out, slice_of(text, (size_t)size));
}

static int pack_invalidate(struct peer *p, struct slot *s)
{
    const struct record *r = &s->r;
    bool deleted = r->status && r->wanted;
    peer_open(p, s, "invalidate", r->wanted ? 2 : 1);
    int rc = pack_key(&p->out, r->key);
    if (r->wanted)
        rc |= mpw_map(&p->out, 1U + deleted) | pack_number(&p->out, "version", r->wanted);
    if (deleted)
        rc |= mpw_cstr(&p->out, "deleted") | mpw_bool(&p->out, true);
    s->r.status = STATUS_UNKNOWN;
    return rc;
}

static int pack_tags(struct peer *p, struct slot *s, const char *method)
{
    peer_open(p, s, method, 1);
    return pack_tag(&p->out, s->r.tag);
}

static int pack_match(struct peer *p, struct slot *s, const char *method)
{
    char text[32];
    char letter = class_letters[key_class(s->r.key)];
    if (s->r.tag == HISTORY_DIGITS)
        snprintf(text, sizeof text, "%c:*", letter);
    else
        snprintf(text, sizeof text, "%c:*%u", letter, s->r.tag);
    peer_open(p, s, method, 1);
    return mpw_cstr(&p->out, text);
}

static int pack_plain(struct peer *p, struct slot *s, const char *method)
{
    peer_open(p, s, method, 1);
    return pack_key(&p->out, s->r.key);
}

static int pack(struct peer *p, struct slot *s)
{
    switch (s->r.op) {
    case OP_GET: return pack_read(p, s, "get");
    case OP_ENTRY:
    case OP_FINAL: return pack_read(p, s, "get_entry");
    case OP_REFRESH: return pack_read(p, s, "refresh");
    case OP_MANY: return pack_many(p, s);
    case OP_PEEK: return pack_plain(p, s, "peek");
    case OP_SET: return pack_set(p, s);
    case OP_PUT: return pack_put(p, s);
    case OP_DELETE: return pack_plain(p, s, "delete");
    case OP_INVALIDATE: return pack_invalidate(p, s);
    case OP_INVALIDATE_TAG: return pack_tags(p, s, "invalidate_tag");
    case OP_EXPIRE: return pack_plain(p, s, "expire");
    case OP_EXPIRE_TAG: return pack_tags(p, s, "expire_tag");
    case OP_INVALIDATE_MATCH: return pack_match(p, s, "invalidate_match");
    case OP_EXPIRE_MATCH: return pack_match(p, s, "expire_match");
    default: return -1;
    }
}

void ask_pack(struct peer *p, struct slot *slot)
{
    must(pack(p, slot) == 0, "a request cannot be packed");
}
