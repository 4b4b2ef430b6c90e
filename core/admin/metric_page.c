#include "admin/metric_page.h"

#include "admin/metric_own.h"
#include "admin/metric_rows.h"
#include "admin/metric_text.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH 6

/* A report's numbers on their way to their families. */
struct gather {
    struct report_sink sink;
    struct metric_text *texts; /* [metric_rows_count], each with a buf of its own */
    struct buf *bufs;
    const char *open[DEPTH];
    unsigned depth;
    const char *loader; /* the name of a list's next member */
    int rc;
};

/* ---- which row ---- */

/* What a name below this one is the label of. */
static const char *word_of(const char *group)
{
    static const char *const words[][2] = {
        {"backends", "backend"}, {"feeds", "backend"},      {"loaders", "loader"},
        {"failures", "code"},    {"client_memory", "kind"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], group) == 0)
            return words[i][1];
    return NULL;
}

/* Whether the word at *at, up to a point or the end, is a star or this name. */
static bool step(const char **at, const char *name)
{
    size_t size = strcspn(*at, ".");
    bool fits = (size == 1 && **at == '*') || (strlen(name) == size && !memcmp(*at, name, size));
    *at += size;
    *at += **at == '.';
    return fits;
}

static bool fits(const struct metric_row *row, const struct gather *g, const char *name)
{
    const char *at = row->path;
    for (unsigned i = 0; i < g->depth; i++)
        if (*at == '\0' || !step(&at, g->open[i]))
            return false;
    return *at != '\0' && step(&at, name) && *at == '\0';
}

/* The stars of a row, and the label that it has of its own. */
static int make_labels(const struct metric_row *row, const struct gather *g, const char *name,
                       struct buf *labels)
{
    const char *at = row->path;
    int rc = 0;
    for (unsigned i = 0; i <= g->depth && rc == 0; i++) {
        const char *word = i > 0 && *at == '*' ? word_of(g->open[i - 1]) : NULL;
        const char *text = i < g->depth ? g->open[i] : name;
        (void)step(&at, text);
        if (word)
            rc = metric_text_label(labels, word, text);
    }
    if (rc == 0 && row->label)
        rc = buf_printf(labels, "%s%s", labels->size > 0 ? "," : "", row->label);
    if (rc == 0)
        rc = buf_append(labels, "", 1);
    return rc;
}

static void keep(struct gather *g, const char *name, double number, uint64_t count, bool is_count)
{
    for (size_t i = 0; i < metric_rows_count && g->rc == 0; i++) {
        const struct metric_row *row = &metric_rows[i];
        struct buf labels;
        if (!fits(row, g, name))
            continue;
        buf_init(&labels, 0);
        g->rc = make_labels(row, g, name, &labels);
        if (g->rc == 0 && is_count)
            metric_text_count(&g->texts[i], row->name, labels.data, count, row->unit);
        else if (g->rc == 0)
            metric_text_number(&g->texts[i], row->name, labels.data, number / row->unit);
        buf_fini(&labels);
        if (g->rc == 0)
            g->rc = g->texts[i].rc;
        return;
    }
}

/* ---- the sink ---- */

static struct gather *gather_of(struct report_sink *to)
{
    return container_of(to, struct gather, sink);
}

static void on_enter(struct report_sink *to, const char *name)
{
    struct gather *g = gather_of(to);
    g->open[g->depth++] = name ? name : g->loader;
}

static void on_leave(struct report_sink *to)
{
    gather_of(to)->depth--;
}

static void on_count(struct report_sink *to, const char *name, uint64_t value)
{
    keep(gather_of(to), name, 0, value, true);
}

static void on_number(struct report_sink *to, const char *name, int64_t value)
{
    keep(gather_of(to), name, (double)value, 0, false);
}

static void on_ratio(struct report_sink *to, const char *name, double value)
{
    keep(gather_of(to), name, value, 0, false);
}

static void on_flag(struct report_sink *to, const char *name, bool value)
{
    keep(gather_of(to), name, 0, value, true);
}

/* Of the texts, what a breaker does is a number. */
static void on_text(struct report_sink *to, const char *name, const char *value)
{
    if (value && strcmp(name, "breaker") == 0)
        keep(gather_of(to), name, 0, strcmp(value, "closed") != 0, true);
}

/* ---- the page ---- */

static int gather_begin(struct gather *g, bool openmetrics)
{
    *g = (struct gather){
        .sink = {on_enter, on_leave, on_count, on_number, on_ratio, on_flag, on_text}};
    g->texts = calloc(metric_rows_count, sizeof *g->texts);
    g->bufs = calloc(metric_rows_count, sizeof *g->bufs);
    if (!g->texts || !g->bufs)
        return ERR_NOMEM;
    for (size_t i = 0; i < metric_rows_count; i++)
        g->texts[i] = (struct metric_text){.out = &g->bufs[i], .openmetrics = openmetrics};
    return 0;
}

static void gather_end(struct gather *g)
{
    for (size_t i = 0; g->bufs && i < metric_rows_count; i++)
        buf_fini(&g->bufs[i]);
    free(g->bufs);
    free(g->texts);
}

static void walk(struct gather *g, const struct report *r)
{
    report_walk(r, &g->sink);
    g->open[g->depth++] = "loaders";
    for (size_t i = 0; i < r->snapshot->conf->loader_count; i++) {
        g->loader = r->snapshot->conf->loaders[i].pattern;
        report_loader(r, i, &g->sink);
    }
    g->depth--;
}

static void write_rows(const struct gather *g, struct metric_text *t)
{
    const char *last = "";
    for (size_t i = 0; i < metric_rows_count; i++) {
        const struct metric_row *row = &metric_rows[i];
        const struct buf *b = &g->bufs[i];
        if (b->size == 0)
            continue;
        if (strcmp(row->name, last) != 0)
            metric_text_family(t, row->name, row->type == METRIC_COUNTER ? "counter" : "gauge",
                               row->help);
        last = row->name;
        if (t->rc == 0)
            t->rc = buf_append(t->out, b->data, b->size);
    }
}

enum metric_format metric_page_format(const char *accept)
{
    return strstr(accept, "application/openmetrics-text") ? METRIC_OPENMETRICS : METRIC_PROMETHEUS;
}

const char *metric_page_type(enum metric_format format)
{
    return format == METRIC_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

int metric_page_write(const struct report *r, bool ready, enum metric_format format,
                      struct buf *out)
{
    struct metric_text t = {.out = out, .openmetrics = format == METRIC_OPENMETRICS};
    struct gather g;
    int rc = gather_begin(&g, t.openmetrics);
    if (rc == 0) {
        walk(&g, r);
        rc = g.rc;
    }
    if (rc == 0) {
        metric_own_write(&t, ready);
        write_rows(&g, &t);
        rc = t.rc;
    }
    gather_end(&g);
    if (rc == 0 && t.openmetrics)
        rc = buf_printf(out, "# EOF\n");
    return rc;
}
