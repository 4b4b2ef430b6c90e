#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"

#include <string.h>

static bool covers(const char *ours, const char *theirs)
{
    char rooms[2][GLOB_MAX];
    struct glob g, p;
    glob_compile(&g, slice_str(ours), rooms[0]);
    glob_compile(&p, slice_str(theirs), rooms[1]);
    return glob_covers(&g, &p);
}

static void a_star_covers_what_it_takes(void **state)
{
    (void)state;
    static const struct {
        const char *ours, *theirs;
        bool want;
    } cases[] = {
        {"user:*", "user:{id:int}", true},
        {"user:*", "user:{id:text}:x", true},
        {"user:{id:int}", "user:{other:int}", true},
        {"user:{id:int}", "user:7", true},
        {"user:{id:int}", "user:-7", true},
        {"user:{id:int}", "user:07", false},
        {"user:{id:int}", "user:7*", false},
        {"user:{id:int}", "user:7{id:int}", false},
        {"user:{id:int}", "user:*", false},
        {"user:{id:int}", "user:{id:uuid}", false},
        {"user:{id:int}", "user:{id:text}", false},
        {"user:{id:int}", "user:", false},
        {"user:{id:int}:*", "user:7:*", true},
        {"user:{id:int}:*", "user:{id:int}:{b:text}", true},
        {"user:{id:uuid}", "user:0f8fad5b-d9cb-469f-a165-70867728950e", true},
        {"user:{id:uuid}", "user:0f8fad5b-d9cb-469f-a165-7086772895*", false},
        {"user:{id:text}", "user:{id:int}", true},
        {"user:{id:text}", "user:{a:int}:{b:uuid}", true},
        {"user:{id:text}", "user:x", true},
        {"user:{id:text}", "user:", false},
        {"user:{id:text}", "user:*", false},
        {"user:{id:text}", "user:x*", false},
        {"user:{id:text}", "user:\xff", false},
        {"user:{id:text}:*", "user:x:*", false}, /* the key may be no text behind it */
        {"user:{id:text}:*", "user:x:{a:text}", true},
        {"*", "{id:int}", true},
        {"*x", "{id:int}", false},
        {"\x01*", "{id:int}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (covers(cases[i].ours, cases[i].theirs) != cases[i].want)
            fail_msg("\"%s\" %s \"%s\"", cases[i].ours, cases[i].want ? "does not cover" : "covers",
                     cases[i].theirs);
}

static const char *const tokens[] = {"a", "1", "-", "*", "{x:int}", "{y:text}"};
#define TOKENS (sizeof tokens / sizeof *tokens)
#define LENGTH 3
enum { PATTERNS = 6 * 6 * 6, KEYS = 1 + 4 + 16 + 64 + 256 };

/* Whatever a pattern that is covered matches, ours matches too: over all short patterns and keys.
 */
static void what_is_covered_matches_nothing_else(void **state)
{
    (void)state;
    static bool takes[PATTERNS][KEYS], right[PATTERNS];
    static char text[PATTERNS][64];
    char room[GLOB_MAX], key[8];
    struct glob g;
    size_t covered = 0;
    for (size_t i = 0; i < PATTERNS; i++) {
        for (size_t k = 0, n = i; k < LENGTH; k++, n /= TOKENS)
            strcat(text[i], tokens[n % TOKENS]);
        right[i] = glob_check(slice_str(text[i]), NULL) == 0;
        if (right[i])
            glob_compile(&g, slice_str(text[i]), room);
        size_t at = 0;
        for (size_t size = 0, all = 1; size <= 4; size++, all *= 4)
            for (size_t n = 0; n < all; n++, at++) {
                for (size_t k = 0, left = n; k < size; k++, left /= 4)
                    key[k] = "a1-0"[left % 4];
                takes[i][at] = right[i] && glob_matches(&g, slice_of(key, size), NULL);
            }
    }
    for (size_t i = 0; i < PATTERNS; i++)
        for (size_t k = 0; k < PATTERNS; k++) {
            if (!right[i] || !right[k] || !covers(text[i], text[k]))
                continue;
            covered++;
            for (size_t at = 0; at < KEYS; at++)
                if (takes[k][at] && !takes[i][at])
                    fail_msg("%s covers %s, but not all of its keys", text[i], text[k]);
        }
    assert_true(covered > PATTERNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_covers_what_it_takes),
        cmocka_unit_test(what_is_covered_matches_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
