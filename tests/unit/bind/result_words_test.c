/* What scripts are told, word for word: it is what their authors read. */
#include "bind/batch.h"

struct words {
    const char *body;
    int code;
    const char *text; /* behind the position */
};

/* The text behind "FILE.lua:LINE: "; the whole one where a script gave another place. */
static const char *behind_position(const struct err *e)
{
    const char *at = strstr(e->text, ".lua:");
    at = at ? strstr(at, ": ") : NULL;
    return at ? at + 2 : e->text;
}

static void tells(struct bench *b, const struct words *list, size_t count)
{
    int wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct ending end;
        bench_eval(b, list[i].body, &end);
        if (end.outcome != RUN_FAILED || end.err.code != list[i].code ||
            strcmp(behind_position(&end.err), list[i].text) != 0) {
            print_message("%s\n  %s %s\n", list[i].body, err_name(end.err.code), end.err.text);
            wrong++;
        }
        ending_fini(&end);
    }
    assert_int_equal(wrong, 0);
}

#define TELLS(b, list) tells(b, list, sizeof(list) / sizeof(list)[0])

static void of_what_the_module_takes(void **state)
{
    static const struct words list[] = {
        {"rtcache.sleep '1'", ERR_SCRIPT, "rtcache.sleep takes seconds, not a string"},
        {"rtcache.sleep(3600.5)", ERR_SCRIPT, "rtcache.sleep takes 0 to 3600 seconds, not 3600.5"},
        {"rtcache.backend(5)", ERR_SCRIPT, "rtcache.backend takes a backend's name, not a number"},
        {"rtcache.backend 'mian'", ERR_SCRIPT, "no backend is called \"mian\"; known: main, other"},
        {"rtcache.backend 'main\\0'", ERR_SCRIPT,
         "no backend is called \"main\"; known: main, other"},
        {"rtcache.array(5)", ERR_SCRIPT, "rtcache.array takes a table, not a number"},
        {"rtcache.map 'x'", ERR_SCRIPT, "rtcache.map takes a table, not a string"},
        {"rtcache.bin {}", ERR_SCRIPT, "rtcache.bin takes a string, not a table"},
        {"rtcache.json.encode(print)", ERR_SCRIPT,
         "rtcache.json.encode: value: a function cannot be packed"},
        {"rtcache.json.encode(0/0)", ERR_SCRIPT, "rtcache.json.encode: nan has no form in JSON"},
        {"rtcache.json.decode {}", ERR_SCRIPT, "rtcache.json.decode takes a string, not a table"},
        {"rtcache.json.decode '['", ERR_SCRIPT,
         "rtcache.json.decode: no JSON at line 1, column 1: ']' expected near end of file"},
        {"rtcache.json.decode((' '):rep(4194305))", ERR_SCRIPT,
         "rtcache.json.decode: a text of 4194305 bytes; at most four times max_value are taken"},
        {"rtcache.json.decode((' '):rep(4194304))", ERR_SCRIPT,
         "rtcache.json.decode: no JSON at line 1, column 4194304: unexpected token near end of "
         "file"},
        {"ctx.deadline_ms()", ERR_SCRIPT,
         "deadline_ms is a method of this load's ctx: call it as ctx:deadline_ms()"},
        {"ctx.deadline_ms({})", ERR_SCRIPT,
         "deadline_ms is a method of this load's ctx: call it as ctx:deadline_ms()"},
        {"ctx:answer({}, 'id')", ERR_SCRIPT,
         "answer is a method of load_many's ctx: call it as ctx:answer(rows, \"id\")"},
        {"rtcache.poison(5)", ERR_SCRIPT,
         "rtcache.poison takes the key that it suspects, or nothing, not a number"},
        {"return rtcache.unpack(5)", ERR_SCRIPT,
         "rtcache.unpack takes what db:packed_row or db:packed_rows returned, not a number"},
    };
    TELLS(*state, list);
}

static void of_backends_and_their_methods(void **state)
{
    static const struct words list[] = {
        {"ctx.db.row('SELECT 1')", ERR_SCRIPT,
         "row is a method of a backend: call it with a colon, as db:row(sql, ...), on one whose "
         "driver is fake"},
        {"ctx.db:row()", ERR_SCRIPT, "db:row: the SQL text is a nil, not a string"},
        {"ctx.db:value(5)", ERR_SCRIPT, "db:value: the SQL text is a number, not a string"},
        {"ctx.db:row({})", ERR_SCRIPT, "db:row: the SQL text is a table, not a string"},
        {"ctx.db:rows('a\\0b')", ERR_SCRIPT, "db:rows: the SQL text has a NUL byte"},
        {"ctx.db:exec('x', 1, print)", ERR_SCRIPT,
         "db:exec: parameter 2: a function cannot be packed"},
        {"ctx.db:rowz('x')", ERR_SCRIPT,
         "the backend \"main\" has no method \"rowz\"; its driver, fake, has row, rows, value, "
         "exec, packed_row, packed_rows; did you mean \"row\"?"},
        {"ctx.db:something('x')", ERR_SCRIPT,
         "the backend \"main\" has no method \"something\"; its driver, fake, has row, rows, "
         "value, exec, packed_row, packed_rows"},
        {"ctx.db:types('x')", ERR_SCRIPT,
         "the backend \"main\" has no method \"types\"; its driver, fake, has row, rows, value, "
         "exec, packed_row, packed_rows"},
        {"table.sort({ 2, 1 }, function() return ctx.db:value('SELECT 1') end)", ERR_SCRIPT,
         "db:value cannot wait here: inside a function that string.gsub, table.sort or a "
         "__tostring calls back"},
        {"table.sort({ 2, 1 }, function() rtcache.sleep(1) end)", ERR_SCRIPT,
         "rtcache.sleep cannot wait here: inside a function that string.gsub, table.sort or a "
         "__tostring calls back"},
    };
    TELLS(*state, list);
}

static void of_options(void **state)
{
    static const struct words list[] = {
        {"return 1, { ttl = -1 }", ERR_SCRIPT,
         "option \"ttl\": -1 is no number of seconds from 0 on"},
        {"return 1, { ttl = -0.001 }", ERR_SCRIPT,
         "option \"ttl\": -0.001 is no number of seconds from 0 on"},
        {"return 1, { stale_ttl = 0.0005 }", ERR_SCRIPT,
         "option \"stale_ttl\": 0.0005 s is no whole number of milliseconds: round it, as in "
         "math.ceil(x * 1000) / 1000"},
        {"return 1, { ttl = math.huge }", ERR_SCRIPT,
         "option \"ttl\": inf s is more than 3650d, the most there is: a time since 1970? It is "
         "how long from now, as in at - os.time()"},
        {"return 1, { ttl = 946684799 }", ERR_SCRIPT,
         "option \"ttl\": 946684799 s is more than 3650d, the most there is"},
        {"return 1, { ttl = 946684800 }", ERR_SCRIPT,
         "option \"ttl\": 946684800 s is more than 3650d, the most there is: a time since 1970? It "
         "is how long from now, as in at - os.time()"},
        {"return 1, { ttl = '4000d' }", ERR_SCRIPT,
         "option \"ttl\": 345600000 s is more than 3650d, the most there is"},
        {"return 1, { ttl = {} }", ERR_SCRIPT,
         "option \"ttl\" is a table, not seconds or a text like \"60s\""},
        {"return 1, { ttl = '6\\0' }", ERR_SCRIPT, "option \"ttl\": a text with a NUL byte"},
        {"return 1, { ttl = '6 apples' }", ERR_SCRIPT,
         "option \"ttl\": expected a duration such as \"60s\" (units: ms, s, min, h, d), found \"6 "
         "apples\""},
        {"return 1, { version = '7' }", ERR_SCRIPT,
         "option \"version\" is a string, \"7\" (a numeric column comes as text), not an integer"},
        {"return 1, { version = 1.5 }", ERR_SCRIPT,
         "option \"version\": 1.5 is not an exact integer"},
        {"return 1, { version = rtcache.null }", ERR_SCRIPT,
         "option \"version\" is rtcache.null, not an integer"},
        {"return 1, { version = {} }", ERR_SCRIPT, "option \"version\" is a table, not an integer"},
        {"return 1, { tags = 5 }", ERR_SCRIPT,
         "option \"tags\" is a number, not an array of strings"},
        {"return 1, { tags = { a = 1 } }", ERR_SCRIPT,
         "option \"tags\": it has keys beside 1..n, as no array has"},
        {"return 1, { tags = { 'a', 5 } }", ERR_SCRIPT,
         "option \"tags\": tag 2 is a number, not a string"},
        {"return 1, { tags = { 'a', '' } }", ERR_SCRIPT,
         "option \"tags\": tag 2 is not 1 to 255 bytes of valid UTF-8"},
        {"return 1, { tags = { ('x'):rep(256) } }", ERR_SCRIPT,
         "option \"tags\": tag 1 is not 1 to 255 bytes of valid UTF-8"},
        {"return 1, { tags = { 'a', 'b', '\\255' } }", ERR_SCRIPT,
         "option \"tags\": tag 3 is not 1 to 255 bytes of valid UTF-8"},
        {"local t = {} for i = 1, 65 do t[i] = 't' .. i end return 1, { tags = t }", ERR_SCRIPT,
         "option \"tags\": 65 tags, at most 64 are taken"},
        {"return 1, { tags = { 'user:' .. 123456789012345 } }", ERR_SCRIPT,
         "option \"tags\": tag 1, \"user:1.2345678901235e+14\", has lost digits of an integer: "
         "string.format(\"%d\", id) writes all of them"},
        {"return 1, { cache = 1 }", ERR_SCRIPT, "option \"cache\" is a number, not true or false"},
        {"return 1, { tll = 1 }", ERR_SCRIPT, "unknown option \"tll\", did you mean \"ttl\"?"},
        {"return 1, { error = 1 }", ERR_SCRIPT, "unknown option \"error\" beside the value"},
        {"return 1, { something = 1 }", ERR_SCRIPT,
         "unknown option \"something\" beside the value"},
        {"return 1, { 5 }", ERR_SCRIPT, "the options have a key that is a number, not a name"},
        {"return 1, { ['ttl\\0'] = 5 }", ERR_SCRIPT,
         "the options have a key that is a string, not a name"},
        {"return 1, 5", ERR_SCRIPT, "the second result is a number, not a table of options"},
        {"return 1, {}, 2", ERR_SCRIPT,
         "a third result, a number: there are two, and the second is a table of options"},
        {"return nil, nil, 'x'", ERR_SCRIPT,
         "a third result, a string: there are two, and the second is a table of the error (for an "
         "absence with options: return rtcache.absent, {...})"},
        {"return nil, { ttl = 5 }, {}", ERR_SCRIPT,
         "a third result, a table: there are two, and the second is a table of the error (for an "
         "absence with options: return rtcache.absent, {...})"},
    };
    TELLS(*state, list);
}

/* An error object with so many classes above it, the last of which has the message. */
#define CHAIN(n)                                                                                   \
    "local e = {} local at = e\n"                                                                  \
    "for _ = 1, " n " do local c = {} setmetatable(at, { __index = c }) at = c end\n"              \
    "at.message = 'deep' error(e)"

static void of_errors_that_are_odd(void **state)
{
    static const struct words list[] = {
        {"error {}", ERR_LOAD_FAILED, "an error table without a message"},
        {"error { message = {} }", ERR_LOAD_FAILED, "the error's message is a table, not a text"},
        {"error { code = 'AB' }", ERR_OWN, "AB"},
        {"error { code = ('A'):rep(32), message = 'x' }", ERR_OWN, "x"},
        {"error { code = ('A'):rep(33), message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\" is no word of 2 to 32 "
         "capitals, digits and _: give it another)"},
        {"error { code = 'A', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"A\" is no word of 2 to 32 capitals, digits and _: give it "
         "another)"},
        {"error { code = '1A', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"1A\" is no word of 2 to 32 capitals, digits and _: give it "
         "another)"},
        {"error { code = 'A1_', message = 'x' }", ERR_OWN, "x"},
        {"error { code = 'Ab', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"Ab\" is no word of 2 to 32 capitals, digits and _: give it "
         "another)"},
        {"error { code = 5, message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"of type number\" is no word: give it another)"},
        {"error { code = 'MOVED', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"MOVED\" is one that clients of Redis act on: give it another)"},
        {"error { code = 'SHUTTING_DOWN', message = 'x' }", ERR_SHUTDOWN, "x"},
        {"error { code = 'OK', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"OK\" is the server's own: give it another)"},
        {"error { code = 'WRITE_UNKNOWN', message = 'x' }", ERR_SCRIPT,
         "x (the error's code \"WRITE_UNKNOWN\" is the server's own: give it another)"},
        {"error { code = 'TIMEOUT', message = 'x' }", ERR_TIMEOUT, "x"},
        {"error(print)", ERR_LOAD_FAILED, "the error is a function, not a text or a table"},
        {"error(nil)", ERR_LOAD_FAILED, "the error is a nil, not a text or a table"},
        {"error(5)", ERR_LOAD_FAILED, "5"},
        {"return nil, true", ERR_LOAD_FAILED, "the error is a boolean, not a text or a table"},
        {"error { where = 'there', message = 'a\\nb\\127' }", ERR_LOAD_FAILED, "there: a b "},
        {"error { message = 'x.lua:7: placed' }", ERR_LOAD_FAILED, "placed"},
        {"error(setmetatable({}, { __tostring = function() return 'mine' end }))", ERR_LOAD_FAILED,
         "mine"},
        {"error(setmetatable({}, { __tostring = function() return {} end }))", ERR_LOAD_FAILED,
         "an error table without a message"},
        {"error(setmetatable({}, { __index = { message = 'of its class', code = 'CLASSY' } }))",
         ERR_OWN, "of its class"},
        {CHAIN("8"), ERR_LOAD_FAILED, "deep"}, /* classes, from the object up */
        {CHAIN("9"), ERR_LOAD_FAILED, "an error table without a message"},
        {"coroutine.yield(1)", ERR_SCRIPT,
         "coroutine.yield outside of a coroutine that the script made"},
    };
    TELLS(*state, list);
}

static void of_values(void **state)
{
    static const struct words list[] = {
        {"return print", ERR_BAD_VALUE, "value: a function cannot be packed"},
        {"return { a = { [1] = 1, b = 2 } }", ERR_BAD_VALUE,
         "value.a.b: this key does not fit beside 1..n: a table is an array or a map, not both"},
        {"return ('x'):rep(2000000)", ERR_TOO_LARGE,
         "value: the packed value passes 1048576 bytes"},
    };
    TELLS(*state, list);
}

static void of_many(void **state)
{
    static const struct words list[] = {
        {"", ERR_SCRIPT,
         "load_many returned nothing; it returns a table of values by key, which may be empty, or "
         "nil and an error"},
        {"return rtcache.unchanged", ERR_SCRIPT,
         "load_many returned rtcache.unchanged, which stands for one key, as in values[key] = "
         "rtcache.unchanged"},
        {"return rtcache.absent", ERR_SCRIPT,
         "load_many returned rtcache.absent, which stands for one key, as in values[key] = "
         "rtcache.absent"},
        {"return 5", ERR_SCRIPT, "load_many returned a number, not a table of values by key"},
        {"return {}, 7", ERR_SCRIPT,
         "the second result is a number, not a table of options by key"},
        {"return { 1 }", ERR_SCRIPT,
         "load_many returned a value under a number 1; it returns them by key, as in "
         "result[keys[i]] = ...; the first key is \"user:1\""},
        {"return { [true] = 1 }", ERR_SCRIPT,
         "load_many returned a value under a boolean; it returns them by key, as in "
         "result[keys[i]] = ...; the first key is \"user:1\""},
        {"return {}, { { ttl = 1 } }", ERR_SCRIPT,
         "load_many returned options under a number 1; it returns them by key, as in "
         "result[keys[i]] = ...; the first key is \"user:1\""},
        {"return {}, { ttl = 5 }", ERR_SCRIPT,
         "load_many returned the option \"ttl\" where a key should be; its options are by key, as "
         "in options[keys[i]] = {ttl = ...}"},
        {"rtcache.poison(true)", ERR_SCRIPT,
         "rtcache.poison takes the key that it suspects, or nothing, not a boolean"},
        {"return ctx:answer(5, 'id')", ERR_SCRIPT,
         "ctx:answer takes what db:rows or db:packed_rows gave, not a number"},
        {"return ctx:answer({}, 5)", ERR_SCRIPT,
         "ctx:answer takes the name of the id's column, not a number"},
        {"return ctx:answer({}, 'id', 5)", ERR_SCRIPT,
         "ctx:answer takes the name of the version's column, not a number"},
        {"return ctx:answer({}, 'id', 'v', 5)", ERR_SCRIPT,
         "ctx:answer takes the rows and the names of two columns: options by key stand behind it, "
         "as in return ctx:answer(rows, \"id\"), options"},
        {"return ctx.answer({}, {}, 'id')", ERR_SCRIPT,
         "answer is a method of load_many's ctx: call it as ctx:answer(rows, \"id\")"},
        {"return ctx:answer({ { name = 1 } }, 'id')", ERR_SCRIPT,
         "ctx:answer: row 1 has no column \"id\""},
        {"return ctx:answer({ a = 1 }, 'id')", ERR_SCRIPT,
         "ctx:answer: its rows: it has keys beside 1..n, as no array has"},
        {"local a = ctx:answer({}, 'id') a[1] = 5 return a", ERR_SCRIPT,
         "load_many returned an answer of ctx:answer that was changed"},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        struct batch b;
        batch_eval(&b, *state, list[i].body);
        if (b.outcome != RUN_FAILED || b.err.code != list[i].code ||
            strcmp(behind_position(&b.err), list[i].text) != 0) {
            print_message("%s\n  %s %s\n", list[i].body, err_name(b.err.code), b.err.text);
            wrong++;
        }
        batch_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_what_the_module_takes),
        CASE(of_backends_and_their_methods),
        CASE(of_options),
        CASE(of_errors_that_are_odd),
        CASE(of_values),
        CASE(of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
