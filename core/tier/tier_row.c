#include "tier/tier_row.h"

#include "tier/tier_item.h"

#define LONGEST_MS (INT64_C(1) << 50)

int64_t tier_row_begin(struct mp_reader *at, struct slice answer)
{
    struct mp_token t;
    *at = mp_reader_of(answer);
    return mp_next(at, &t) == MP_OK && t.type == MP_ARRAY ? (int64_t)t.count : -1;
}

/* ---- columns ---- */

struct number {
    const char *name;
    size_t offset; /* in struct tier_row; of 8 bytes */
};

static const struct number numbers[] = {
    {"i", offsetof(struct tier_row, place)},
    {"loaded_ms", offsetof(struct tier_row, loaded_wall_ms)},
    {"expires_ms", offsetof(struct tier_row, expires_wall_ms)},
    {"stale_ms", offsetof(struct tier_row, stale_ms)},
    {"keep_ms", offsetof(struct tier_row, keep_ms)},
    {"load_us", offsetof(struct tier_row, load_us)},
    {"incarnation", offsetof(struct tier_row, incarnation)},
    {"since", offsetof(struct tier_row, since)},
    {"seen", offsetof(struct tier_row, seen)},
    {"until_ms", offsetof(struct tier_row, until_ms)},
    {"print", offsetof(struct tier_row, print)},
};

static bool take_number(struct tier_row *row, struct slice name, const struct mp_token *t)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (slice_eq_str(name, numbers[i].name)) {
            if (t->type == MP_INT)
                memcpy((char *)row + numbers[i].offset, &t->i, sizeof t->i);
            return true;
        }
    return false;
}

static bool is_bytes(const struct mp_token *t)
{
    return t->type == MP_STR || t->type == MP_BIN;
}

static void take_column(struct tier_row *row, struct slice name, const struct mp_token *t,
                        struct slice packed)
{
    if (take_number(row, name, t))
        return;
    if (slice_eq_str(name, "packed") && is_bytes(t)) {
        row->value = t->bytes;
    } else if (slice_eq_str(name, "cache_key") && is_bytes(t)) {
        row->key = t->bytes;
    } else if (slice_eq_str(name, "at") && is_bytes(t)) {
        row->at = t->bytes;
    } else if (slice_eq_str(name, "version_id") && t->type == MP_INT) {
        row->has_version = true;
        row->version = t->i;
    } else if (slice_eq_str(name, "tags") && t->type == MP_ARRAY) {
        row->tagged = t->count == 0 ? TAGGED_NOT : TAGGED_TEXTS;
        row->tags = packed;
    }
}

static bool is_span(int64_t ms)
{
    return ms >= 0 && ms <= LONGEST_MS;
}

static bool is_whole(const struct tier_row *row)
{
    struct err e;
    return row->value.size > 0 && mp_check(row->value, &e) == 0 && is_span(row->loaded_wall_ms) &&
           is_span(row->expires_wall_ms) && is_span(row->stale_ms) && is_span(row->keep_ms) &&
           row->load_us >= 0 && row->load_us <= UINT32_MAX;
}

bool tier_row_next(struct mp_reader *at, struct tier_row *row)
{
    struct mp_token t, name;
    *row = (struct tier_row){.tagged = TAGGED_UNKNOWN};
    if (mp_next(at, &t) != MP_OK || t.type != MP_MAP)
        return false;
    for (uint32_t left = t.count; left > 0; left--) {
        struct slice packed;
        if (mp_next(at, &name) != MP_OK || name.type != MP_STR || mp_take(at, &packed) != MP_OK)
            return false;
        struct mp_reader value = mp_reader_of(packed);
        if (mp_next(&value, &t) == MP_OK)
            take_column(row, name.bytes, &t, packed);
    }
    row->whole = is_whole(row);
    return true;
}

/* ---- as a record ---- */

void tier_row_record(const struct tier_row *row, struct slice key, bool own, int64_t now_ms,
                     int64_t wall_ms, struct record *out)
{
    bool for_ever = row->expires_wall_ms >= TIER_FOREVER_MS || (own && row->until_ms == INT64_MAX);
    int64_t age_ms = wall_ms - row->loaded_wall_ms;
    int64_t left_ms = own ? row->until_ms - now_ms : row->expires_wall_ms - wall_ms;
    *out = (struct record){
        .key = key,
        .value = row->value,
        .has_version = row->has_version,
        .version = row->version,
        .age_ms = age_ms > 0 ? age_ms : 0,
        .fresh_left_ms = for_ever ? STORE_FOREVER_MS : left_ms,
        .stale_ttl_ms = row->stale_ms,
        .keep_ms = row->keep_ms,
        .tagged = row->tagged,
        .tag_texts = row->tags,
        .load_us = (uint32_t)row->load_us,
    };
}
