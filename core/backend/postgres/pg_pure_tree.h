/*
 * pg_pure_tree: what a statement reads, by PostgreSQL's own grammar (libpg_query), or why it may
 * do more than read.
 *
 *   text -> pg_query_parse -> tree of nodes -> relations, columns, operators, functions, types
 *
 * Shape: a list of the nodes that are allowed, and of the fields of each; whatever is not in it
 * (a subquery, a lock, a window, CURRENT_USER, a node that a later version brings) is the answer
 * "no". Names are as they stand in the text: what they mean, the database is asked (pg_pure.sql).
 * A text is refused where another setting of the session or another version of the grammar could
 * read it differently: a backslash (standard_conforming_strings), a character that is not ASCII
 * (encodings), a constant that holds "now", "today", "tomorrow" or "yesterday" (which stand for a
 * time of the transaction where they become a date).
 * Thread: any; libpg_query keeps what it needs by thread. Limits: SQL of 4096 bytes, for which it
 * needs less than 512 KiB of stack, and so many names as stand below.
 */
#ifndef RTCACHE_BACKEND_PG_PURE_TREE_H
#define RTCACHE_BACKEND_PG_PURE_TREE_H

#include "base/err.h"

#include <stdbool.h>

enum {
    PG_PURE_SQL_MAX = 4096,
    PG_PURE_RELATIONS = 8,
    PG_PURE_NAMES = 32,
    PG_PURE_COLUMNS = 128,
};

/* Strings are borrowed from the tree; "" where there is none. */
struct pg_pure_relation {
    const char *schema, *name, *alias;
};
struct pg_pure_column {
    int relation;      /* from 1; 0: any of them */
    const char *table; /* what stands before it, an alias; "": nothing */
    const char *name;  /* "": all of them */
};
struct pg_pure_type {
    const char *schema, *name;
    bool constant; /* what becomes of it stands in the text */
};

struct pg_pure_tree {
    struct json_t *json; /* owned */
    struct pg_pure_relation relations[PG_PURE_RELATIONS];
    struct pg_pure_column columns[PG_PURE_COLUMNS];
    const char *operators[PG_PURE_NAMES], *functions[PG_PURE_NAMES];
    struct pg_pure_type types[PG_PURE_NAMES];
    int relation_count, column_count, operator_count, function_count, type_count;
};

/* 0: the statement reads no more than what t holds, where those names mean what they seem to.
 * ERR_BAD_REQUEST: e says why it goes alone. ERR_NOMEM. In every case pg_pure_tree_fini follows. */
int pg_pure_tree_init(struct pg_pure_tree *t, const char *sql, struct err *e) MUST_USE;
void pg_pure_tree_fini(struct pg_pure_tree *t);

#endif
