#include "backend/pg_stmt.h"

#include "backend/pg_value.h"
#include "base/hash.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <ctype.h>
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
    s->named = 0;
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
    free(st->param_types);
    free(st->column_types);
    free(st->key_ends);
    buf_fini(&st->keys);
    free(st);
}

struct pg_stmt *pg_stmt_find(struct pg_stmts *s, struct slice sql)
{
    uint64_t hash = hash_slice(sql, 0);
    struct pg_stmt *st = s->buckets[hash & s->bucket_mask];
    while (st && (st->hash != hash || !slice_eq(slice_of(st->sql, st->sql_size), sql)))
        st = st->next;
    if (st) {
        list_remove(&st->lru);
        list_push_front(&s->lru, &st->lru);
    }
    return st;
}

/* The first word of a statement, after white space, comments and opening parentheses. */
static struct slice first_word(struct slice sql)
{
    const char *at = sql.data, *end = sql.data + sql.size;
    while (at < end) {
        if (isspace((unsigned char)*at) || *at == '(' || *at == ';') {
            at++;
        } else if (end - at >= 2 && memcmp(at, "--", 2) == 0) {
            while (at < end && *at != '\n')
                at++;
        } else if (end - at >= 2 && memcmp(at, "/*", 2) == 0) {
            unsigned depth = 0; /* they nest */
            do {
                bool opens = end - at >= 2 && memcmp(at, "/*", 2) == 0;
                bool closes = end - at >= 2 && memcmp(at, "*/", 2) == 0;
                depth += opens;
                depth -= closes;
                at += opens || closes ? 2 : 1;
            } while (depth > 0 && at < end);
        } else {
            break;
        }
    }
    const char *from = at;
    while (at < end && isalpha((unsigned char)*at))
        at++;
    return slice_of(from, (size_t)(at - from));
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
    struct slice word = first_word(sql);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strlen(refused[i].word) == word.size &&
            strncasecmp(refused[i].word, word.data, word.size) == 0)
            return err_set(e, ERR_BAD_REQUEST,
                           "%s: connections are shared by all queries, so no %s; a function or a "
                           "single statement can do it",
                           refused[i].word, refused[i].why);
    return 0;
}

static bool only_reads(struct slice sql)
{
    static const char *const words[] = {"SELECT", "VALUES", "TABLE"};
    struct slice word = first_word(sql);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == word.size && strncasecmp(words[i], word.data, word.size) == 0)
            return true;
    return false;
}

void pg_stmt_rename(struct pg_stmts *s, struct pg_stmt *st)
{
    snprintf(st->name, sizeof st->name, "rtc_%u", s->named++);
    st->prepared = st->described = st->hit = false;
    err_clear(&st->err);
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
    st->reads = only_reads(sql);
    st->alone = !st->reads;
    buf_init(&st->keys, 0);
    list_init(&st->step.link);
    list_init(&st->waiting);
    pg_stmt_rename(s, st);
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
        if (st->ready)
            return st;
    }
    return NULL;
}

/* A map has room for one value of a name, so a row with two columns of it cannot be told. */
static void find_repeated(struct pg_stmt *st, const PGresult *res)
{
    for (int i = 1; i < st->columns; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(PQfname(res, i), PQfname(res, j)) == 0) {
                st->repeated = i + 1;
                return;
            }
}

struct slice pg_stmt_column(const struct pg_stmt *st, int i)
{
    size_t from = i > 0 ? st->key_ends[i - 1] : 0;
    struct mp_reader r = mp_reader_of(slice_of(st->keys.data + from, st->key_ends[i] - from));
    struct mp_token t;
    return mp_next(&r, &t) == MP_OK ? t.bytes : slice_of("", 0);
}

int pg_stmt_describe(struct pg_stmt *st, const PGresult *res, struct err *e)
{
    st->params = PQnparams(res);
    st->columns = PQnfields(res);
    st->param_types = calloc((size_t)st->params + 1, sizeof(Oid));
    st->column_types = calloc((size_t)st->columns + 1, sizeof(Oid));
    st->key_ends = calloc((size_t)st->columns + 1, sizeof(size_t));
    if (!st->param_types || !st->column_types || !st->key_ends)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    for (int i = 0; i < st->params; i++)
        st->param_types[i] = PQparamtype(res, i);
    for (int i = 0; i < st->columns; i++) {
        struct slice name = slice_str(PQfname(res, i));
        st->column_types[i] = PQftype(res, i);
        st->nests = st->nests || pg_value_nests(PQftype(res, i));
        if (!mp_utf8_valid(name))
            return err_set(e, ERR_BACKEND, "the name of column %d is not UTF-8", i + 1);
        if (mpw_str(&st->keys, name) != 0)
            return err_set(e, ERR_NOMEM, "no memory for a statement");
        st->key_ends[i] = st->keys.size;
    }
    find_repeated(st, res);
    return 0;
}
