#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/watch_sql.h"

#include <string.h>

/* The SQL for a command line, which has to hold each text; or the error. */
static void writes(char **argv, const char *const *texts)
{
    struct watch_sql w;
    struct buf out;
    struct err e;
    int argc = 0;
    while (argv[argc])
        argc++;
    buf_init(&out, 0);
    assert_int_equal(watch_sql_parse(&w, argc, argv, &e), 0);
    assert_int_equal(watch_sql_write(&out, &w, &e), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (; *texts; texts++) {
        if (!strstr(out.data, *texts))
            print_error("\"%s\" is not in\n%s\n", *texts, out.data);
        assert_non_null(strstr(out.data, *texts));
    }
    buf_fini(&out);
}

static void refuses(const char *const *words, const char *text)
{
    char *argv[12] = {(char *)"watch-sql"};
    int argc = 1;
    struct watch_sql w;
    struct buf out;
    struct err e;
    for (; *words; words++)
        argv[argc++] = (char *)*words;
    buf_init(&out, 0);
    int rc = watch_sql_parse(&w, argc, argv, &e);
    if (rc == 0)
        rc = watch_sql_write(&out, &w, &e);
    assert_int_equal(rc, ERR_BAD_REQUEST);
    if (!strstr(e.text, text))
        print_error("\"%s\" lacks \"%s\"\n", e.text, text);
    assert_non_null(strstr(e.text, text));
    assert_int_equal(out.size, 0);
    buf_fini(&out);
}

#define REFUSES(text, ...) refuses((const char *const[]){__VA_ARGS__, NULL}, text)

static void names_are_quoted(void **state)
{
    (void)state;
    char *argv[] = {(char *)"watch-sql",
                    (char *)"Shop.\"Us\"\"ers\"",
                    (char *)"--key=it's:{a\"b}",
                    (char *)"--version",
                    (char *)"v\"1",
                    (char *)"--channel",
                    (char *)"it's",
                    NULL};
    const char *const texts[] = {"ON \"shop\".\"Us\"\"ers\";",
                                 "\"shop\".\"rtcache_watch_Us\"\"ers\"()",
                                 "'it''s:' || NEW.\"a\"\"b\"::text",
                                 "new_version := NEW.\"v\"\"1\";",
                                 "pg_notify('it''s', payload)",
                                 "'it''s:*'::text",
                                 NULL};
    writes(argv, texts);
}

static void what_stands_in_a_pattern_for_itself_is_escaped(void **state)
{
    (void)state;
    char *argv[] = {(char *)"watch-sql",      (char *)"t",     (char *)"--key",
                    (char *)"{{a*}}\\{x}{y}", (char *)"--tag", (char *)"t:{y}",
                    (char *)"--tag",          (char *)"u:{x}", NULL};
    const char *const texts[] = {
        "'{a\\*}\\\\**'::text", "'{a*}\\' || NEW.\"x\"::text || NEW.\"y\"::text",
        "ARRAY['t:' || OLD.\"y\"::text, 'u:' || OLD.\"x\"::text]::text[]", NULL};
    writes(argv, texts);
}

static void wrong_words_are_refused_with_the_reason(void **state)
{
    (void)state;
    REFUSES("TABLE --key", "users");
    REFUSES("TABLE --key", "--key", "user:{id}");
    REFUSES("no {column}", "users", "--key", "user");
    REFUSES("{ without", "users", "--key", "user:{id");
    REFUSES("{ without", "users", "--key", "user:{}");
    REFUSES("} without", "users", "--key", "user:id}");
    REFUSES("more than 8 columns", "users", "--key", "{a}{b}{c}{d}{e}{f}{g}{h}{i}");
    REFUSES("no table's name", "\"users", "--key", "{a}");
    REFUSES("no table's name", "a..b", "--key", "{a}");
    REFUSES("SCHEMA.NAME", "a.b.c", "--key", "{a}");
    REFUSES("one word too many", "a", "b", "--key", "{a}");
    REFUSES("needs a value", "a", "--key");
    REFUSES("not --nope", "a", "--nope", "x");
    REFUSES("channel has 1 to 63", "a", "--key", "{a}", "--channel", "");
    REFUSES("$rtcache$", "a", "--key", "$rtcache${a}");
    REFUSES("line end", "a", "--key", "{a}", "--channel", "x\ny");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(what_stands_in_a_pattern_for_itself_is_escaped),
        cmocka_unit_test(wrong_words_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
