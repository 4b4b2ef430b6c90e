/* Requests and their answers, each of a method on its own: what is taken, what is refused, and in
 * which words; where it is answered at once, and where it has to wait for its slices. */
#include "net/net_client.h"

static const char CONF[] = "listen = \"127.0.0.1:0\"\n"
                           "max_key = 8\n"
                           "max_batch = 70\n"
                           "max_value = 100000\n"
                           "max_frame = 262144\n"
                           "defaults = { jitter = 0.0, ttl = \"90s\", stale_ttl = \"10s\" }\n";

static struct net_world *w;
static struct client a;

static int open_one(void **state)
{
    (void)state;
    w = net_new(CONF);
    client_open(w, &a);
    return 0;
}

static int open_crowded(void **state)
{
    open_one(state);
    w->crowded = true;
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    client_close(w, &a);
    net_free(w);
    return 0;
}

/* Calls and their answers, in order. */
struct line {
    const char *call, *answer;
};

static void hears_all(const struct line *lines)
{
    for (; lines->call; lines++)
        hears(w, &a, lines->call, lines->answer);
}

#define ENTRY(value, status, version, ttl, tags)                                                   \
    "{\"value\":" value ",\"status\":\"" status "\",\"version\":" version                          \
    ",\"age_ms\":#,\"ttl_ms\":" ttl ",\"load_ms\":#,\"tags\":" tags "}"

static void what_is_set_is_read_in_each_form(void **state)
{
    (void)state;
    hears_all((const struct line[]){
        {"get [\"k\"]", "NO_LOADER k: no loader's pattern matches"},
        {"peek [\"k\"]", "null"},
        {"set [\"k\", {\"a\": [1, null]}]", "true"},
        {"get [\"k\"]", "{\"a\":[1,null]}"},
        {"peek [\"k\"]", ENTRY("{\"a\":[1,null]}", "hit", "null", "#", "[]")},
        {"set [\"k\", 2, {\"ttl_ms\": 0, \"version\": 7, \"tags\": \"t\"}]", "true"},
        {"get_entry [\"k\"]", ENTRY("2", "hit", "7", "null", "[\"t\"]")},
        {"set [\"k\", 3, {\"tags\": [\"t\", \"u\"], \"stale_ttl_ms\": 5}]", "true"},
        {"get_entry [\"k\"]", ENTRY("3", "hit", "null", "#", "[\"t\",\"u\"]")},
        {"set [\"none\", null, {\"tags\": []}]", "true"},
        {"get [\"none\"]", "null"},
        {"peek [\"none\"]", ENTRY("null", "hit", "null", "#", "[]")},
        {"get_many [[\"k\", \"m\", \"none\", \"\", 5]]",
         "[{\"value\":3},{\"error\":\"NO_LOADER m: no loader's pattern matches\"},"
         "{\"value\":null},{\"error\":\"BAD_KEY get_many: the key is empty\"},"
         "{\"error\":\"BAD_REQUEST get_many: a key is a str or bin, and this is an integer\"}]"},
        {"get_many [[]]", "[]"},
        {NULL, NULL},
    });
}

static void what_is_told_to_go_goes_and_is_counted(void **state)
{
    (void)state;
    hears_all((const struct line[]){
        {"invalidate [\"k\"]", "false"},
        {"set [\"k\", 1, {\"version\": 5}]", "true"},
        {"invalidate [\"k\", {\"version\": 5}]", "false"},
        {"get [\"k\"]", "1"},
        {"invalidate [\"k\", {\"version\": 6, \"deleted\": true}]", "true"},
        {"peek [\"k\"]", "null"},
        {"set [\"k\", 1]", "true"},
        {"set [\"l\", 1]", "true"},
        {"invalidate_many [[\"k\", \"l\", \"m\"]]", "2"},
        {"peek [\"l\"]", "null"},
        {"set [\"k\", 1, {\"version\": 8}]", "true"},
        {"set [\"l\", 1, {\"version\": 9}]", "true"},
        {"invalidate_many [[\"k\", \"l\"], {\"version\": 9}]", "1"},
        {"get [\"l\"]", "1"},
        {"invalidate_many [[\"l\"], {\"version\": 10, \"deleted\": true}]", "1"},
        {"invalidate_many [[]]", "0"},
        {"expire [\"k\"]", "false"},
        {"set [\"k\", 1, {\"tags\": [\"t\"]}]", "true"},
        {"set [\"l\", 1, {\"tags\": [\"u\"]}]", "true"},
        {"expire [\"k\"]", "true"},
        {"peek [\"k\"]", ENTRY("1", "stale", "null", "#", "[\"t\"]")},
        {"expire_many [[\"k\", \"l\", \"m\"]]", "2"},
        {"peek [\"l\"]", ENTRY("1", "stale", "null", "#", "[\"u\"]")},
        {"invalidate_tag [[\"t\", \"v\"]]", "true"},
        {"peek [\"k\"]", "null"},
        {"peek [\"l\"]", ENTRY("1", "stale", "null", "#", "[\"u\"]")},
        {"invalidate_tag [\"u\"]", "true"},
        {"peek [\"l\"]", "null"},
        {"set [\"k\", 1, {\"tags\": [\"t\"]}]", "true"},
        {"expire_tag [\"t\"]", "true"},
        {"peek [\"k\"]", ENTRY("1", "stale", "null", "#", "[\"t\"]")},
        {"set [\"k\", 1]", "true"},
        {"expire_match [\"k*\"]", "true"},
        {"peek [\"k\"]", ENTRY("1", "stale", "null", "#", "[]")},
        {"invalidate_match [[\"k*\"]]", "true"},
        {"peek [\"k\"]", "null"},
        {NULL, NULL},
    });
    assert_int_equal(net_count(w, M_SETS), 9);
    assert_int_equal(net_count(w, M_TAG_INVALIDATIONS), 4);
    assert_int_equal(net_count(w, M_GLOB_INVALIDATIONS), 2);
}

static void a_touch_moves_the_deadlines_of_what_is_there(void **state)
{
    (void)state;
    hears_all((const struct line[]){
        {"touch [\"k\"]", "false"},
        {"set [\"k\", 1, {\"ttl_ms\": 0, \"version\": 3}]", "true"},
        {"touch [\"k\"]", "true"},
        {"get_entry [\"k\"]", ENTRY("1", "hit", "3", "#", "[]")},
        {"touch [\"k\", {\"ttl_ms\": 0, \"stale_ttl_ms\": 1}]", "true"},
        {"get_entry [\"k\"]", ENTRY("1", "hit", "3", "null", "[]")},
        {NULL, NULL},
    });
}

/* lift_floors tells whether there was one, of a key. */
static void floors_are_lifted_one_by_one_by_pattern_and_all(void **state)
{
    (void)state;
    hears_all((const struct line[]){
        {"invalidate [\"k\", {\"version\": 5}]", "false"},
        {"invalidate [\"l\", {\"version\": 5}]", "false"},
        {"lift_floors [{\"key\": \"m\"}]", "false"},
        {"lift_floors [{\"key\": \"k\"}]", "true"},
        {"lift_floors [{\"key\": \"k\"}]", "false"},
        {"lift_floors [{\"match\": \"l*\"}]", "true"},
        {"lift_floors [{\"key\": \"l\"}]", "false"},
        {"invalidate [\"k\", {\"version\": 5}]", "false"},
        {"lift_floors [{\"all\": true}]", "true"},
        {"lift_floors [{\"key\": \"k\"}]", "false"},
        {NULL, NULL},
    });
    LOGS(w, "warn  floors.lifted user=\"\" key=\"m\" had=0",
         "warn  floors.lifted user=\"\" key=\"k\" had=1",
         "warn  floors.lifted user=\"\" key=\"k\" had=0",
         "warn  floors.lifted user=\"\" match=\"l*\"",
         "warn  floors.lifted user=\"\" key=\"l\" had=0", "warn  floors.lifted user=\"\" all=1",
         "warn  floors.lifted user=\"\" key=\"k\" had=0");
    assert_int_equal(net_count(w, M_FLOORS_LIFTED), 7);
}

static const struct line wrong[] = {
    {"set [\"k\", 1]", "true"},
    {"gett [\"k\"]", "UNKNOWN_METHOD gett: no such method; hello lists them"},
    {"gex [\"k\"]", "UNKNOWN_METHOD gex: no such method; hello lists them"},
    {"xet [\"k\"]", "UNKNOWN_METHOD xet: no such method; hello lists them"},
    {"get []", "BAD_REQUEST get(key, options?) takes 1 to 2 arguments, got 0"},
    {"get [\"k\", {}, {}]", "BAD_REQUEST get(key, options?) takes 1 to 2 arguments, got 3"},
    {"set [\"k\"]", "BAD_REQUEST set(key, value, options?) takes 2 to 3 arguments, got 1"},
    {"get [\"123456789\"]", "BAD_KEY get: the key 123456789 has 9 bytes; max_key is 8"},
    {"set [\"\", 1]", "BAD_KEY set: the key is empty"},
    {"set [\"k\", 1, 2]",
     "BAD_REQUEST set: argument 3 is a map of options, and this is an integer"},
    {"set [\"k\", 1, {\"tags\": [1]}]", "BAD_REQUEST set: tag 1 is no str"},
    {"set [\"k\", 1, {\"tags\": [\"t\", \"\"]}]",
     "BAD_REQUEST set: tag 2 has 0 bytes, where 1 to 255 are taken"},
    {"set [\"k\", 1, {\"tags\": 7}]", "BAD_REQUEST set: it takes a tag or an array of them"},
    {"invalidate [\"k\", {\"deleted\": true}]",
     "BAD_REQUEST invalidate: option deleted goes with the version at which the row was "
     "deleted"},
    {"invalidate_many [[\"k\"], {\"deleted\": true}]",
     "BAD_REQUEST invalidate_many: option deleted goes with the version at which the row was "
     "deleted"},
    {"invalidate_many [[\"k\", 5]]",
     "BAD_REQUEST invalidate_many: a key is a str or bin, and this is an integer"},
    {"invalidate_many [\"k\"]",
     "BAD_REQUEST invalidate_many: argument 1 is an array of keys, and this is a str"},
    {"expire_many [[\"k\", \"123456789\"]]",
     "BAD_REQUEST expire_many: key 2 has 9 bytes, where 1 to 8 are taken"},
    {"expire_many [\"k\", {\"version\": 1}]",
     "BAD_REQUEST expire_many: unknown option \"version\"; it knows none"},
    {"expire_tag [{}]", "BAD_REQUEST expire_tag: it takes a tag or an array of them"},
    {"invalidate_match [[]]", "BAD_REQUEST invalidate_match: a pattern is missing"},
    {"invalidate_match [[\"k*\", \"l*\"]]",
     "BAD_REQUEST invalidate_match: 2 of pattern, where at most 1 are taken"},
    {"expire_match [\"k\\\\\"]",
     "BAD_REQUEST expire_match: pattern \"k\\\" has a lone backslash at byte 2; write \\* for "
     "a star, \\{ for a { and \\\\ for a backslash"},
    {"expire [\"k\", {\"version\": 1}]",
     "BAD_REQUEST expire: unknown option \"version\"; it knows none"},
    {"peek [\"k\", {\"a\": 1}]", "BAD_REQUEST peek: unknown option \"a\"; it knows none"},
    {"touch [\"k\", {\"tags\": 1}]",
     "BAD_REQUEST touch: unknown option \"tags\"; it knows ttl_ms, stale_ttl_ms"},
    {"set [\"k\", 1, {\"x\": 1}]",
     "BAD_REQUEST set: unknown option \"x\"; it knows tags, ttl_ms, stale_ttl_ms, version"},
    {"get [\"k\", {\"partial\": true}]",
     "BAD_REQUEST get: unknown option \"partial\"; it knows timeout_ms, stale_wait_ms, "
     "min_version"},
    {"get_many [[\"k\"], {\"x\": true}]",
     "BAD_REQUEST get_many: unknown option \"x\"; it knows timeout_ms, stale_wait_ms, "
     "min_version, partial"},
    {"refresh [\"k\", {\"x\": true}]",
     "BAD_REQUEST refresh: unknown option \"x\"; it knows timeout_ms, background, min_version"},
    {"put [\"k\", 1, {\"x\": true}]",
     "BAD_REQUEST put: unknown option \"x\"; it knows timeout_ms, version"},
    {"invalidate [\"k\", {\"x\": 1}]",
     "BAD_REQUEST invalidate: unknown option \"x\"; it knows version, deleted"},
    {"ping [{\"x\": 1}]", "BAD_REQUEST ping: unknown option \"x\"; it knows none"},
    {"stats [{\"x\": 1}]", "BAD_REQUEST stats: unknown option \"x\"; it knows none"},
    {"loaders [{\"x\": 1}]", "BAD_REQUEST loaders: unknown option \"x\"; it knows none"},
    {"reload [{\"x\": 1}]", "BAD_REQUEST reload: unknown option \"x\"; it knows none"},
    {"hello [{\"x\": 1}]", "BAD_REQUEST hello: unknown option \"x\"; it knows errors, client"},
    {"hello [{\"errors\": \"maps\"}]", "BAD_REQUEST hello: option errors is \"string\" or \"map\""},
    {"lift_floors [{}]", "BAD_REQUEST lift_floors: it takes one of key, match, and all = true"},
    {"lift_floors [{\"key\": \"k\", \"all\": true}]",
     "BAD_REQUEST lift_floors: it takes one of key, match, and all = true"},
    {"lift_floors [{\"key\": \"k\", \"match\": \"k\"}]",
     "BAD_REQUEST lift_floors: it takes one of key, match, and all = true"},
    {"lift_floors [{\"all\": false}]",
     "BAD_REQUEST lift_floors: it takes one of key, match, and all = true"},
    {"lift_floors [{\"key\": \"\"}]", "BAD_KEY lift_floors: a key of 0 bytes; max_key is 8"},
    {"lift_floors [{\"key\": \"123456789\"}]",
     "BAD_KEY lift_floors: a key of 9 bytes; max_key is 8"},
    {"lift_floors [{\"match\": \"\"}]", "BAD_REQUEST lift_floors: the pattern is empty"},
    {"lift_floors [{\"match\": \"k\\\\\"}]",
     "BAD_REQUEST lift_floors: pattern \"k\\\" has a lone backslash at byte 2; write \\* for "
     "a star, \\{ for a { and \\\\ for a backslash"},
    {"subscribe [{}]", "BAD_REQUEST subscribe: it takes a map of keys, patterns and tags, at "
                       "least one of any"},
    {"put [\"k\", 1]", "NO_LOADER k: no loader's pattern matches"},
    {"delete [\"k\"]", "NO_LOADER k: no loader's pattern matches"},
    {"delete [\"k\", 1]",
     "BAD_REQUEST delete: argument 2 is a map of options, and this is an integer"},
    {"refresh [\"k\"]", "NO_LOADER k: no loader's pattern matches"},
    {"get [\"k\"]", "1"},
    {"peek [\"k\"]", ENTRY("1", "hit", "null", "#", "[]")},
    {NULL, NULL},
};

static void what_is_wrong_is_told_and_changes_nothing(void **state)
{
    (void)state;
    hears_all(wrong);
    assert_int_equal(net_count(w, M_SETS), 1);
    assert_int_equal(net_count(w, M_INVALIDATIONS), 0);
    assert_int_equal(net_count(w, M_FLOORS_LIFTED), 0);
    assert_int_equal(net_count(w, M_ERRORS), 50);
    assert_int_equal(net_count(w, M_REQUESTS), 53);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_BOTH(test)                                                                              \
    {#test, test, open_one, close_one, NULL},                                                      \
        {#test " (crowded)", test, open_crowded, close_one, NULL}
        IN_BOTH(what_is_set_is_read_in_each_form),
        IN_BOTH(what_is_told_to_go_goes_and_is_counted),
        IN_BOTH(a_touch_moves_the_deadlines_of_what_is_there),
        IN_BOTH(floors_are_lifted_one_by_one_by_pattern_and_all),
        IN_BOTH(what_is_wrong_is_told_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
