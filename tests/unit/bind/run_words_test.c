/* What scripts are told of what a query gave them, and of texts, word for word. */
#include "bind/fake.h"

struct words {
    const char *body;
    struct slice answer; /* to its query; empty: there is none */
    const char *text;    /* behind the position */
};

#define ROWS "\x92\x82\xa2id\x01\xa4name\xa1x\x82\xa2id\x02\xa4name\xa1y"
#define ROW  "\x82\xa2id\x01\xa4name\xa1x"

#define OF(bytes)                                                                                  \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }

/* The text of an error behind "FILE.lua:LINE: ", or what was returned. */
static const char *told(const struct ending *end)
{
    static char text[ERR_TEXT_MAX];
    const char *at = strstr(end->err.text, ".lua:");
    if (end->outcome == RUN_FAILED)
        return at && (at = strstr(at, ": ")) ? at + 2 : end->err.text;
    if (end->outcome == RUN_ABSENT)
        return "returned nothing";
    struct mp_token t = bench_token(end);
    snprintf(text, sizeof text, "returned %.*s", t.type == MP_STR ? (int)t.bytes.size : 0,
             t.type == MP_STR ? t.bytes.data : "");
    return text;
}

static void tells(struct bench *b, const struct words *list, size_t count)
{
    static int number;
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct ending end;
        char text[500], file[32];
        snprintf(text, sizeof text, "return { load = function(key, ctx)\n%s\nend }", list[i].body);
        snprintf(file, sizeof file, "w%d.lua", ++number);
        struct run *run = bench_begin(b, bench_script(b, file, text), &end);
        if (run)
            fake_answer(fake_oldest(&b->main), list[i].answer);
        assert_int_equal(end.calls, 1);
        if (strcmp(told(&end), list[i].text) != 0) {
            print_message("%s\n  %s\n", list[i].body, told(&end));
            wrong++;
        }
        ending_fini(&end);
    }
    assert_int_equal(wrong, 0);
}

#define TELLS(b, list) tells(b, list, sizeof(list) / sizeof(list)[0])

static void of_packed_rows(void **state)
{
    static const struct words list[] = {
        {"local r = ctx.db:packed_row('S') r.id = 5", OF(ROW),
         "a packed row cannot be changed: rtcache.unpack makes a table of it"},
        {"local r = ctx.db:packed_row('S') return tostring(#r)", OF(ROW),
         "a packed row has no length: its fields are read by name, as in row.id"},
        {"local r = ctx.db:packed_row('S') return r.name .. tostring(r.nothing)", OF(ROW),
         "returned xnil"},
        {"local r = ctx.db:packed_rows('S') return tostring(r.name)", OF(ROWS),
         "packed rows have no field \"name\": a row of them has, as in rows[1].name"},
        {"local r = ctx.db:packed_rows('S') r[1] = 5", OF(ROWS),
         "a packed row cannot be changed: rtcache.unpack makes a table of it"},
        {"local r = ctx.db:packed_rows('S') return #r .. r[2].name .. tostring(r[3])", OF(ROWS),
         "returned 2ynil"},
        {"local r = ctx.db:packed_rows('S') return tostring(r[0]) .. tostring(r[1.5])", OF(ROWS),
         "returned nilnil"},
        {"local r = ctx.db:packed_row('S') return rtcache.unpack(r).name", OF(ROW), "returned x"},
        {"local r = ctx.db:packed_rows('S') return rtcache.unpack(r)[2].name", OF(ROWS),
         "returned y"},
        {"return rtcache.unpack({})",
         {"", 0},
         "rtcache.unpack takes what db:packed_row or db:packed_rows returned, not a table"},
        {"local r = ctx.db:packed_row('S') return tostring(getmetatable(r))", OF(ROW),
         "returned nil"},
        {"local r = ctx.db:packed_rows('S') return tostring(pcall(rawset, r, 1, 2))", OF(ROWS),
         "returned false"},
    };
    TELLS(*state, list);
}

static void of_values_that_have_no_form(void **state)
{
    static const struct words list[] = {
        {"return ctx.db:value('S')", OF("\xd4\x05x"),
         "an extension type (5) cannot be shown to a script"},
        {"return ctx.db:value('S')", OF("\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01"),
         "a map whose key is not a number (NaN) cannot be shown to a script"},
        {"return ctx.db:value('S')", OF("\x81\xc0\x01"),
         "value[userdata]: this key is neither a string nor in a sequence 1..n (rtcache.map takes "
         "numbers and booleans as keys)"},
        {"return ctx.db:value('S')", OF("\x92\x01"), "malformed bytes: an array of 2"},
        {"return ctx.db:value('S')", OF("\x01\x02"), "malformed bytes after a value"},
        {"return ctx.db:value('S')", OF("\xc1"), "malformed bytes where a value should be"},
        {"return ctx.db:value('S')",
         OF("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"),
         "malformed bytes: nested deeper than 16"},
        {"return ctx.db:packed_row('S').id", OF("\x05"), "malformed bytes where a row should be"},
        {"return ctx.db:packed_rows('S')[1]", OF("\x05"), "malformed bytes where rows should be"},
        {"return tostring(ctx.db:packed_rows('S')[1])", OF("\x91\x05"),
         "malformed bytes where a row should be"},
    };
    TELLS(*state, list);
}

static void of_patterns_and_texts(void **state)
{
    static const struct words list[] = {
        {"return ('x'):find('(')", {"", 0}, "unfinished capture"},
        {"return ('x'):find('%')", {"", 0}, "malformed pattern (ends with '%')"},
        {"return ('x'):find('[a')", {"", 0}, "malformed pattern (missing ']')"},
        {"return ('x'):find('%1')", {"", 0}, "invalid capture index"},
        {"return ('x'):find('%b')", {"", 0}, "malformed pattern (missing arguments to '%b')"},
        {"return ('x'):find('%f')", {"", 0}, "malformed pattern (missing '[' after '%f')"},
        {"return ('x'):find(')')", {"", 0}, "returned nothing"},
        {"return (('x'):gsub('x', '%2'))", {"", 0}, "invalid capture index in the replacement"},
        {"return (('x'):gsub('x', function() return {} end))",
         {"", 0},
         "invalid replacement value (a table)"},
        {"return (('x'):gsub('x', true))",
         {"", 0},
         "string.gsub replaces by a string, a table or a function, not a boolean"},
        {"return (('x'):gsub('x', { x = print }))",
         {"", 0},
         "invalid replacement value (a function)"},
        {"return ('x'):find(('('):rep(33) .. 'x' .. (')'):rep(33))", {"", 0}, "too many captures"},
        {"return ('x'):match(('('):rep(32) .. 'x' .. (')'):rep(32))",
         {"", 0},
         "a third result, a string: there are two, and the second is a table of options"},
        {"return ('x'):rep(1e9)",
         {"", 0},
         "not enough memory: one load may use 32768 KiB, all scripts 65536 KiB"},
        {"return require 'nothing.there'",
         {"", 0},
         "require \"nothing.there\": there is no nothing/there.lua in scripts or lua"},
    };
    TELLS(*state, list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_packed_rows),
        CASE(of_values_that_have_no_form),
        CASE(of_patterns_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
