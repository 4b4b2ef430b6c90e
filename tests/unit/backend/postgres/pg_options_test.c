/* What a backend of PostgreSQL may be configured with, and what names its source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_options.h"
#include "conf/refused.h"

#include <string.h>

#define BACKEND(more) "backends = { a = { driver = \"postgres\", url = \"host=x\",\n " more " } }\n"

#define N16 "nnnnnnnnnnnnnnnn"

static void a_log_has_a_name_and_a_channel(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {BACKEND("feed_log = \"t\""),
         "\"feed_log\" needs \"feed\" beside it: the channel that the log's rows name, \"rtcache\" "
         "where watch-sql was told of no other"},
        {BACKEND("feed = \"c\", feed_log = \"" N16 N16 N16 "n\""),
         "\"feed_log\": the name of a log has at most 48 bytes"},
        {BACKEND("feed = \"c\", feed_log = \"s." N16 N16 N16 "n\""),
         "\"feed_log\": the name of a log has at most 48 bytes"},
        {BACKEND("feed_poll = \"1s\""), "\"feed_poll\" is for a feed that has a \"feed_log\""},
        {BACKEND("feed_poll_idle = \"1s\""),
         "\"feed_poll_idle\" is for a feed that has a \"feed_log\""},
        {BACKEND("log_keep = \"1h\""), "\"log_keep\" is for a feed that has a \"feed_log\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_says(cases[i].text, 2, cases[i].says);
}

static void what_names_its_source_is_told_without_its_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *url, *name;
    } cases[] = {
        {"postgresql://ann:secret@db:6432/shop?options=-csearch_path%3Dx&sslmode=require",
         "host=db\nport=6432\nuser=ann\ndbname=shop\noptions=-csearch_path=x\n"},
        {"hostaddr=10.0.0.1 password=secret connect_timeout=5", "hostaddr=10.0.0.1\n"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pg_conf own = {.url = cases[i].url};
        const struct conf_backend b = {.own = &own};
        struct buf out;
        char line[60], *at;
        size_t size = 0;
        buf_init(&out, 0);
        assert_int_equal(pg_options_name_source(&b, &out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        char want[300];
        snprintf(want, sizeof want, "%s", cases[i].name);
        for (char *rest = want; (at = strsep(&rest, "\n")) && *at;) { /* in libpq's order */
            snprintf(line, sizeof line, "%s\n", at);
            if (!strstr(out.data, line))
                fail_msg("%s is not in %s", line, out.data);
            size += strlen(line);
        }
        assert_int_equal(out.size, size + 1); /* and nothing else */
        buf_fini(&out);
    }
    const struct pg_conf own = {.url = "host=abcdef user=ann"};
    const struct conf_backend b = {.own = &own};
    for (size_t max = 1; max < 20; max++) {
        struct buf out;
        buf_init(&out, max);
        assert_int_equal(pg_options_name_source(&b, &out), ERR_TOO_LARGE);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_has_a_name_and_a_channel),
        cmocka_unit_test(what_names_its_source_is_told_without_its_secrets),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
