/* Which name was meant: the edit distance that also knows two neighbours that changed places
 * (optimal string alignment, after Damerau 1964 and Levenshtein 1966). */
#include "conf/conf.h"

#define NAME_MAX_HERE 64
#define DISTANCE_MAX  3

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both names have at most NAME_MAX_HERE bytes. Three rows of the table are enough. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NAME_MAX_HERE + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t k = 0; k <= b_size; k++)
        last[k] = k;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t k = 1; k <= b_size; k++) {
            bool same = lower(a[i - 1]) == lower(b[k - 1]);
            row[k] = least(least(last[k] + 1, row[k - 1] + 1), last[k - 1] + !same);
            if (i > 1 && k > 1 && lower(a[i - 1]) == lower(b[k - 2]) &&
                lower(a[i - 2]) == lower(b[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_size];
}

const char *conf_nearest(const char *name, const char *const *names, size_t count)
{
    size_t size = strlen(name);
    if (size > NAME_MAX_HERE)
        return NULL;
    const char *best = NULL;
    size_t best_distance = least(DISTANCE_MAX + 1, (size + 1) / 2);
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        if (other > NAME_MAX_HERE)
            continue;
        size_t d = distance(name, size, names[i], other);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}
