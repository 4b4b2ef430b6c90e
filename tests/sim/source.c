/* The simulated sources: rows on a primary, whose commits can be announced before they are shown,
 * and on a replica, which applies them later and in order. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

/* bin 16 with a pattern that no other key or version has. */
struct slice source_value(const struct sim *s, int key, int version)
{
    static unsigned char bytes[SIM_VALUE];
    size_t size = s->k.little_memory ? (size_t)(SIM_VALUE - version % 64) : 24;
    uint64_t pattern = (uint64_t)version * 0x9E3779B97F4A7C15U + (uint64_t)key + 1;
    bytes[0] = 0xc5;
    bytes[1] = (unsigned char)((size - 3) >> 8);
    bytes[2] = (unsigned char)(size - 3);
    bytes[3] = (unsigned char)key;
    bytes[4] = (unsigned char)(version >> 8);
    bytes[5] = (unsigned char)version;
    size_t at = 6;
    for (; at + sizeof pattern <= size; at += sizeof pattern)
        memcpy(bytes + at, &pattern, sizeof pattern);
    memset(bytes + at, 0, size - at);
    return slice_of(bytes, size);
}

int64_t source_version_of(const struct sim *s, int key, struct slice bytes)
{
    if (bytes.size < 6)
        return -1;
    int version = (unsigned char)bytes.data[4] << 8 | (unsigned char)bytes.data[5];
    return slice_eq(bytes, source_value(s, key, version)) ? version : -1;
}

bool source_locked(const struct sim *s, int key)
{
    return s->rows[key].head != s->rows[key].shown;
}

/* key and version travel in a task's stamp. */
static uint32_t pack(int key, int version)
{
    return (uint32_t)key << 16 | (uint32_t)version;
}

static void apply(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg;
    struct row *r = &s->rows[stamp >> 16];
    int version = (int)(stamp & 0xffff);
    if (version <= r->applied)
        return;
    r->applied = version;
    sim_note(s, (struct event){.kind = DID_APPLIED, .key = (int)(stamp >> 16), .version = version});
}

static void show(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg;
    struct row *r = &s->rows[stamp >> 16];
    int key = (int)(stamp >> 16), version = (int)(stamp & 0xffff);
    r->shown = version;
    sim_note(s, (struct event){.kind = DID_SHOWN, .key = key, .version = version});
    int64_t at_ms = s->now_ms + (s->healing ? 0 : sim_up_to(s, s->k.lag_ms));
    if (at_ms < s->last_apply_ms)
        at_ms = s->last_apply_ms;
    s->last_apply_ms = at_ms;
    task_in(s, at_ms - s->now_ms, apply, NULL, stamp);
}

bool source_commit(struct sim *s, const struct commit *c)
{
    struct row *r = &s->rows[c->key];
    if (r->head + 1 >= SIM_VERSIONS)
        return false;
    uint8_t tags = r->states[r->head].tags;
    if (!tags || sim_chance(s, 30))
        tags = (uint8_t)(1 << sim_up_to(s, HISTORY_TAGS - 2) | 1 << sim_up_to(s, HISTORY_TAGS - 2));
    r->states[++r->head] = (struct state){c->absent, r->tagged ? tags : 0};
    sim_note(s, (struct event){
                    .kind = DID_COMMIT,
                    .key = c->key,
                    .read = c->read,
                    .version = r->head,
                    .flags = (c->absent ? F_ABSENT : 0) | (c->doubted ? F_DOUBTED : 0),
                    .tags = r->states[r->head].tags,
                });
    if (c->unseen_ms > 0)
        task_in(s, c->unseen_ms, show, NULL, pack(c->key, r->head));
    else
        show(s, NULL, pack(c->key, r->head));
    return true;
}
