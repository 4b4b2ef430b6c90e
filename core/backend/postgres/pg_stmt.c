#include "backend/postgres/pg_stmt.h"

#include "backend/sql_word.h"
#include "base/hash.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define BUCKETS_MIN 64

int pg_stmt_init(struct pg_stmts *s, uint32_t max)
{
    size_t buckets = BUCKETS_MIN;
    while (buckets < max)
        buckets *= 2;
    *s = (struct pg_stmts){.bucket_mask = buckets - 1, .max = max ? max : 1};
    list_init(&s->lru);
    s->buckets = calloc(buckets, sizeof(struct pg_stmt *));
    return s->buckets ? 0 : ERR_NOMEM;
}

void pg_stmt_clear(struct pg_stmts *s)
{
    while (!list_empty(&s->lru)) {
        struct pg_stmt *st = container_of(s->lru.next, struct pg_stmt, lru);
        pg_stmt_take(s, st);
        pg_stmt_unref(st);
    }
}

void pg_stmt_fini(struct pg_stmts *s)
{
    if (s->buckets)
        pg_stmt_clear(s);
    free(s->buckets);
    s->buckets = NULL;
}

void pg_stmt_unref(struct pg_stmt *st)
{
    if (--st->refs > 0)
        return;
    pg_desc_fini(&st->desc);
    free(st);
}

static struct pg_stmt *look_up(const struct pg_stmts *s, struct slice sql, uint64_t hash)
{
    struct pg_stmt *st = s->buckets[hash & s->bucket_mask];
    while (st && (st->hash != hash || !slice_eq(slice_of(st->sql, st->sql_size), sql)))
        st = st->next;
    return st;
}

const struct pg_stmt *pg_stmt_peek(const struct pg_stmts *s, const struct pg_stmt *like)
{
    return look_up(s, slice_of(like->sql, like->sql_size), like->hash);
}

struct pg_stmt *pg_stmt_find(struct pg_stmts *s, struct slice sql)
{
    struct pg_stmt *st = look_up(s, sql, hash_slice(sql, 0));
    if (st) {
        list_remove(&st->lru);
        list_push_front(&s->lru, &st->lru);
    }
    return st;
}

/* A connection is shared by queries that know nothing of each other. */
static int check_sql(struct slice sql, struct err *e)
{
    static const struct {
        const char *word, *why;
    } refused[] = {
        {"BEGIN", "transactions"},
        {"START", "transactions"},
        {"COMMIT", "transactions"},
        {"END", "transactions"},
        {"ROLLBACK", "transactions"},
        {"ABORT", "transactions"},
        {"SAVEPOINT", "transactions"},
        {"RELEASE", "transactions"},
        {"SET", "session settings"},
        {"RESET", "session settings"},
        {"DISCARD", "session state"},
        {"PREPARE", "session state"},
        {"DEALLOCATE", "session state"},
        {"LISTEN", "session state"},
        {"UNLISTEN", "session state"},
        {"DECLARE", "cursors"},
        {"FETCH", "cursors"},
        {"MOVE", "cursors"},
        {"CLOSE", "cursors"},
        {"COPY", "COPY"},
    };
    if (sql.size && memchr(sql.data, '\0', sql.size))
        return err_set(e, ERR_BAD_REQUEST, "SQL with a NUL byte");
    struct slice word = sql_word_first(sql);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strlen(refused[i].word) == word.size &&
            strncasecmp(refused[i].word, word.data, word.size) == 0)
            return err_set(e, ERR_BAD_REQUEST,
                           "%s: connections are shared by all queries, so no %s; a function or a "
                           "single statement can do it",
                           refused[i].word, refused[i].why);
    return 0;
}

/* Whether one of the words stands anywhere in it, be it in a comment. */
static bool has_one_of(struct slice sql, const char *const *words)
{
    const char *at = sql.data, *end = sql.data + sql.size;
    while (at < end) {
        const char *from = at;
        while (at < end && isalpha((unsigned char)*at))
            at++;
        if (sql_word_is_one_of(slice_of(from, (size_t)(at - from)), words))
            return true;
        at += at == from;
    }
    return false;
}

/* A value for a column is converted to its type, whatever type it was read as: 007 that was read
 * for a number is written as 7 into a column that is a text by now. So what writes is analysed by
 * the server every time. CALL and DO may have committed a part before they fail. */
static void classify(struct pg_stmt *st)
{
    static const char *const reads[] = {"SELECT", "VALUES", "TABLE", NULL};
    static const char *const with[] = {"WITH", NULL};
    static const char *const writes[] = {"INSERT", "UPDATE", "DELETE", "MERGE", NULL};
    struct slice sql = slice_of(st->sql, st->sql_size), word = sql_word_first(sql);
    bool is_with = sql_word_is_one_of(word, with);
    st->reads = sql_word_is_one_of(word, reads);
    st->nameable = st->reads || (is_with && !has_one_of(sql, writes));
    st->repeats = st->nameable || is_with || sql_word_is_one_of(word, writes);
    st->alone = !st->reads;
}

void pg_stmt_rename(struct pg_stmt *st, uint64_t seed, uint64_t serial)
{
    const struct pg_desc *d = &st->desc;
    size_t size = (size_t)d->params * sizeof *d->param_types;
    uint64_t types = hash_bytes(d->param_types, size, seed);
    XXH128_hash_t hash = XXH3_128bits_withSeed(st->sql, st->sql_size, types);
    snprintf(st->name, sizeof st->name, "rtc_%016" PRIx64 "%016" PRIx64 "_%" PRIu64,
             (uint64_t)hash.high64, (uint64_t)hash.low64, serial);
    st->serial = serial;
    st->parsed = false;
}

int pg_stmt_add(struct pg_stmts *s, struct slice sql, struct pg_stmt **out, struct err *e)
{
    int rc = check_sql(sql, e);
    if (rc != 0)
        return rc;
    struct pg_stmt *st = calloc(1, sizeof *st + sql.size + 1);
    if (!st)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    if (sql.size)
        memcpy(st->sql, sql.data, sql.size);
    st->sql_size = sql.size;
    st->hash = hash_slice(sql, 0);
    st->refs = 1;
    classify(st);
    buf_init(&st->desc.keys, 0);
    list_init(&st->step.link);
    list_init(&st->waiting);
    list_init(&st->pure.waiting);
    st->next = s->buckets[st->hash & s->bucket_mask];
    s->buckets[st->hash & s->bucket_mask] = st;
    list_push_front(&s->lru, &st->lru);
    s->count++;
    *out = st;
    return 0;
}

void pg_stmt_take(struct pg_stmts *s, struct pg_stmt *st)
{
    struct pg_stmt **at = &s->buckets[st->hash & s->bucket_mask];
    while (*at != st)
        at = &(*at)->next;
    *at = st->next;
    list_remove(&st->lru);
    s->count--;
}

struct pg_stmt *pg_stmt_evictable(struct pg_stmts *s)
{
    if (s->count <= s->max)
        return NULL;
    for (struct list *it = s->lru.prev; it != &s->lru; it = it->prev) {
        struct pg_stmt *st = container_of(it, struct pg_stmt, lru);
        if (st->described && !st->describing)
            return st;
    }
    return NULL;
}

static void count_change(struct pg_stmt *st)
{
    st->changed = st->generation > 0;
    st->generation++;
    st->plain = false;
}

int pg_stmt_describe(struct pg_stmt *st, const PGresult *res, struct err *e)
{
    bool params, columns = false;
    int rc = pg_desc_take_params(&st->desc, res, &params, e);
    if (rc == 0)
        rc = pg_desc_take_columns(&st->desc, res, &columns, e);
    if (params || columns)
        count_change(st);
    return rc;
}

int pg_stmt_adopt(struct pg_stmt *st, const PGresult *res, struct err *e)
{
    bool changed;
    int rc = pg_desc_take_columns(&st->desc, res, &changed, e);
    if (changed)
        count_change(st);
    return rc;
}
