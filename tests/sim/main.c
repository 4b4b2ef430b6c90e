/* sim: runs seeds, checks their histories, and shows the first that breaks a promise. */
#include "check.h"
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define SELF_TEST_SEEDS 2000

static const char usage[] =
    "sim [SEED]                      replays a seed and prints its history\n"
    "sim --seeds N [--from SEED]     runs N seeds; the first that breaks a promise is shown\n"
    "sim --self-test                 breaks the rules one by one, and expects each to be found\n";

/* What the harness breaks, and the rules by which it may be found first. */
static const struct planted {
    const char *name;
    enum check_rule rules[4];
} planted[PLANT_COUNT] = {
    [PLANT_DEAF] = {"invalidate(key, v) is not heard",
                    {RULE_FLOOR, RULE_NEGATIVE, RULE_QUIET, RULE_SINGLE}},
    [PLANT_DEAF_PLAIN] = {"invalidate(key) is not heard", {RULE_PLAIN, RULE_NEGATIVE, RULE_QUIET}},
    [PLANT_DEAF_TAG] = {"invalidate_tag and expire_tag are not heard", {RULE_TAG, RULE_FRESH}},
    [PLANT_DEAF_EXPIRE] = {"expire is not heard", {RULE_FRESH}},
    [PLANT_NO_MIN] = {"min_version is forgotten", {RULE_MIN}},
    [PLANT_WRONG] = {"a value has another version's bytes", {RULE_BYTES}},
    [PLANT_FRESH] = {"a stale value is not marked", {RULE_FRESH}},
    [PLANT_LOST] = {"a delivery is lost", {RULE_ENDS}},
    [PLANT_DOUBLE] = {"a load is sent twice", {RULE_SINGLE}},
    [PLANT_DEAF_PUT] = {"a put leaves the entry alone",
                        {RULE_FLOOR, RULE_PLAIN, RULE_NEGATIVE, RULE_QUIET}},
    [PLANT_BACK] = {"an older version is stored over a newer one", {RULE_BACK}},
    [PLANT_UNTAGGED] = {"a put that says nothing of tags is stored as if it had none",
                        {RULE_TAG, RULE_FRESH}},
};

static void show(const struct sim *s, uint64_t seed, const struct finding *f)
{
    const struct history *h = &s->history;
    printf("seed %" PRIu64 " breaks a promise: %s\n", seed, check_rule_text(f->rule));
    history_print(h, f->at + 1, f->key, stdout);
    if (f->because != f->at)
        printf("event %zu is not what event %zu promised\n", f->at, f->because);
    printf("again, with all keys: sim %" PRIu64 "\n", seed);
}

static int replay(uint64_t seed)
{
    struct sim *s = sim_new();
    struct check *c = check_new();
    struct finding f;
    sim_run(s, seed, PLANT_NONE);
    history_print(&s->history, s->history.count, -1, stdout);
    bool good = check_history(c, &s->history, &f);
    printf("history %016" PRIx64 ", %zu events\n", history_hash(&s->history), s->history.count);
    if (!good)
        show(s, seed, &f);
    check_free(c);
    sim_free(s);
    return good ? 0 : 1;
}

static int run(uint64_t from, uint64_t count)
{
    struct sim *s = sim_new();
    struct check *c = check_new();
    struct finding f = {.rule = RULE_NONE};
    uint64_t events = 0, seed = from;
    clock_t began = clock();
    for (; seed < from + count; seed++) {
        sim_run(s, seed, PLANT_NONE);
        events += s->history.count;
        if (!check_history(c, &s->history, &f))
            break;
    }
    uint64_t passed = seed - from;
    bool good = passed == count;
    if (!good)
        show(s, seed, &f);
    printf("%" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " events, %.1f s\n", passed, from, events,
           (double)(clock() - began) / CLOCKS_PER_SEC);
    printf("%" PRIu64 " seeds passed, %d failed\n", passed, good ? 0 : 1);
    check_free(c);
    sim_free(s);
    return good ? 0 : 1;
}

static bool is_expected(const struct planted *p, enum check_rule rule)
{
    for (size_t i = 0; i < sizeof p->rules / sizeof p->rules[0]; i++)
        if (p->rules[i] == rule && rule != RULE_NONE)
            return true;
    return false;
}

/* The first seed at which the plant is found; 0: at none, or by another rule than expected. */
static uint64_t find_planted(struct sim *s, struct check *c, enum plant plant, struct finding *f)
{
    for (uint64_t seed = 1; seed <= SELF_TEST_SEEDS; seed++) {
        sim_run(s, seed, plant);
        if (!check_history(c, &s->history, f))
            return is_expected(&planted[plant], f->rule) ? seed : 0;
    }
    return 0;
}

/* The same seed gives the same history, and another one another. */
static bool is_repeatable(struct sim *s)
{
    struct sim *other = sim_new();
    bool same = true;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 50 && same; seed++) {
        sim_run(s, seed, PLANT_NONE);
        sim_run(other, seed, PLANT_NONE);
        uint64_t hash = history_hash(&s->history);
        same = hash == history_hash(&other->history) && hash != last;
        last = hash;
    }
    sim_free(other);
    return same;
}

static int self_test(void)
{
    struct sim *s = sim_new();
    struct check *c = check_new();
    int failed = 0;
    for (int i = PLANT_NONE + 1; i < PLANT_COUNT; i++) {
        struct finding f = {.rule = RULE_NONE};
        uint64_t seed = find_planted(s, c, (enum plant)i, &f);
        failed += seed == 0;
        printf("%s planted: %s: seed %" PRIu64 ": %s\n", seed > 0 ? "PASS" : "FAIL",
               planted[i].name, seed, check_rule_text(f.rule));
    }
    bool same = is_repeatable(s);
    printf("%s the same seed gives the same history\n", same ? "PASS" : "FAIL");
    check_free(c);
    sim_free(s);
    return failed == 0 && same ? 0 : 1;
}

static bool number(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

int main(int argc, char **argv)
{
    uint64_t count = 0, from = 1;
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return self_test();
    if (argc == 2 && number(argv[1], &from))
        return replay(from);
    bool good = argc >= 3 && strcmp(argv[1], "--seeds") == 0 && number(argv[2], &count);
    if (good && argc == 5)
        good = strcmp(argv[3], "--from") == 0 && number(argv[4], &from);
    if (good && (argc == 3 || argc == 5))
        return run(from, count);
    fputs(usage, stderr);
    return 2;
}
