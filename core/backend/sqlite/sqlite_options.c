#include "backend/sqlite/sqlite_options.h"

#include "conf/conf_check.h"
#include "conf/option_rows.h"

#include <string.h>

#define OPTION_OWN struct sqlite_conf

/* clang-format off */
const struct option sqlite_options[] = {
    {OWN(OPT_PATH, path, "path", NULL), .required = true,
     .text = "The database file. When the path leads to another file (`mv new.db app.db`, a link that is switched), that one is read from the next query on."},
    {OWN(OPT_PATH, init, "init", NULL),
     .text = "SQL that is run once to make the database where there is none."},
    {BACKEND(OPT_INT, pool, "pool", "2"), .least = 1, .most = 256,
     .text = "Worker threads, each with a connection."},
    {OWN(OPT_INT, statements, "statements", "256"), .least = 1, .most = 100000,
     .text = "Prepared statements kept on a connection; the least recently used one goes first."},
    {OWN(OPT_DURATION, busy_timeout_ms, "busy_timeout", "2s"), .least = 0, .most = HOUR,
     .text = "How long a query waits for a lock on the file."},
    {.name = NULL},
};
/* clang-format on */

void sqlite_options_check(const struct conf_check *c, const struct conf_backend *b)
{
    const struct sqlite_conf *own = b->own;
    const char *path = conf_check_text(c, "path"); /* own->path has a folder before it */
    if (path && (strcmp(path, ":memory:") == 0 || strncmp(path, "file:", 5) == 0))
        conf_check_wrong(c, "path", "\"path\" takes the name of a file; \"%.64s\" is none", path);
    if (own->init)
        conf_check_file(c, "init", own->init);
}

int sqlite_options_name_source(const struct conf_backend *b, struct buf *out)
{
    const struct sqlite_conf *own = b->own;
    return buf_append(out, own->path, strlen(own->path) + 1);
}
