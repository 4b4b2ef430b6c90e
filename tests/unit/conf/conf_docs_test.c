/* docs/configuration.md against the table of options. RTCACHE_WRITE_DOCS=1 writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

#define DOCS  "docs/configuration.md"
#define BEGIN "<!-- options:begin -->\n"
#define END   "<!-- options:end -->\n"

static void read_docs(struct buf *b)
{
    FILE *f = fopen(DOCS, "r");
    if (!f)
        fail_msg("run this test from the root of the sources: there is no " DOCS);
    size_t n;
    do {
        char *room = buf_room(b, 4096);
        assert_non_null(room);
        n = fread(room, 1, 4096, f);
        b->size += n;
    } while (n > 0);
    fclose(f);
    assert_int_equal(buf_append(b, "", 1), 0);
}

static void write_docs(const char *text, const char *begin, const char *end, struct slice table)
{
    FILE *f = fopen(DOCS, "w");
    assert_non_null(f);
    fwrite(text, 1, (size_t)(begin - text), f);
    fwrite(table.data, 1, table.size, f);
    fputs(end, f);
    assert_int_equal(fclose(f), 0);
}

static void the_documented_options_are_those_of_the_table(void **state)
{
    (void)state;
    struct buf docs, table;
    buf_init(&docs, 0);
    buf_init(&table, 0);
    read_docs(&docs);
    assert_int_equal(conf_write_docs(&table), 0);
    const char *begin = strstr(docs.data, BEGIN), *end = strstr(docs.data, END);
    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(BEGIN);
    bool same = slice_eq(slice_of(begin, (size_t)(end - begin)), buf_slice(&table));
    if (!same && getenv("RTCACHE_WRITE_DOCS"))
        write_docs(docs.data, begin, end, buf_slice(&table));
    else if (!same)
        fail_msg(DOCS " differs from core/conf/options.c; run this test with "
                      "RTCACHE_WRITE_DOCS=1 to write it anew");
    buf_fini(&docs);
    buf_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_options_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
