/* A batch of an SQL loader that is larger than what one query takes, and one whose rows lack the
 * version: each row goes to its key, without the number that it came with. */
#include "bind/fake.h"

#include "wire/json.h"
#include "conf/conf.h"
#include "wire/mpw.h"

#define KEYS  300
#define WIDTH 256 /* keys of one query */

/* How the keys of a batch ended. */
struct rooms {
    int calls;
    enum run_outcome outcome;
    struct err err;
    unsigned count;
    struct ending of[KEYS];
};

static void take(struct run *r, struct run_result *result, void *arg)
{
    struct rooms *t = arg;
    t->calls++;
    t->outcome = result->outcome;
    t->err = result->err;
    t->count = result->many_count;
    for (unsigned i = 0; i < result->many_count; i++)
        ending_take(r, &result->many[i], &t->of[i]);
}

static void answer_json(struct bench *b, const char *json)
{
    struct buf packed;
    buf_init(&packed, 0);
    assert_int_equal(json_to_mp(slice_str(json), &packed, NULL), 0);
    fake_answer(fake_oldest(&b->main), buf_slice(&packed));
    buf_fini(&packed);
}

/* Starts a load of user:1, user:2 ..., up to the query for its first keys. */
static void begin(struct bench *b, unsigned count, const char *version, struct rooms *t)
{
    static char texts[KEYS][16];
    static struct slice captures[KEYS];
    static struct run_key keys[KEYS];
    struct conf_loader l = {.sql = "SELECT $1",
                            .version = version,
                            .script = "rtcache.conf:12",
                            .backend = "main",
                            .file = "/etc/rtcache.conf",
                            .line = 12};
    struct run *run;
    struct err e;
    int script;
    assert_int_equal(runtime_add_loader(b->rt, &l, &script, &e), 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "user:%u", i + 1);
        captures[i] = slice_str(texts[i] + 5);
        keys[i] = (struct run_key){
            .key = slice_str(texts[i]), .captures = &captures[i], .capture_count = 1};
    }
    struct run_request q = {.what = RUN_LOAD_MANY,
                            .script = script,
                            .keys = keys,
                            .key_count = count,
                            .pattern = "user:*",
                            .attempt = 1,
                            .deadline_ms = clock_ms() + 60000,
                            .done = take,
                            .arg = t};
    *t = (struct rooms){.outcome = RUN_FAILED};
    assert_int_equal(run_start(&run, b->rt, &q, &e), 0);
    answer_json(b, "[[20], [\"id\", \"v\"], true, true]");
    answer_json(b, "[{\"name\": \"bigint\"}]");
    answer_json(b, "[[1016], [\"rtcache_i\", \"id\", \"v\"], true, false]");
}

/* The columns of the row of key i behind its number: id, v, and so many more. */
static int pack_columns(struct buf *out, unsigned i, unsigned more)
{
    int rc = mpw_cstr(out, "id") | mpw_int(out, i) | mpw_cstr(out, "v") | mpw_int(out, 2 * i);
    for (unsigned k = 0; k < more; k++) {
        char name[16];
        snprintf(name, sizeof name, "more%u", k);
        rc |= mpw_cstr(out, name) | mpw_nil(out);
    }
    return rc;
}

/* Rows for the keys first to last, the last first, without those that seven divides. */
static void answer_rows(struct bench *b, unsigned first, unsigned last, unsigned more)
{
    struct buf rows;
    unsigned count = 0;
    for (unsigned i = first; i <= last; i++)
        count += i % 7 != 0;
    buf_init(&rows, 0);
    int rc = mpw_array(&rows, count);
    for (unsigned i = last; i >= first; i--)
        if (i % 7 != 0)
            rc |= mpw_map(&rows, 3 + more) | mpw_cstr(&rows, "rtcache_i") |
                  mpw_int(&rows, i - first + 1) | pack_columns(&rows, i, more);
    assert_int_equal(rc, 0);
    fake_answer(fake_oldest(&b->main), buf_slice(&rows));
    buf_fini(&rows);
}

static void expect_row(const struct ending *of, unsigned i, unsigned more)
{
    struct buf want;
    if (i % 7 == 0) {
        assert_int_equal(of->outcome, RUN_ABSENT);
        return;
    }
    if (of->outcome != RUN_FOUND)
        fail_msg("key %u: %s", i, of->err.text);
    buf_init(&want, 0);
    assert_int_equal(mpw_map(&want, 2 + more) | pack_columns(&want, i, more), 0);
    assert_true(slice_eq(buf_slice(&of->value), buf_slice(&want)));
    buf_fini(&want);
}

static void end(struct rooms *t)
{
    for (unsigned i = 0; i < t->count; i++)
        ending_fini(&t->of[i]);
    free(t);
}

/* With and without a version; 13 and 14 columns more are the last and the first of a longer head.
 */
static void the_rows_of_each_query_go_to_its_keys(void **state)
{
    struct bench *b = *state;
    static const unsigned more[] = {0, 13, 14, 200};
    for (int versioned = 0; versioned < 2; versioned++) {
        for (size_t m = 0; m < sizeof more / sizeof *more; m++) {
            struct rooms *t = malloc(sizeof *t);
            assert_non_null(t);
            begin(b, KEYS, versioned ? "v" : NULL, t);
            answer_rows(b, 1, WIDTH, more[m]);
            assert_int_equal(t->calls, 0);
            answer_json(b, "[[20], [\"id\", \"v\"], true, true]"); /* it looks again */
            answer_rows(b, WIDTH + 1, KEYS, more[m]);
            assert_int_equal(t->calls, 1);
            if (t->outcome != RUN_DONE)
                fail_msg("%s", t->err.text);
            assert_int_equal(t->count, KEYS);
            for (unsigned i = 1; i <= KEYS; i++) {
                expect_row(&t->of[i - 1], i, more[m]);
                assert_int_equal(t->of[i - 1].has_version, versioned && i % 7 != 0);
                if (versioned && i % 7 != 0)
                    assert_int_equal(t->of[i - 1].version, 2 * i);
            }
            end(t);
        }
    }
}

/* As many as one query takes are the answer as they are. */
static void a_full_query_is_one(void **state)
{
    struct bench *b = *state;
    struct rooms *t = malloc(sizeof *t);
    assert_non_null(t);
    begin(b, WIDTH, "v", t);
    answer_rows(b, 1, WIDTH, 0);
    assert_int_equal(t->calls, 1);
    assert_int_equal(t->count, WIDTH);
    for (unsigned i = 1; i <= WIDTH; i++)
        expect_row(&t->of[i - 1], i, 0);
    end(t);
}

static void rows_without_the_version_fail_their_keys(void **state)
{
    struct bench *b = *state;
    struct rooms *t = malloc(sizeof *t);
    assert_non_null(t);
    begin(b, 8, "none", t);
    answer_rows(b, 1, 8, 0);
    assert_int_equal(t->outcome, RUN_DONE);
    assert_int_equal(t->count, 8);
    for (unsigned i = 1; i <= 8; i++) {
        assert_int_equal(t->of[i - 1].outcome, i == 7 ? RUN_ABSENT : RUN_FAILED);
        if (i != 7)
            expect_text(&t->of[i - 1].err, "rtcache.conf:12: \"version\": the query has no column "
                                           "\"none\"; it has id, v");
    }
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_rows_of_each_query_go_to_its_keys),
        CASE(a_full_query_is_one),
        CASE(rows_without_the_version_fail_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
