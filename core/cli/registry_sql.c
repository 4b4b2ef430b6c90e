#include "cli/registry_sql.h"

#include "base/sql_name.h"
#include "cli/watch_sql.h"
#include "conf/options.h"

#include <string.h>

#define TABLE_DEFAULT   "cache_loader"
#define CHANNEL_DEFAULT "rtcache"
#define LOG_DEFAULT     "rtcache_log"

/* ---- words ---- */

static int take_option(struct registry_sql *g, char **argv, int argc, int *i, struct err *e)
{
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    bool is_log = size == 5 && memcmp(word, "--log", 5) == 0;
    bool is_channel = size == 9 && memcmp(word, "--channel", 9) == 0;
    const char **at = is_log ? &g->log : &g->channel;
    if (strcmp(word, "--sqlite") == 0) {
        g->sqlite = true;
        return 0;
    }
    if (!is_log && !is_channel)
        return err_set(e, ERR_BAD_REQUEST,
                       "registry-sql takes --channel, --log and --sqlite, not %.60s", word);
    if (*at)
        return err_set(e, ERR_BAD_REQUEST, "%.*s stands twice", (int)size, word);
    bool bare = !equals && (*i + 1 == argc || strncmp(argv[*i + 1], "--", 2) == 0);
    if (bare && is_channel)
        return err_set(e, ERR_BAD_REQUEST, "--channel needs a value");
    *at = bare ? LOG_DEFAULT : equals ? equals + 1 : argv[++*i];
    return 0;
}

int registry_sql_parse(struct registry_sql *g, int argc, char **argv, struct err *e)
{
    *g = (struct registry_sql){.table = NULL};
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            rc = take_option(g, argv, argc, &i, e);
        else if (g->table)
            rc = err_set(e, ERR_BAD_REQUEST, "\"%.60s\" is one word too many", argv[i]);
        else
            g->table = argv[i];
    }
    if (rc == 0 && g->sqlite && (g->channel || g->log))
        rc = err_set(e, ERR_BAD_REQUEST,
                     "--sqlite goes without --channel and --log: SQLite has no feed");
    if (!g->table)
        g->table = TABLE_DEFAULT;
    if (g->log && !g->channel)
        g->channel = CHANNEL_DEFAULT;
    return rc;
}

/* ---- SQL ---- */

static const char head[] =
    "-- Loaders that the server reads with: registry = { backend = ..., table = ... } in rtcache.conf\n";
static const char grants[] = "-- Its role needs: GRANT SELECT ON %.*s TO ...;\n";
static const char table[] =
    "CREATE TABLE IF NOT EXISTS %.*s (\n"
    "  key_pattern %s NOT NULL PRIMARY KEY CHECK (key_pattern <> ''),\n"
    "  loader_type %s NOT NULL, -- a name of loader_types in rtcache.conf\n"
    "  ttl_seconds %s CHECK (ttl_seconds BETWEEN 0 AND %lld), -- 0: for ever; NULL: as the type says\n"
    "  stale_ttl_seconds %s CHECK (stale_ttl_seconds BETWEEN 0 AND %lld) -- after the ttl\n"
    ");\n";

static int write_table(struct buf *out, const struct registry_sql *g, struct slice name)
{
    const char *text = g->sqlite ? "TEXT" : "text", *number = g->sqlite ? "INTEGER" : "integer";
    long long most = OPTIONS_MOST_TTL_MS / 1000;
    int rc = buf_append(out, head, sizeof head - 1);
    if (rc == 0 && !g->sqlite)
        rc = buf_printf(out, grants, SLICE_ARG(name));
    return rc != 0 ? rc
                   : buf_printf(out, table, SLICE_ARG(name), text, text, number, most, number, most);
}

int registry_sql_write(struct buf *out, const struct registry_sql *g, struct err *e)
{
    struct sql_name name;
    struct buf quoted;
    int rc = sql_name_read(&name, g->table, e);
    if (rc != 0)
        return rc;
    buf_init(&quoted, 0);
    rc = sql_name_put_beside(&quoted, &name, name.text[name.parts - 1]);
    if (rc == 0)
        rc = write_table(out, g, buf_slice(&quoted));
    buf_fini(&quoted);
    if (rc != 0)
        return err_set(e, ERR_NOMEM, "no memory");
    const struct watch_sql watch = {
        .action = WATCH_INSTALL,
        .table = g->table,
        .key = CONF_REGISTRY_KEY "{key_pattern}",
        .channel = g->channel,
        .log = g->log,
    };
    return g->channel ? watch_sql_write(out, &watch, e) : 0;
}
