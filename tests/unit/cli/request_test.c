/* Every command, as docs/cli.md has it: the requests that it becomes, how many words it takes, and
 * which options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json_out.h"
#include "cli/request.h"
#include "wire/mp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

/* One command line, read; finished with line_fini. */
struct line {
    char text[256];
    char *argv[WORDS_MAX];
    struct args args;
    int rc; /* of reading it and of looking at it */
    const struct command *command;
    struct err err;
};

static void line_read(struct line *l, const char *text)
{
    int argc = 1;
    memset(l, 0, sizeof *l);
    assert_true(strlen(text) < sizeof l->text);
    strcpy(l->text, text);
    static char program[] = "rtcache";
    l->argv[0] = program;
    for (char *save, *word = strtok_r(l->text, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        assert_true(argc < WORDS_MAX - 1);
        l->argv[argc++] = word;
    }
    l->rc = args_parse(&l->args, argc, l->argv, &l->err);
    if (l->rc != 0)
        return;
    l->command = command_find(l->args.words[0]);
    assert_non_null(l->command);
    l->rc = command_check(l->command, &l->args, &l->err);
}

static void line_fini(struct line *l)
{
    args_fini(&l->args);
}

/* The requests as JSON, a space between them. */
static char *shown(struct slice requests)
{
    struct mp_reader r = mp_reader_of(requests);
    struct slice one;
    struct buf out;
    buf_init(&out, 0);
    while (r.at < r.end) {
        assert_int_equal(mp_take(&r, &one), MP_OK);
        if (out.size > 0)
            assert_int_equal(buf_append(&out, " ", 1), 0);
        assert_int_equal(json_out_value(&out, one, JSON_OUT_COMPACT), 0);
    }
    assert_int_equal(buf_append(&out, "", 1), 0);
    return out.data;
}

static void assert_sends(const char *text, const char *input, const char *want)
{
    struct line l;
    struct buf out;
    size_t count = 0;
    buf_init(&out, 0);
    line_read(&l, text);
    if (l.rc != 0)
        fail_msg("%s: %s", text, l.err.text);
    FILE *in = fmemopen((void *)(uintptr_t)input, strlen(input), "r");
    assert_non_null(in);
    if (request_pack(&out, l.command, &l.args, in, &count, &l.err) != 0)
        fail_msg("%s: %s", text, l.err.text);
    char *got = shown(buf_slice(&out));
    if (strcmp(got, want) != 0)
        fail_msg("rtcache %s\nsends:    %s\nexpected: %s", text, got, want);
    free(got);
    fclose(in);
    buf_fini(&out);
    line_fini(&l);
}

static void assert_refused(const char *text, const char *why)
{
    struct line l;
    struct buf out;
    size_t count;
    buf_init(&out, 0);
    line_read(&l, text);
    int rc = l.rc;
    if (rc == 0)
        rc = request_pack(&out, l.command, &l.args, stdin, &count, &l.err);
    if (rc != ERR_BAD_REQUEST || !strstr(l.err.text, why))
        fail_msg("rtcache %s: %s", text, rc == 0 ? "is not refused" : l.err.text);
    buf_fini(&out);
    line_fini(&l);
}

static void every_command_becomes_its_requests(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"get k", "[0,1,\"get\",[\"k\"]]"},
        {"get a b", "[0,1,\"get_many\",[[\"a\",\"b\"]]]"},
        {"get k --timeout 2s --stale-wait 5ms",
         "[0,1,\"get\",[\"k\",{\"timeout_ms\":2000,\"stale_wait_ms\":5}]]"},
        {"get a b --stale-wait 5ms", "[0,1,\"get_many\",[[\"a\",\"b\"],{\"stale_wait_ms\":5}]]"},
        {"get k --min-version 7", "[0,1,\"get\",[\"k\",{\"min_version\":7}]]"},
        {"get k --partial", "[0,1,\"get_many\",[[\"k\"],{\"partial\":true}]]"},
        {"get a b --partial --min-version 7",
         "[0,1,\"get_many\",[[\"a\",\"b\"],{\"min_version\":7,\"partial\":true}]]"},
        {"entry k --min-version -7", "[0,1,\"get_entry\",[\"k\",{\"min_version\":-7}]]"},
        {"entry k", "[0,1,\"get_entry\",[\"k\"]]"},
        {"peek k", "[0,1,\"peek\",[\"k\"]]"},
        {"set k [1]", "[0,1,\"set\",[\"k\",[1]]]"},
        {"set k 1 --ttl 1s --stale-ttl 2s --value-version 3",
         "[0,1,\"set\",[\"k\",1,{\"ttl_ms\":1000,\"stale_ttl_ms\":2000,\"version\":3}]]"},
        {"set k 1 --tag a --tag=b", "[0,1,\"set\",[\"k\",1,{\"tags\":[\"a\",\"b\"]}]]"},
        {"set k 1 --no-tags --ttl 1s", "[0,1,\"set\",[\"k\",1,{\"ttl_ms\":1000,\"tags\":[]}]]"},
        {"set k - --raw", "[0,1,\"set\",[\"k\",\"from the pipe\"]]"},
        {"invalidate a", "[0,1,\"invalidate\",[\"a\"]]"},
        {"invalidate a b --value-version 3", "[0,1,\"invalidate\",[\"a\",{\"version\":3}]] "
                                             "[0,2,\"invalidate\",[\"b\",{\"version\":3}]]"},
        {"invalidate a --deleted --value-version 3",
         "[0,1,\"invalidate\",[\"a\",{\"version\":3,\"deleted\":true}]]"},
        {"put k 1 --timeout 2s", "[0,1,\"put\",[\"k\",1,{\"timeout_ms\":2000}]]"},
        {"delete k --timeout 2s", "[0,1,\"delete\",[\"k\",{\"timeout_ms\":2000}]]"},
        {"put k 1 --value-version 3", "[0,1,\"put\",[\"k\",1,{\"version\":3}]]"},
        {"put --raw k 1", "[0,1,\"put\",[\"k\",\"1\"]]"},
        {"delete k --value-version 3", "[0,1,\"delete\",[\"k\",{\"version\":3}]]"},
        {"invalidate-tag a b", "[0,1,\"invalidate_tag\",[\"a\"]] [0,2,\"invalidate_tag\",[\"b\"]]"},
        {"invalidate-match a*", "[0,1,\"invalidate_match\",[\"a*\"]]"},
        {"expire-tag a", "[0,1,\"expire_tag\",[\"a\"]]"},
        {"expire-match a* b*", "[0,1,\"expire_match\",[\"a*\"]] [0,2,\"expire_match\",[\"b*\"]]"},
        {"expire a", "[0,1,\"expire\",[\"a\"]]"},
        {"refresh k", "[0,1,\"refresh\",[\"k\"]]"},
        {"refresh k --background --timeout 1s",
         "[0,1,\"refresh\",[\"k\",{\"timeout_ms\":1000,\"background\":true}]]"},
        {"touch k --ttl 1s --stale-ttl 2s",
         "[0,1,\"touch\",[\"k\",{\"ttl_ms\":1000,\"stale_ttl_ms\":2000}]]"},
        {"refresh a b --min-version 7", "[0,1,\"refresh\",[\"a\",{\"min_version\":7}]] "
                                        "[0,2,\"refresh\",[\"b\",{\"min_version\":7}]]"},
        {"touch a b --ttl 1s", "[0,1,\"touch\",[\"a\",{\"ttl_ms\":1000}]] "
                               "[0,2,\"touch\",[\"b\",{\"ttl_ms\":1000}]]"},
        {"loaders", "[0,1,\"loaders\",[]]"},
        {"stats", "[0,1,\"stats\",[]]"},
        {"stats store", "[0,1,\"stats\",[]]"},
        {"snapshot", "[0,1,\"snapshot\",[]]"},
        {"snapshot --keys", "[0,1,\"snapshot\",[]]"},
        {"reload", "[0,1,\"reload\",[]]"},
        {"lift-floors key k", "[0,1,\"lift_floors\",[{\"key\":\"k\"}]]"},
        {"lift-floors match k*", "[0,1,\"lift_floors\",[{\"match\":\"k*\"}]]"},
        {"lift-floors all", "[0,1,\"lift_floors\",[{\"all\":true}]]"},
        {"ping", "[0,1,\"ping\",[]]"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_sends(lines[i][0], "from the pipe", lines[i][1]);
}

/* What docs/cli.md says of each command: words, least and most (0: any number), and options. */
static const struct rule {
    const char *name;
    int least, most;
    const char *options;
} rules[] = {
    {"get", 1, 0, "raw stale-wait min-version partial"},
    {"entry", 1, 1, "stale-wait min-version"},
    {"peek", 1, 1, ""},
    {"set", 2, 2, "raw ttl stale-ttl value-version tag no-tags"},
    {"invalidate", 1, 0, "value-version deleted"},
    {"put", 2, 2, "raw value-version"},
    {"delete", 1, 1, "value-version"},
    {"invalidate-tag", 1, 0, ""},
    {"invalidate-match", 1, 0, ""},
    {"expire-tag", 1, 0, ""},
    {"expire-match", 1, 0, ""},
    {"expire", 1, 0, ""},
    {"refresh", 1, 0, "background min-version"},
    {"touch", 1, 0, "ttl stale-ttl"},
    {"passwd", 0, 0, "file"},
    {"loaders", 0, 0, ""},
    {"stats", 0, 1, ""},
    {"snapshot", 0, 0, "keys"},
    {"reload", 0, 0, ""},
    {"lift-floors", 1, 2, ""},
    {"ping", 0, 0, ""},
};

/* Those without a server of their own to ask take none of these. */
static const char *const of_all[] = {
    "tls",       "ca=f",       "cert=f", "key=f",  "user=u", "password-file=f",
    "server=:1", "timeout=1s", "json",   "pretty",
};
static const char *const of_some[] = {
    "raw",  "stale-wait=1s", "ttl=1s",  "stale-ttl=1s", "value-version=1", "background", "file=f",
    "keys", "min-version=1", "partial", "deleted",      "tag=t",           "no-tags",
};

static bool takes_any_number(const struct rule *r)
{
    return r->least > 0 && r->most == 0;
}

static void words_of(char *text, const struct rule *r, int count)
{
    strcpy(text, r->name);
    for (int i = 0; i < count; i++)
        strcat(text, " 7");
}

static void every_command_takes_its_words_and_no_other_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];
        for (int count = 0; count <= 4; count++) {
            bool good = count >= r->least && (count <= r->most || takes_any_number(r));
            char text[128];
            struct line l;
            words_of(text, r, count);
            line_read(&l, text);
            if ((l.rc == 0) != good)
                fail_msg("%s is %s", text, good ? l.err.text : "not refused");
            line_fini(&l);
        }
    }
}

/* Whether word, up to its "=", is one of those in list. */
static bool is_among(const char *word, const char *list)
{
    size_t size = strcspn(word, "=");
    for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == size && strncmp(at, word, size) == 0)
            return true;
    return false;
}

static void check_option(const struct rule *r, const char *option, bool good)
{
    char text[128];
    struct line l;
    words_of(text, r, r->least);
    strcat(text, " --");
    strcat(text, option);
    line_read(&l, text);
    if ((l.rc == 0) != good)
        fail_msg("%s is %s", text, good ? l.err.text : "not refused");
    line_fini(&l);
}

static void every_command_takes_its_options_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        bool asks = strcmp(rules[i].name, "passwd") != 0;
        for (size_t k = 0; k < sizeof of_all / sizeof *of_all; k++)
            check_option(&rules[i], of_all[k], asks);
        for (size_t k = 0; k < sizeof of_some / sizeof *of_some; k++)
            check_option(&rules[i], of_some[k], is_among(of_some[k], rules[i].options));
    }
}

static void tags_and_none_do_not_go_together(void **state)
{
    (void)state;
    assert_refused("set k 1 --tag a --no-tags", "--tag and --no-tags do not go together");
}

static void floors_are_lifted_of_what_is_named_and_of_nothing_else(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "lift-floors key",   "lift-floors match", "lift-floors all k",
        "lift-floors tag k", "lift-floors k",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_refused(lines[i], "lift-floors takes key KEY, match PATTERN, or all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_becomes_its_requests),
        cmocka_unit_test(every_command_takes_its_words_and_no_other_number),
        cmocka_unit_test(every_command_takes_its_options_and_no_other),
        cmocka_unit_test(tags_and_none_do_not_go_together),
        cmocka_unit_test(floors_are_lifted_of_what_is_named_and_of_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
