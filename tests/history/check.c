/*
 * history_check FILE: whether a history keeps what docs/consistency.md promises.
 *
 * Prints for each rule how often it had something to say, and the first violations in words; then
 * PASS and FAIL lines, one a rule. Exit code 0: none violated; 1: some are, or had nothing to say;
 * 2: no history.
 */
#include "rules.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const promises[RULE_COUNT] = {
    [RULE_G1] = "what was invalidated is not served again",
    [RULE_G2] = "no version below min_version",
    [RULE_G4] = "a value is that of its version",
    [RULE_G5] = "what the feed tells of, and its gaps, are in force",
    [RULE_G6] = "what is past its ttl says so",
    [RULE_WRITE] = "what was put or deleted is seen",
    [RULE_FINAL] = "after quiet, what the database holds",
    [RULE_ANSWER] = "an answer of an expected kind",
};

static const struct record *map_file(const char *path, size_t *count)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        err(2, "%s", path);
    if (st.st_size == 0 || (size_t)st.st_size % sizeof(struct record) != 0)
        errx(2, "%s: no history: %lld bytes", path, (long long)st.st_size);
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        err(2, "%s", path);
    close(fd);
    *count = (size_t)st.st_size / sizeof(struct record);
    return p;
}

static void print_counts(const struct verdict *v)
{
    printf("%" PRIu64 " operations: %" PRIu64 " reads, %" PRIu64 " changes\n", v->operations,
           v->reads, v->changes);
    printf("reads by status:");
    for (unsigned i = 0; i < STATUS_COUNT; i++)
        printf(" %s %" PRIu64, status_name(i), v->status[i]);
    printf("\nerrors:");
    for (unsigned i = 1; i < CODE_COUNT; i++)
        if (v->codes[i])
            printf(" %s %" PRIu64, code_name(i), v->codes[i]);
    printf("\nfeed: told of %" PRIu64 " changes, %" PRIu64 " fell into gaps (%" PRIu64
           " marks); lag_ms p50=%.1f p99=%.1f max=%.1f\n",
           v->told, v->untold, v->gaps, v->lag_ms[0], v->lag_ms[1], v->lag_ms[2]);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: history_check FILE");
    size_t count;
    struct verdict v;
    const struct record *records = map_file(argv[1], &count);
    rules_check(records, count, stdout, &v);
    print_counts(&v);
    int failed = 0;
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (v.checked[i] == 0) {
            printf("FAIL %s: %s; nothing was checked\n", rule_name(i), promises[i]);
            failed = 1;
            continue;
        }
        printf("%s %s: %s; checked %" PRIu64 ", violated %" PRIu64 "\n",
               v.violated[i] ? "FAIL" : "PASS", rule_name(i), promises[i], v.checked[i],
               v.violated[i]);
        failed |= v.violated[i] != 0;
    }
    return failed;
}
