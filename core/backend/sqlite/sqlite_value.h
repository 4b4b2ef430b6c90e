/*
 * sqlite_value: single values from MessagePack to SQLite's parameters and from its columns back.
 *
 * Shape: INTEGER, REAL, TEXT, BLOB and NULL are int, float, str, bin and nil; what a column is
 * declared as refines it (JSON, BOOLEAN, DECIMAL). A text that is no UTF-8 comes back as bin.
 * Thread: the worker that has the statement. Limits: one parameter below 2 GiB.
 */
#ifndef RTCACHE_BACKEND_SQLITE_VALUE_H
#define RTCACHE_BACKEND_SQLITE_VALUE_H

#include "base/buf.h"
#include "base/err.h"

#include <sqlite3.h>

enum sqlite_kind {
    SQLITE_KIND_PLAIN,
    SQLITE_KIND_JSON,
    SQLITE_KIND_BOOL,
    SQLITE_KIND_DECIMAL, /* int and float become their exact text */
};

/* From a declared type, "VARCHAR(20)"; NULL: an expression. */
enum sqlite_kind sqlite_value_kind(const char *declared);

/* Binds one packed value at the statement's index; number is what the error calls it. The value is
 * borrowed until the bindings are cleared. ERR_BACKEND, ERR_NOMEM, ERR_TOO_LARGE. */
int sqlite_value_bind(sqlite3_stmt *stmt, int index, unsigned number, struct slice packed,
                      struct err *e) MUST_USE;

/* Appends the column of the current row. A failure may leave part of it in out. */
int sqlite_value_pack(sqlite3_stmt *stmt, int column, enum sqlite_kind kind, struct buf *out,
                      struct err *e) MUST_USE;

#endif
