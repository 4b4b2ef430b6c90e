/*
 * conf_rows: a configuration with the loaders of a table beside those of its file.
 *
 *   file -> conf_load -> conf (base)  --+
 *                                       +--> conf_with_rows -> conf
 *   table -> struct conf_rows         --+
 *
 * A row is a copy of the loader type that it names, with its own pattern and times. All rows are
 * checked; one that is wrong makes none. A row whose pattern is that of a loader of the file gives
 * way to it. Shape: sorted once; O(n log n) in rows and loaders.
 * Thread: any. Limits: CONF_LOADERS_MAX loaders of both.
 */
#ifndef RTCACHE_CONF_CONF_ROWS_H
#define RTCACHE_CONF_CONF_ROWS_H

#include "conf/conf.h"

/* pattern: the key_pattern of the row that is wrong; NULL: it has none, or it is no one row's. */
typedef void conf_rows_told(void *arg, const char *pattern, const char *text);

/* base: a configuration with a registry, or one that this has made of such, whose rows are left
 * out then. rows are copied, in the order of the bytes of their patterns. told (NULL: nobody) is
 * called for each problem, and e has the first, after the table's name and the row's pattern:
 * ERR_CONFIG. ERR_NOMEM. The caller owns one reference of *out, which holds one of base. */
int conf_with_rows(struct conf *base, const struct conf_rows *rows, struct conf **out,
                   conf_rows_told *told, void *arg, struct err *e) MUST_USE;

/* As the file alone has it: c itself where it has no rows. Borrowed from c. */
struct conf *conf_without_rows(struct conf *c);

/* Whether both have the same rows, in the order that conf_rows_sort gives. */
bool conf_rows_equal(const struct conf_rows *a, const struct conf_rows *b);
void conf_rows_sort(struct conf_row *list, size_t count);

#endif
