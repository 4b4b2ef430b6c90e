#include "backend/sql_word.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct slice sql_word_first(struct slice sql)
{
    const char *at = sql.data, *end = sql.data + sql.size;
    while (at < end) {
        if (isspace((unsigned char)*at) || *at == '(' || *at == ';') {
            at++;
        } else if (end - at >= 2 && memcmp(at, "--", 2) == 0) {
            while (at < end && *at != '\n')
                at++;
        } else if (end - at >= 2 && memcmp(at, "/*", 2) == 0) {
            unsigned depth = 0; /* they nest */
            do {
                bool opens = end - at >= 2 && memcmp(at, "/*", 2) == 0;
                bool closes = end - at >= 2 && memcmp(at, "*/", 2) == 0;
                depth += opens;
                depth -= closes;
                at += opens || closes ? 2 : 1;
            } while (depth > 0 && at < end);
        } else {
            break;
        }
    }
    const char *from = at;
    while (at < end && isalpha((unsigned char)*at))
        at++;
    return slice_of(from, (size_t)(at - from));
}

bool sql_word_is_one_of(struct slice word, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == word.size && strncasecmp(*words, word.data, word.size) == 0)
            return true;
    return false;
}
