#include "backend/sqlite/sqlite_init.h"

#include "base/buf.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_BACKEND_DOWN, "init file %s: %s", path, strerror(errno));
    int code = 0;
    ssize_t n = 1;
    while (code == 0 && n > 0) {
        char *room = buf_room(out, 65536);
        n = room ? read(fd, room, 65536) : 0;
        if (!room)
            code = err_set(e, ERR_BACKEND_DOWN, "init file %s: too large", path);
        else if (n < 0)
            code = err_set(e, ERR_BACKEND_DOWN, "init file %s: %s", path, strerror(errno));
        else
            out->size += (size_t)n;
    }
    close(fd);
    if (code == 0 && memchr(out->data, '\0', out->size))
        code = err_set(e, ERR_BACKEND_DOWN, "init file %s: a NUL byte in it", path);
    if (code == 0 && buf_append(out, "", 1) != 0) /* ends the text for SQLite */
        code = err_set(e, ERR_BACKEND_DOWN, "init file %s: too large", path);
    return code;
}

/* The line of the statement at `at`, or of the place in it where SQLite saw the fault. */
static int fault_line(sqlite3 *db, const char *text, const char *at)
{
    int offset = sqlite3_error_offset(db);
    if ((size_t)offset <= strlen(at)) /* -1: there is no such place */
        at += offset;
    int line = 1;
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return line;
}

static int run_all(sqlite3 *db, const char *sql_file, const char *text, struct err *e)
{
    for (const char *at = text; *at;) {
        sqlite3_stmt *stmt = NULL;
        const char *tail = at;
        at += strspn(at, " \t\r\n");
        int rc = sqlite3_prepare_v2(db, at, -1, &stmt, &tail);
        while (rc == SQLITE_OK && stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
            rc = SQLITE_OK;
        if (rc != SQLITE_OK && rc != SQLITE_DONE) {
            err_set(e, ERR_BACKEND_DOWN, "init file %s:%d: %s", sql_file, fault_line(db, text, at),
                    sqlite3_errmsg(db));
            sqlite3_finalize(stmt);
            return ERR_BACKEND_DOWN;
        }
        sqlite3_finalize(stmt);
        at = tail;
    }
    if (!sqlite3_get_autocommit(db))
        return err_set(e, ERR_BACKEND_DOWN, "init file %s: BEGIN without COMMIT", sql_file);
    return 0;
}

/* Fills the new file. Nobody else knows it, so it goes to disk once, at the end. */
static int fill(const char *path, const char *sql_file, const char *text, struct err *e)
{
    sqlite3 *db = NULL;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(path, &db, flags, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;", NULL, NULL,
                          NULL);
    int code = rc == SQLITE_OK ? run_all(db, sql_file, text, e)
                               : err_set(e, ERR_BACKEND_DOWN, "cannot make %s: %s", path,
                                         db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    if (code == 0 && sqlite3_exec(db, "PRAGMA journal_mode = WAL;", NULL, NULL, NULL) != SQLITE_OK)
        code = err_set(e, ERR_BACKEND_DOWN, "cannot make %s: %s", path, sqlite3_errmsg(db));
    if (sqlite3_close(db) != SQLITE_OK && code == 0)
        code = err_set(e, ERR_BACKEND_DOWN, "cannot make %s: it does not close", path);
    return code;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

/* Gives the new file its name, unless somebody has it. link() never replaces a file; where the
 * file system knows no links, renameat2 is asked for the same. */
static int take_name(const char *made, const char *path)
{
    if (link(made, path) == 0 || errno == EEXIST)
        return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    return renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_NOREPLACE) == 0 || errno == EEXIST ? 0
                                                                                               : -1;
}

int sqlite_init_make(const char *path, const char *sql_file, struct err *e)
{
    char made[PATH_MAX], folder[PATH_MAX], extra[PATH_MAX + 8];
    int size = snprintf(made, sizeof made, "%s.new-%016" PRIx64, path, rng_os());
    if (size >= (int)sizeof made)
        return err_set(e, ERR_BACKEND_DOWN, "the path of the database is too long");
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s/", slash ? (int)(slash - path) : 1, slash ? path : ".");

    struct buf text;
    buf_init(&text, SQLITE_INIT_MAX);
    int code = read_file(sql_file, &text, e);
    if (code == 0)
        code = fill(made, sql_file, text.data, e);
    if (code == 0 && (sync_path(made, O_RDWR) != 0 || take_name(made, path) != 0))
        code = err_set(e, ERR_BACKEND_DOWN, "cannot make %s: %s", path, strerror(errno));
    if (code == 0)
        (void)sync_path(folder, O_RDONLY | O_DIRECTORY);
    unlink(made);
    static const char *const beside[] = {"-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        snprintf(extra, sizeof extra, "%s%s", made, beside[i]);
        unlink(extra); /* there only after a failure */
    }
    buf_fini(&text);
    return code;
}
