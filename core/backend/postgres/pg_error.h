/*
 * pg_error: what PostgreSQL and libpq say went wrong, as an error of the closed list.
 *
 * Shape: "SQLSTATE message (detail; hint)". Classes 08 and 57P0x, and faults without a SQLSTATE,
 * mean that the server cannot be reached: BACKEND_DOWN; all others are BACKEND_ERROR.
 * Thread: any. Limits: those of struct err.
 */
#ifndef RTCACHE_BACKEND_PG_ERROR_H
#define RTCACHE_BACKEND_PG_ERROR_H

#include "backend/call.h"

#include <libpq-fe.h>

/* full: also what it quotes of rows. Without it the values in messages of class 22 are left out,
 * and the detail of all classes in which that may be a row (22, 23, 44 and others). */
int pg_error_of_result(const PGresult *res, bool full, struct err *e);
/* ERR_BACKEND_DOWN with libpq's text for the connection, on one line. pg may be NULL. */
int pg_error_of_conn(const PGconn *pg, const char *what, struct err *e);

/* The five characters of the SQLSTATE, or "". Borrowed from res. */
const char *pg_error_state(const PGresult *res);

/* What an error may come of, where the description that the query was sent by was old. */
enum pg_doubt {
    PG_SURE,
    PG_DOUBT_TYPES, /* its types: where they are the same now, the error is the query's own */
    PG_DOUBT_PLAN,  /* or what the server keeps under the statement's name */
};
enum pg_doubt pg_error_doubt(const PGresult *res);
/* Whether the server has no statement of that name, has one already, or another one: then it did
 * not begin to run, and somebody between shares sessions out. */
bool pg_error_is_lost(const PGresult *res);
/* What the error says of the statement: one that ends its session may have come after a commit. */
enum call_fate pg_error_fate(const PGresult *res);
/* Whether the server stopped the query because it was told to. */
bool pg_error_is_cancel(const PGresult *res);

/* Class 22 says between quotes which value it could not take: it may be a column's. Languages other
 * than English quote in other ways, and then nothing of the message is left. */
void pg_error_hide_value(char message[ERR_TEXT_MAX]);

/* Copies text with line ends and runs of spaces folded into one space, cut at size - 1. */
void pg_error_one_line(const char *text, char *out, size_t size);

#endif
