#include "backend/postgres/pg_types.h"

#include "backend/postgres/pg_call.h"
#include "backend/postgres/pg_queue.h"
#include "backend/sql.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define ARRAY_OF (1LL << 32)

/* Of each type its number, and what it comes down to: through domains to what they are over, once
 * through an array to its elements, which adds ARRAY_OF. An array whose elements are not cut at
 * commas stays a text. Functions have their schema: a user may have made others of these names. */
static const char ask_sql[] =
    "WITH RECURSIVE way(id, at, array_of, step) AS ("
    " SELECT n, n, 0::int8, 0 FROM pg_catalog.unnest($1::int8[]) n"
    " UNION ALL"
    " SELECT way.id, (CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END)::int8,"
    "  CASE t.typtype WHEN 'd' THEN way.array_of ELSE 4294967296 END, way.step + 1"
    " FROM way JOIN pg_catalog.pg_type t ON t.oid::int8 = way.at"
    " WHERE t.typtype = 'd' OR (way.array_of = 0 AND way.at >= 16384 AND t.typdelim = ','"
    "  AND EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = "
    "t.oid)))"
    " SELECT COALESCE(pg_catalog.array_agg(v), '{}') FROM ("
    "  SELECT DISTINCT ON (id) ARRAY[id, array_of + CASE WHEN at < 16384 THEN at ELSE 25 END] AS v"
    "  FROM way ORDER BY id, step DESC) s";

void pg_types_init(struct pg_types *t)
{
    *t = (struct pg_types){.count = 0};
    list_init(&t->waiting);
    buf_init(&t->params, 0);
}

void pg_types_fini(struct pg_types *t)
{
    struct list *link;
    while ((link = list_pop_front(&t->waiting)) != NULL)
        free(container_of(link, struct pg_call, step.link));
    buf_fini(&t->params);
    if (t->asking)
        buf_fini(&t->ask.result);
    free(t->known);
}

void pg_types_forget(struct pg_types *t)
{
    t->count = 0;
    t->generation++;
}

/* The place of the type among those known, or where it would be. */
static uint32_t place_of(const struct pg_types *t, Oid type)
{
    uint32_t low = 0, high = t->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (t->known[middle].type < type)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_known(const struct pg_types *t, Oid type)
{
    if (type < PG_FIRST_USER)
        return true;
    uint32_t at = place_of(t, type);
    return at < t->count && t->known[at].type == type;
}

Oid pg_types_find(const struct pg_types *t, Oid type)
{
    uint32_t at = place_of(t, type);
    return at < t->count && t->known[at].type == type ? t->known[at].kind : PG_TEXT;
}

static int keep(struct pg_types *t, Oid type, Oid kind)
{
    uint32_t at = place_of(t, type);
    if (at < t->count && t->known[at].type == type)
        return 0;
    if (t->count == t->room) {
        uint32_t room = t->room ? 2 * t->room : 16;
        struct pg_type_known *known = realloc(t->known, room * sizeof *known);
        if (!known)
            return ERR_NOMEM;
        t->known = known;
        t->room = room;
    }
    memmove(&t->known[at + 1], &t->known[at], (t->count - at) * sizeof *t->known);
    t->known[at] = (struct pg_type_known){.type = type, .kind = kind};
    t->count++;
    return 0;
}

static bool take_integer(struct mp_reader *r, int64_t *value)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK || t.type != MP_INT)
        return false;
    *value = t.i;
    return true;
}

static bool take_pair(struct mp_reader *r, int64_t *type, int64_t *kind)
{
    struct mp_token pair;
    return mp_next(r, &pair) == MP_OK && pair.type == MP_ARRAY && pair.count == 2 &&
           take_integer(r, type) && take_integer(r, kind) && *type == (Oid)*type && *kind >= 0 &&
           *kind < 2 * ARRAY_OF;
}

int pg_types_take(struct pg_types *t, struct slice answer)
{
    struct mp_reader r = mp_reader_of(answer);
    struct mp_token all = {.count = 0};
    int64_t type, kind;
    int rc = mp_next(&r, &all) == MP_OK && all.type == MP_ARRAY ? 0 : ERR_BACKEND;
    for (uint32_t i = 0; rc == 0 && i < all.count; i++) {
        if (!take_pair(&r, &type, &kind))
            return ERR_BACKEND;
        rc = keep(t, (Oid)type, (kind >= ARRAY_OF ? PG_ARRAY_OF : 0) | (Oid)(kind % ARRAY_OF));
    }
    return rc;
}

/* What was asked for and is not there (dropped since) is known as text. */
static int keep_asked(struct pg_types *t)
{
    struct mp_reader r = mp_reader_of(buf_slice(&t->params));
    struct mp_token outer, inner, type;
    int rc = mp_next(&r, &outer) == MP_OK && mp_next(&r, &inner) == MP_OK ? 0 : ERR_INTERNAL;
    for (uint32_t i = 0; rc == 0 && i < inner.count; i++) {
        rc = mp_next(&r, &type) == MP_OK ? 0 : ERR_INTERNAL;
        if (rc == 0 && !is_known(t, (Oid)type.i))
            rc = keep(t, (Oid)type.i, PG_TEXT);
    }
    return rc;
}

static void fail_waiting(struct pg_pool *p, const struct err *why)
{
    struct list *link;
    while ((link = list_pop_front(&p->types.waiting)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        p->queued--;
        call->q->err = *why;
        pg_queue_end(p, call->q, why->code);
        free(call);
    }
}

static void on_answer(struct call *q)
{
    struct pg_types *t = container_of(q, struct pg_types, ask);
    struct pg_pool *p = container_of(t, struct pg_pool, types);
    struct err why = q->err;
    int rc = q->code;
    t->asking = false;
    if (rc == 0 && t->asked == t->generation) {
        rc = pg_types_take(t, buf_slice(&q->result));
        if (rc == 0)
            rc = keep_asked(t);
        if (rc != 0)
            err_set(&why, rc, "%s",
                    rc == ERR_NOMEM ? "no memory to keep the answer"
                                    : "the answer is not the one that the catalog gives");
    }
    buf_fini(&q->result);
    if (rc != 0) {
        err_prefix(&why, "asking for the query's types");
        fail_waiting(p, &why);
        return;
    }
    while (!list_empty(&t->waiting)) { /* before all others, in their order */
        struct list *last = t->waiting.prev;
        list_remove(last);
        list_push_front(&p->queue, last);
    }
    p->ops->dispatch(p);
}

/* A question of the driver's own, which others wait for: before all that wait, past every bound. */
static void submit(struct pg_pool *p, struct call *q)
{
    struct pg_call *call = pg_call_new(p, q);
    if (!call)
        return;
    call->own = true;
    pg_queue_again(p, call);
    p->ops->dispatch(p);
}

static int ask(struct pg_pool *p, const Oid *types, int count)
{
    struct pg_types *t = &p->types;
    uint32_t missing = 0;
    for (int i = 0; i < count; i++)
        missing += !is_known(t, types[i]);
    buf_clear(&t->params);
    int rc = mpw_array(&t->params, 1);
    if (rc == 0)
        rc = mpw_array(&t->params, missing);
    for (int i = 0; rc == 0 && i < count; i++)
        if (!is_known(t, types[i]))
            rc = mpw_int(&t->params, types[i]);
    if (rc != 0)
        return rc;
    t->asking = true;
    t->asked = t->generation;
    t->ask = (struct call){
        .text = slice_str(ask_sql),
        .params = buf_slice(&t->params),
        .verb = SQL_VALUE,
        .shape = CALL_VALUE,
        .done = on_answer,
    };
    submit(p, &t->ask);
    return 0;
}

bool pg_types_know(const struct pg_types *t, const Oid *types, int count)
{
    for (int i = 0; i < count; i++)
        if (!is_known(t, types[i]))
            return false;
    return true;
}

bool pg_types_miss(struct pg_pool *p, const Oid *types, int count)
{
    if (pg_types_know(&p->types, types, count))
        return false;
    return p->types.asking || ask(p, types, count) == 0;
}
