#include "admin/pages.h"

#include "admin/metric_page.h"
#include "base/clock.h"
#include "net/report_pack.h"
#include "wire/json.h"

#include <string.h>

#define PLAIN "text/plain; charset=utf-8"

static int make_health(const struct admin *a, const char *accept, struct page *p)
{
    (void)a, (void)accept;
    p->type = PLAIN;
    return buf_printf(&p->body, "ok\n");
}

static int make_ready(const struct admin *a, const char *accept, struct page *p)
{
    static const char *const words[] = {
        [ADMIN_STARTING] = "starting", [ADMIN_READY] = "ready", [ADMIN_DRAINING] = "draining"};
    (void)accept;
    p->type = PLAIN;
    p->code = a->state == ADMIN_READY ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    return buf_printf(&p->body, "%s\n", words[a->state]);
}

static struct report report_of(const struct admin *a)
{
    struct report r = a->options.of;
    r.snapshot = a->snapshot;
    r.now_ms = clock_ms();
    return r;
}

static int make_stats(const struct admin *a, const char *accept, struct page *p)
{
    const struct report r = report_of(a);
    struct report_pack pack;
    struct buf packed;
    struct err e;
    (void)accept;
    p->type = "application/json";
    buf_init(&packed, PAGE_MAX);
    report_pack_init(&pack, &packed);
    pack.sink.enter(&pack.sink, NULL);
    report_walk(&r, &pack.sink);
    pack.sink.leave(&pack.sink);
    int rc = pack.rc;
    if (rc == 0)
        rc = json_from_mp(buf_slice(&packed), &p->body, &e);
    buf_fini(&packed);
    return rc;
}

static int make_metrics(const struct admin *a, const char *accept, struct page *p)
{
    const struct report r = report_of(a);
    enum metric_format format = metric_page_format(accept);
    p->type = metric_page_type(format);
    return metric_page_write(&r, a->state == ADMIN_READY, format, &p->body);
}

/* A page is a line here and a function above. */
static const struct page_row rows[] = {
    {"/healthz", true, make_health},
    {"/readyz", true, make_ready},
    {"/metrics", false, make_metrics},
    {"/api/stats", false, make_stats},
};

const struct page_row *page_find(const char *path)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].path, path) == 0)
            return &rows[i];
    return NULL;
}
