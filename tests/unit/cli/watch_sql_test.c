#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/watch_words.h"

#include <stdio.h>
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
    assert_int_equal(watch_words_parse(&w, argc, argv, &e), 0);
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
    int rc = watch_words_parse(&w, argc, argv, &e);
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
    const char *const texts[] = {"ON \"shop\".\"Us\"\"ers\"",
                                 "to_regclass('\"shop\".\"Us\"\"ers\"')",
                                 "FUNCTION \"shop\".\"rtcache_watch_Us\"\"ers_",
                                 "SEQUENCE \"shop\".\"rtcache_missed\"",
                                 "'it''s:' || NEW.\"a\"\"b\"::text",
                                 "r.\"v\"\"1\"::bigint",
                                 "ARRAY['a\"b', 'v\"1']::text[]",
                                 "pg_notify('it''s', e)",
                                 "'it''s:*'::text",
                                 "--key 'it'\\''s:{a\"b}' --version 'v\"1' --channel 'it'\\''s'",
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
        "E'\\\\{a\\\\*}\\\\\\\\**'::text", "E'{a*}\\\\' || NEW.\"x\"::text || NEW.\"y\"::text",
        "ARRAY['t:' || OLD.\"y\"::text, 'u:' || OLD.\"x\"::text]::text[]",
        "array_agg('t:' || r.\"y\"::text) || array_agg('u:' || r.\"x\"::text)", NULL};
    writes(argv, texts);
}

/* What is called by what a watch is; the text that follows is copied. */
static void called(char *out, size_t size, const char *before, char **argv)
{
    struct watch_sql w;
    struct buf sql;
    struct err e;
    int argc = 0;
    while (argv[argc])
        argc++;
    buf_init(&sql, 0);
    assert_int_equal(watch_words_parse(&w, argc, argv, &e), 0);
    assert_int_equal(watch_sql_write(&sql, &w, &e), 0);
    assert_int_equal(buf_append(&sql, "", 1), 0);
    const char *at = strstr(sql.data, before);
    assert_non_null(at);
    at += strlen(before);
    assert_null(memchr(sql.data, '@', sql.size)); /* nothing is left to be filled */
    snprintf(out, size, "%.*s", (int)strcspn(at, " ("), at);
    buf_fini(&sql);
}

#define WATCH(...) ((char *[]){(char *)"watch-sql", __VA_ARGS__, NULL})
#define W(word)    ((char *)(word))

/* Of several columns and tags each has its place, once. */
static void columns_and_tags_stand_in_their_order(void **state)
{
    (void)state;
    const char *const texts[] = {"ARRAY['a', 'b', 'c', 'a', 'd']::text[]",
                                 "OLD.\"a\"::text || ':' || OLD.\"b\"::text",
                                 "NEW.\"a\"::text || ':' || NEW.\"b\"::text",
                                 "ARRAY[NEW.\"c\"::text, NEW.\"a\"::text || NEW.\"d\"::text]",
                                 "NULL::bigint",
                                 "rtcache.conf listens with: feed = \"ch\"\n",
                                 "json_build_object('m', '*:*'::text)::text, '{\"t\":\"*\"}'",
                                 " --tag '{c}' --tag '{a}{d}' --channel 'ch'",
                                 NULL};
    writes(WATCH(W("t"), W("--key"), W("{a}:{b}"), W("--tag"), W("{c}"), W("--tag={a}{d}"),
                 W("--channel"), W("ch")),
           texts);
    writes(WATCH(W("-t"), W("--key"), W("{a}")), (const char *const[]){"ON \"-t\"", NULL});
    writes(WATCH(W("t"), W("--key"), W("{a}")),
           (const char *const[]){"ARRAY['a']::text[]", "NULL::text[]",
                                 "json_build_object('m', '*'::text)::text]", NULL});
}

/* What an older rtcache has installed is found, and dropped, by a newer one. */
static void a_watch_is_called_what_it_was_called_before(void **state)
{
    (void)state;
    char name[100];
    called(name, sizeof name, "CREATE TRIGGER ", WATCH(W("t"), W("--key"), W("a:{x}")));
    assert_string_equal(name, "rtcache_d9a086909a9a4520_row"); /* FNV-1a of both, with their NULs */
}

static void a_channel_has_63_bytes_at_most(void **state)
{
    (void)state;
    char channel[65] = "";
    memset(channel, 'c', 64);
    REFUSES("a channel has 1 to 63 bytes", "a", "--key", "{a}", "--channel", channel);
    channel[63] = '\0';
    writes(WATCH(W("a"), W("--key"), W("{a}"), W("--channel"), channel),
           (const char *const[]){channel, NULL});
}

static void as_many_tags_are_taken_as_there_may_be(void **state)
{
    (void)state;
    char *argv[2 * WATCH_SQL_TAGS + 8] = {W("watch-sql"), W("t"), W("--key"), W("{a}")};
    int argc = 4;
    struct watch_sql w;
    struct err e;
    for (int i = 0; i < WATCH_SQL_TAGS; i++) {
        argv[argc++] = W("--tag");
        argv[argc++] = W("{b}");
    }
    assert_int_equal(watch_words_parse(&w, argc, argv, &e), 0);
    assert_int_equal(w.tag_count, WATCH_SQL_TAGS);
    argv[argc++] = W("--tag");
    argv[argc++] = W("{b}");
    assert_int_equal(watch_words_parse(&w, argc, argv, &e), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "watch-sql takes --key, --version, --tag (up to 16), --channel, "
                                "--log, --drop and --list, not --tag");
}

static void each_key_has_names_of_its_own_that_fit(void **state)
{
    (void)state;
    char a[100], b[100], longer[64];
    const char *trigger = "CREATE TRIGGER ", *function = "FUNCTION ";
    called(a, sizeof a, trigger, WATCH(W("t"), W("--key"), W("a:{x}")));
    called(b, sizeof b, trigger, WATCH(W("s.t"), W("--key"), W("a:{x}"), W("--version"), W("v")));
    assert_string_equal(a, b); /* with other options it is the same watch */
    called(b, sizeof b, trigger, WATCH(W("t"), W("--key"), W("b:{x}")));
    assert_string_not_equal(a, b);
    called(b, sizeof b, trigger, WATCH(W("t"), W("--key"), W("a:{x}"), W("--channel"), W("c")));
    assert_string_not_equal(a, b);
    memset(longer, 'n', 63);
    longer[63] = '\0';
    called(a, sizeof a, function, WATCH(W(longer), W("--key"), W("a:{x}")));
    longer[62] = 'm';
    called(b, sizeof b, function, WATCH(W(longer), W("--key"), W("a:{x}")));
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 63 + 2);
    memcpy(longer + 30, "\xe6\xbc\xa2", 3); /* is cut before it, not within */
    called(b, sizeof b, function, WATCH(W(longer), W("--key"), W("a:{x}")));
    assert_int_equal(strlen(b), 63 + 2 - 2);
}

static void a_watch_is_removed_as_it_was_installed(void **state)
{
    (void)state;
    const char *const one[] = {"starts_with(t.tgname, 'rtcache_", "to_regclass('\"t\"')",
                               "--key 'a:{x}' --channel 'rtcache' --drop", NULL};
    writes(WATCH(W("t"), W("--key"), W("a:{x}"), W("--drop")), one);
    const char *const all[] = {"starts_with(t.tgname, 'rtcache_')", NULL};
    writes(WATCH(W("--drop"), W("t")), all);
    const char *const list[] = {"SELECT t.tgrelid::regclass", NULL};
    writes(WATCH(W("--list")), list);
}

static void a_log_is_named_or_called_as_ever(void **state)
{
    (void)state;
    char a[100], b[100];
    const char *trigger = "CREATE TRIGGER rtcache_", *const table = "CREATE TABLE ";
    called(a, sizeof a, trigger, WATCH(W("t"), W("--key"), W("a:{x}")));
    called(b, sizeof b, trigger, WATCH(W("t"), W("--key"), W("a:{x}"), W("--log")));
    assert_string_equal(b, "changed"); /* the log's own comes first */
    called(b, sizeof b, table, WATCH(W("t"), W("--key"), W("a:{x}"), W("--log")));
    assert_string_equal(b, "\"rtcache_log\"");
    called(b, sizeof b, table, WATCH(W("t"), W("--log"), W("--key"), W("a:{x}")));
    assert_string_equal(b, "\"rtcache_log\"");
    called(b, sizeof b, table, WATCH(W("t"), W("--key"), W("a:{x}"), W("--log"), W("S.\"Log\"")));
    assert_string_equal(b, "\"s\".\"Log\"");
    called(b, sizeof b, table, WATCH(W("t"), W("--key"), W("a:{x}"), W("--log=mine")));
    assert_string_equal(b, "\"mine\"");
    const char *const names[] = {"\"s\".\"Log_meta\" (one",
                                 "\"s\".\"Log_purge\"(keep interval, most",
                                 "\"s\".\"Log_changed\"() RETURNS",
                                 "feed_log = \"s.\"Log\"\"",
                                 "--channel 'rtcache' --log 's.\"Log\"'",
                                 NULL};
    writes(WATCH(W("t"), W("--key"), W("a:{x}"), W("--log"), W("s.\"Log\"")), names);
    /* A watch that notifies and one that logs are two, and each has none of the other's. */
    const char *const marks[] = {"pg_notify(", "INSERT INTO \"rtcache: the log\""};
    for (int log = 0; log < 2; log++) {
        struct watch_sql w = {
            .table = "t", .key = "a:{x}", .channel = "c", .log = log ? "l" : NULL};
        struct buf sql;
        struct err e;
        buf_init(&sql, 0);
        assert_int_equal(watch_sql_write(&sql, &w, &e), 0);
        assert_int_equal(buf_append(&sql, "", 1), 0);
        assert_non_null(strstr(sql.data, marks[log]));
        assert_null(strstr(sql.data, marks[1 - log]));
        buf_fini(&sql);
    }
    called(b, sizeof b, "starts_with(t.tgname, 'rtcache_",
           WATCH(W("t"), W("--key"), W("a:{x}"), W("--drop"), W("--log")));
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(b), 18); /* 16 digits, and the end of the text */
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
    REFUSES("name of a log has at most 48 bytes", "a", "--key", "{a}", "--log",
            "l123456789l123456789l123456789l123456789l12345678");
    REFUSES("no table's name", "a", "--key", "{a}", "--log=");
    REFUSES("--log stands twice", "a", "--key", "{a}", "--log", "--log");
    REFUSES("--list stands alone", "--list", "--log");
    REFUSES("--log with --drop needs the --key", "a", "--drop", "--log");
    REFUSES("channel has 1 to 63", "a", "--key", "{a}", "--channel", "");
    REFUSES("$rtcache", "a", "--key", "$rtcache${a}");
    REFUSES("line end", "a", "--key", "x\n{a}");
    REFUSES("--key stands twice", "a", "--key", "{a}", "--key", "{b}");
    REFUSES("--version stands twice", "a", "--key", "{a}", "--version", "v", "--version", "v");
    REFUSES("--list stands alone", "a", "--list");
    REFUSES("--list stands alone", "--list", "--version", "v");
    REFUSES("--list stands alone", "--list", "--tag", "{a}");
    REFUSES("--list stands alone", "--list", "--channel", "c");
    REFUSES("--list stands alone", "--list", "--key", "{a}");
    REFUSES("line end", "a", "--key", "{a}", "--version", "x\ry");
    REFUSES("line end", "a\nb", "--key", "{a}");
    REFUSES("TABLE --drop", "--drop");
    REFUSES("needs the --key", "a", "--drop", "--channel", "c");
    REFUSES("line end", "a", "--key", "{a}", "--channel", "x\ny");
}

/* Quoted or not, of the table or of its schema: as many bytes as PostgreSQL keeps. */
static void a_name_has_63_bytes_at_most(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        int size; /* of what stands between, at most */
    } forms[] = {
        {"", "", 63}, {"s.", "", 63}, {"", ".t", 63}, {"\"", "\"", 63}, {"\"a\"\"", "\"", 61}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        for (int over = 0; over < 2; over++) {
            char name[80] = {0}, table[100];
            memset(name, 'n', (size_t)(forms[i].size + over));
            snprintf(table, sizeof table, "%s%s%s", forms[i].before, name, forms[i].after);
            if (over)
                REFUSES("has more than 63 bytes", table, "--key", "{a}");
            else
                writes(WATCH(table, W("--key"), W("{a}")), (const char *const[]){name, NULL});
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(what_stands_in_a_pattern_for_itself_is_escaped),
        cmocka_unit_test(columns_and_tags_stand_in_their_order),
        cmocka_unit_test(a_watch_is_called_what_it_was_called_before),
        cmocka_unit_test(a_channel_has_63_bytes_at_most),
        cmocka_unit_test(as_many_tags_are_taken_as_there_may_be),
        cmocka_unit_test(each_key_has_names_of_its_own_that_fit),
        cmocka_unit_test(a_watch_is_removed_as_it_was_installed),
        cmocka_unit_test(a_log_is_named_or_called_as_ever),
        cmocka_unit_test(wrong_words_are_refused_with_the_reason),
        cmocka_unit_test(a_name_has_63_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
