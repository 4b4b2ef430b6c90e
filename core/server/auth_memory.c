#include "server/auth_memory.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4 /* places that one key may stand in */

struct row {
    struct auth_key key;
    int64_t at_ms;  /* the oldest gives way */
    unsigned count; /* 0: the row is free */
};

struct table {
    struct row rows[AUTH_MEMORY_ROWS];
};

struct auth_memory {
    unsigned char key[crypto_generichash_KEYBYTES];
    struct table failures, looks, known, friends;
};

int auth_memory_new(struct auth_memory **out, struct err *e)
{
    *out = sodium_init() < 0 ? NULL : calloc(1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "no memory to verify passwords with");
    randombytes_buf((*out)->key, sizeof(*out)->key);
    return 0;
}

void auth_memory_free(struct auth_memory *m)
{
    if (!m)
        return;
    sodium_memzero(m, sizeof *m);
    free(m);
}

/* ---- keys ---- */

struct auth_key auth_memory_key(const struct auth_memory *m, const struct slice *parts,
                                size_t count)
{
    struct auth_key d;
    crypto_generichash_state state;
    crypto_generichash_init(&state, m->key, sizeof m->key, sizeof d.bytes);
    for (size_t i = 0; i < count; i++) {
        uint64_t size = parts[i].size;
        crypto_generichash_update(&state, (const unsigned char *)&size, sizeof size);
        crypto_generichash_update(&state, (const unsigned char *)parts[i].data, parts[i].size);
    }
    crypto_generichash_final(&state, d.bytes, sizeof d.bytes);
    sodium_memzero(&state, sizeof state);
    return d;
}

static struct auth_key pair_of(const struct auth_memory *m, struct slice name, struct slice from)
{
    const struct slice parts[] = {name, from};
    return auth_memory_key(m, parts, 2);
}

/* ---- tables ---- */

static struct row *places_of(const struct table *t, const struct auth_key *key)
{
    uint32_t n;
    memcpy(&n, key->bytes, sizeof n);
    return (struct row *)&t->rows[n % (AUTH_MEMORY_ROWS / WAYS) * WAYS];
}

/* NULL: it is in none. All places are looked at, for as long as there are any. */
static struct row *find(const struct table *t, const struct auth_key *key)
{
    struct row *row = places_of(t, key), *found = NULL;
    for (int i = 0; i < WAYS; i++)
        if (sodium_memcmp(row[i].key.bytes, key->bytes, sizeof key->bytes) == 0 && row[i].count > 0)
            found = &row[i];
    return found;
}

/* Its row, or one that is free, or the oldest: that begins anew. */
static struct row *place(struct table *t, const struct auth_key *key)
{
    struct row *to = find(t, key), *row = places_of(t, key);
    if (to)
        return to;
    to = row;
    for (int i = 0; i < WAYS; i++)
        if (to->count > 0 && (row[i].count == 0 || row[i].at_ms < to->at_ms))
            to = &row[i];
    *to = (struct row){.key = *key};
    return to;
}

static unsigned count_of(const struct table *t, const struct auth_key *key, int64_t now_ms)
{
    const struct row *row = find(t, key);
    return row && now_ms - row->at_ms < AUTH_MEMORY_FORGET_MS ? row->count : 0;
}

static void count_one(struct table *t, const struct auth_key *key, int64_t now_ms)
{
    unsigned before = count_of(t, key, now_ms);
    struct row *row = place(t, key);
    row->count = before + (before < UINT32_MAX);
    row->at_ms = now_ms;
}

/* ---- what they are for ---- */

struct auth_key auth_memory_who(const struct auth_memory *m, struct slice name,
                                struct slice address, struct slice network)
{
    struct auth_key pair = pair_of(m, name, address);
    return find(&m->friends, &pair) ? pair : pair_of(m, name, network);
}

unsigned auth_memory_failures(const struct auth_memory *m, const struct auth_key *who,
                              int64_t now_ms)
{
    return count_of(&m->failures, who, now_ms);
}

void auth_memory_failed(struct auth_memory *m, const struct auth_key *who, int64_t now_ms)
{
    count_one(&m->failures, who, now_ms);
}

bool auth_memory_knows(const struct auth_memory *m, const struct auth_key *digest, int64_t now_ms)
{
    const struct row *row = find(&m->known, digest);
    return row && row->at_ms > now_ms;
}

bool auth_memory_look(struct auth_memory *m, const struct auth_key *who,
                      const struct auth_key *digest, int64_t now_ms)
{
    if (count_of(&m->looks, who, now_ms) >= AUTH_MEMORY_LOOKS)
        return false;
    if (auth_memory_knows(m, digest, now_ms))
        return true;
    count_one(&m->looks, who, now_ms);
    return false;
}

void auth_memory_right(struct auth_memory *m, const struct auth_key *digest, int64_t now_ms,
                       int64_t until_ms)
{
    if (until_ms <= now_ms || auth_memory_knows(m, digest, now_ms))
        return;
    struct row *row = place(&m->known, digest);
    row->count = 1;
    row->at_ms = until_ms;
}

void auth_memory_looked_well(struct auth_memory *m, const struct auth_key *who)
{
    struct row *row = find(&m->looks, who);
    if (row)
        row->count--;
}

void auth_memory_befriend(struct auth_memory *m, struct slice name, struct slice address,
                          int64_t now_ms)
{
    struct auth_key pair = pair_of(m, name, address);
    struct row *row = place(&m->friends, &pair);
    row->count = 1;
    row->at_ms = now_ms;
}
