/*
 * refused: configurations that are wrong, and what is said of them. After conf/folder.h.
 */
#ifndef RTCACHE_TESTS_UNIT_CONF_REFUSED_H
#define RTCACHE_TESTS_UNIT_CONF_REFUSED_H

#include "backend/backend.h"
#include "conf/conf.h"
#include "conf/folder.h"

/* The report of a configuration that must be refused, NUL-terminated. */
static inline void refused(struct buf *report, struct err *e)
{
    struct conf *c = (struct conf *)report;
    buf_init(report, 0);
    err_clear(e);
    int rc = conf_load(in_folder("rtcache.conf"), backend_drivers, &c, report, e);
    if (rc != ERR_CONFIG)
        fail_msg("conf_load gave %d, %s", rc, e->text);
    assert_int_equal(e->code, ERR_CONFIG);
    assert_null(c);
    assert_int_equal(buf_append(report, "", 1), 0);
}

static inline void assert_has(const char *report, const char *file, int line, const char *says)
{
    char want[1024];
    snprintf(want, sizeof want, "%s:%d: %s\n", in_folder(file), line, says);
    if (!strstr(report, want))
        fail_msg("the report\n%s\nlacks\n%s", report, want);
}

/* The one problem that the text has. */
static inline void assert_says(const char *text, int line, const char *says)
{
    struct buf report;
    struct err e;
    write_file("rtcache.conf", text);
    refused(&report, &e);
    assert_has(report.data, "rtcache.conf", line, says);
    const char *newline = strchr(report.data, '\n');
    if (newline[1] != '\0')
        fail_msg("more than one problem:\n%s", report.data);
    if (strlen(e.text) != (size_t)(newline - report.data) ||
        strncmp(e.text, report.data, strlen(e.text)) != 0)
        fail_msg("the error is \"%s\", the report \"%s\"", e.text, report.data);
    buf_fini(&report);
}

#endif
