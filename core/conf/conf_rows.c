#include "conf/conf_rows.h"

#include "base/decimal.h"
#include "conf/checks_sql.h"
#include "conf/conf_snapshot.h"
#include "conf/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* One configuration that is being made. */
struct putting {
    struct conf *conf;
    const struct conf *base;
    struct arena *arena;
    const char **patterns; /* of the file's loaders, by glob_order */
    size_t pattern_count;
    conf_rows_told *told;
    void *arg;
    struct err *e; /* the first problem */
    size_t wrong;
};

/* ---- problems ---- */

/* A problem of a row (NULL: of none alone), named by its pattern. */
static void wrong(struct putting *g, const struct conf_row *row, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void wrong(struct putting *g, const struct conf_row *row, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *pattern = row ? row->pattern : NULL;
    if (g->told)
        g->told(g->arg, pattern, text);
    if (g->wrong++ > 0)
        return;
    if (pattern)
        err_set(g->e, ERR_CONFIG, "%s: key_pattern \"%.128s\": %s", g->base->registry.table,
                pattern, text);
    else
        err_set(g->e, ERR_CONFIG, "%s: %s", g->base->registry.table, text);
}

struct row_place {
    struct putting *g;
    const struct conf_row *row;
};

static void wrong_sql(void *arg, const char *text)
{
    const struct row_place *at = arg;
    wrong(at->g, at->row, "loader_type \"%.64s\": %s", at->row->type, text);
}

/* ---- orders ---- */

static int text_order(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

/* All of a row counts, so that equal sets of rows are in one order. */
static int row_order(const void *left, const void *right)
{
    const struct conf_row *a = left, *b = right;
    int order = text_order(a->pattern, b->pattern);
    order = order != 0 ? order : text_order(a->type, b->type);
    order = order != 0 ? order : text_order(a->ttl, b->ttl);
    return order != 0 ? order : text_order(a->stale_ttl, b->stale_ttl);
}

void conf_rows_sort(struct conf_row *list, size_t count)
{
    if (count > 1)
        qsort(list, count, sizeof *list, row_order);
}

bool conf_rows_equal(const struct conf_rows *a, const struct conf_rows *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (row_order(&a->list[i], &b->list[i]) != 0)
            return false;
    return true;
}

static int pattern_order(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return glob_order(slice_str(*a), slice_str(*b));
}

/* Two that match the same keys stand beside each other; of these the first row comes first. */
static int place_order(const void *left, const void *right)
{
    const struct conf_row *const *a = left, *const *b = right;
    int order = glob_order(slice_str((*a)->pattern), slice_str((*b)->pattern));
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

/* ---- a row ---- */

static const struct conf_loader_type *find_type(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->type_count; i++)
        if (strcmp(c->types[i].name, name) == 0)
            return &c->types[i];
    return NULL;
}

static const struct conf_loader_type *type_of(struct putting *g, const struct conf_row *row)
{
    const struct conf *c = g->base;
    const char *names[CONF_TYPES_MAX];
    const struct conf_loader_type *type = row->type ? find_type(c, row->type) : NULL;
    if (type || !row->type) {
        if (!type)
            wrong(g, row, "loader_type is NULL");
        return type;
    }
    for (size_t i = 0; i < c->type_count; i++)
        names[i] = c->types[i].name;
    const char *near = conf_nearest(row->type, names, c->type_count);
    wrong(g, row, "there is no loader type \"%.64s\"%s%s%s", row->type,
          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* "60" and, of a numeric column, "60.00"; not "60.5", "1e3", " 60". */
static bool read_whole(const char *text, int64_t *out)
{
    const char *point = strchr(text, '.');
    size_t size = point ? (size_t)(point - text) : strlen(text);
    if (point && (point[1] == '\0' || strspn(point + 1, "0") != strlen(point + 1)))
        return false;
    return decimal_parse(slice_of(text, size), out);
}

/* Whether it is a number of digits, perhaps with a sign and a fraction: for what is said of it. */
static bool is_number(const char *text)
{
    const char *at = text + (*text == '-');
    size_t whole = strspn(at, "0123456789");
    at += whole;
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    return whole > 0 && *at == '\0';
}

static void take_seconds(struct putting *g, const struct conf_row *row, const char *column,
                         const char *text, const char *option, int64_t *ms)
{
    const struct option *o = options_find(GROUP_POLICY, option);
    int64_t seconds = 0;
    if (!text)
        return; /* as the type says */
    bool whole = read_whole(text, &seconds);
    if (!whole && !is_number(text)) {
        wrong(g, row, "%s is \"%.32s\"; it must be a number of seconds", column, text);
    } else if (!whole && strchr(text, '.') && text[0] != '-') {
        wrong(g, row, "%s is %.32s; it must be whole seconds", column, text);
    } else if (!whole || seconds < o->least / 1000 || seconds > o->most / 1000) {
        wrong(g, row, "%s is %.32s; it must be at least %lld and at most %lld", column, text,
              (long long)(o->least / 1000), (long long)(o->most / 1000));
    } else {
        *ms = seconds * 1000;
    }
}

/* Whether the row is right but for its place among others; *l is what it makes. */
static bool read_row(struct putting *g, const struct conf_row *row, struct conf_loader *l)
{
    size_t before = g->wrong;
    struct err e;
    const struct conf_loader_type *type = NULL;
    *l = (struct conf_loader){.pattern = NULL};
    if (!row->pattern)
        wrong(g, row, "there is a row without a key_pattern");
    else if (glob_check(slice_str(row->pattern), &e) != 0)
        wrong(g, row, "%s", e.text);
    else
        type = type_of(g, row);
    if (type) {
        *l = type->loader;
        l->pattern = row->pattern;
        take_seconds(g, row, "ttl_seconds", row->ttl, "ttl", &l->policy.ttl_ms);
        take_seconds(g, row, "stale_ttl_seconds", row->stale_ttl, "stale_ttl",
                     &l->policy.stale_ttl_ms);
        struct row_place at = {g, row};
        checks_sql_parameters(l, wrong_sql, &at);
    }
    return g->wrong == before;
}

/* ---- all of them ---- */

static bool is_in_file(const struct putting *g, const char *pattern)
{
    return bsearch(&pattern, g->patterns, g->pattern_count, sizeof *g->patterns, pattern_order) !=
           NULL;
}

/* sorted: room for as many pointers as there are rows. */
static void check_twins(struct putting *g, const struct conf_row **sorted)
{
    const struct conf_rows *rows = &g->conf->rows;
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->list[i].pattern && glob_check(slice_str(rows->list[i].pattern), NULL) == 0)
            sorted[count++] = &rows->list[i];
    qsort(sorted, count, sizeof *sorted, place_order);
    for (size_t i = 1; i < count; i++) {
        const struct conf_row *first = sorted[i - 1], *again = sorted[i];
        if (pattern_order(&first->pattern, &again->pattern) != 0)
            continue;
        if (strcmp(first->pattern, again->pattern) == 0)
            wrong(g, again, "it is that of two rows");
        else
            wrong(g, again, "it matches the same keys as that of another row, \"%.128s\"",
                  first->pattern);
    }
}

static void put_loaders(struct putting *g)
{
    struct conf *c = g->conf;
    const struct conf_rows *rows = &c->rows;
    memcpy(c->loaders, g->base->loaders, g->base->loader_count * sizeof *c->loaders);
    for (size_t i = 0; i < rows->count; i++) {
        struct conf_loader l;
        if (!read_row(g, &rows->list[i], &l))
            continue;
        if (is_in_file(g, l.pattern))
            c->rows_given_way++;
        else
            c->loaders[c->loader_count++] = l;
    }
    if (c->loader_count > CONF_LOADERS_MAX)
        wrong(g, NULL, "with its rows there are %zu loaders; at most %d are taken", c->loader_count,
              CONF_LOADERS_MAX);
}

static bool copy_text(struct putting *g, const char **text)
{
    const char *copy = *text ? arena_copy(g->arena, slice_str(*text)) : NULL;
    bool ok = copy || !*text;
    *text = copy;
    return ok;
}

/* Into the arena of the new configuration. */
static int copy_rows(struct putting *g, const struct conf_rows *rows)
{
    struct conf_row *list = arena_alloc(g->arena, (rows->count + 1) * sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < rows->count; i++) {
        list[i] = rows->list[i];
        ok = copy_text(g, &list[i].pattern) && copy_text(g, &list[i].type) &&
             copy_text(g, &list[i].ttl) && copy_text(g, &list[i].stale_ttl);
    }
    if (!ok)
        return ERR_NOMEM;
    conf_rows_sort(list, rows->count);
    g->conf->rows = (struct conf_rows){.list = list, .count = rows->count};
    g->conf->rows_missing = false;
    return 0;
}

static int put_rows(struct putting *g, const struct conf_rows *rows)
{
    const struct conf *base = g->base;
    size_t most = base->loader_count + rows->count + 1;
    const struct conf_row **sorted = calloc(rows->count + 1, sizeof *sorted);
    g->patterns = calloc(base->loader_count + 1, sizeof *g->patterns);
    g->conf->loaders = arena_alloc(g->arena, most * sizeof *g->conf->loaders);
    int rc = sorted && g->patterns && g->conf->loaders ? copy_rows(g, rows) : ERR_NOMEM;
    if (rc == 0) {
        for (size_t i = 0; i < base->loader_count; i++)
            g->patterns[g->pattern_count++] = base->loaders[i].pattern;
        qsort(g->patterns, g->pattern_count, sizeof *g->patterns, pattern_order);
        put_loaders(g);
        check_twins(g, sorted);
    }
    free(sorted);
    free(g->patterns);
    if (rc != 0)
        return err_set(g->e, rc, "no memory for %zu rows of %s", rows->count,
                       base->registry.table);
    return g->wrong > 0 ? ERR_CONFIG : 0;
}

int conf_with_rows(struct conf *base, const struct conf_rows *rows, struct conf **out,
                   conf_rows_told *told, void *arg, struct err *e)
{
    *out = NULL;
    base = conf_without_rows(base);
    struct putting g = {.base = base, .told = told, .arg = arg, .e = e};
    g.conf = conf_snapshot_upon(base, &g.arena);
    if (!g.conf)
        return err_set(e, ERR_NOMEM, "no memory for a configuration");
    int rc = put_rows(&g, rows);
    if (rc == 0)
        *out = g.conf;
    else
        conf_unref(g.conf);
    return rc;
}
