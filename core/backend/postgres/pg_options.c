#include "backend/postgres/pg_options.h"

#include "base/sql_name.h"
#include "conf/conf_check.h"
#include "conf/option_rows.h"

#include <libpq-fe.h>
#include <string.h>

#define OPTION_OWN struct pg_conf

/* The longest name that PostgreSQL keeps (NAMEDATALEN - 1): it cuts a longer one in LISTEN, and
 * refuses it in pg_notify. */
#define CHANNEL_MAX 63
/* Of the last part of a log's name; "_changed" and others are put behind it. */
#define LOG_NAME_MAX 48

/* clang-format off */
const struct option pg_options[] = {
    {OWN(OPT_STRING, url, "url", NULL), .required = true, .secret = true,
     .text = "A libpq connection string or URI. Keep passwords out of the file with `${NAME}`."},
    {BACKEND(OPT_STRING, feed, "feed", NULL),
     .text = "The channel on which the database tells of changes with NOTIFY; `rtcache watch-sql` prints the triggers. See [consistency](consistency.md#changes-from-the-database)."},
    {OWN(OPT_STRING, feed_log, "feed_log", NULL),
     .text = "The table, NAME or SCHEMA.NAME, that `rtcache watch-sql --log` writes changes to. The feed reads it instead of listening: commits do not wait for one another, a cut leaves no gap, and poolers and standbys are no obstacle. `feed` stays the name of the channel, of which the table may have several. See [consistency](consistency.md#a-log-instead-of-notify)."},
    {OWN(OPT_DURATION, feed_poll_ms, "feed_poll", "25ms"), .least = 1, .most = HOUR,
     .text = "How long after it found something the feed looks at its log again."},
    {OWN(OPT_DURATION, feed_poll_idle_ms, "feed_poll_idle", "250ms"), .least = 1, .most = HOUR,
     .text = "The longest wait between two looks at the log: it doubles with each that finds nothing."},
    {OWN(OPT_DURATION, log_keep_ms, "log_keep", "1h"), .least = SEC, .most = 30 * DAY,
     .text = "How old changes get in the log before the server takes them out. A cut or a restart that took longer is a gap."},
    {BACKEND(OPT_DURATION, feed_heartbeat_ms, "feed_heartbeat", "5s"), .least = 10, .most = HOUR,
     .text = "How often the feed sends itself a sign of life through the database; after three that do not come back it connects again. Where it reads a log, an answer may take three times as long."},
    {BACKEND(OPT_DURATION, feed_grace_ms, "feed_grace", "1min"), .least = 0, .most = DAY,
     .text = "How long entries count as fresh while the feed is cut."},
    {BACKEND(OPT_INT, pool, "pool", "4"), .least = 1, .most = 1000,
     .text = "Connections, shared out over the loader threads, of which each has at least one."},
    {OWN(OPT_INT, pipeline, "pipeline", "64"), .least = 1, .most = 10000,
     .text = "Queries in the air on one connection; with `prepared = false` it is 1."},
    {OWN(OPT_INT, group, "group", "16"), .least = 1, .most = 200,
     .text = "`SELECT`s of one moment that go out in one transaction; 1: each has its own. See [loaders](loaders.md#one-transaction-for-many-selects)."},
    {OWN(OPT_INT, statements, "statements", "256"), .least = 1, .most = 100000,
     .text = "Prepared statements kept on a connection; the least recently used one goes first."},
    {OWN(OPT_BOOL, prepared, "prepared", "true"),
     .text = "Whether statements get names on the server, which saves it their analysis and planning. false: none do, as is right behind a pooler that shares sessions between clients; a connection then has one query in the air. See [poolers](operations.md#behind-pgbouncer)."},
    {OWN(OPT_DURATION, statement_age_ms, "statement_age", "10s"), .least = 100, .most = HOUR,
     .text = "How old what is known of a statement's parameters and columns may be when it is sent: the time until a change of the schema that raises no error is noticed. See [changes of the schema](loaders.md#changes-of-the-schema)."},
    {OWN(OPT_DURATION, connection_age_ms, "connection_age", "30min"), .least = 0, .most = 30 * DAY,
     .text = "How old a connection gets before it is replaced, when it is idle: the time until settings of a role or a database (`ALTER ROLE ... SET search_path`) are seen. 0: for ever."},
    {OWN(OPT_DURATION, connect_timeout_ms, "connect_timeout", "5s"), .least = 1, .most = HOUR,
     .text = "How long connecting may take."},
    {OWN(OPT_DURATION, reconnect_base_ms, "reconnect_base", "100ms"), .least = 1, .most = HOUR,
     .text = "The first wait before connecting again; it doubles with every failure."},
    {OWN(OPT_DURATION, reconnect_cap_ms, "reconnect_cap", "5s"), .least = 1, .most = HOUR,
     .text = "The longest wait before connecting again."},
    {.name = NULL},
};
/* clang-format on */

/* That the log is a table's name with room for the names made of it, and has a channel. */
static void check_log(const struct conf_check *c, const struct conf_backend *b)
{
    static const char *const with_log[] = {"feed_poll", "feed_poll_idle", "log_keep"};
    const struct pg_conf *own = b->own;
    struct sql_name name;
    struct err e;
    if (!own->feed_log) {
        for (size_t i = 0; i < sizeof with_log / sizeof *with_log; i++)
            if (conf_check_text(c, with_log[i]))
                conf_check_wrong(c, with_log[i], "\"%s\" is for a feed that has a \"feed_log\"",
                                 with_log[i]);
        return;
    }
    if (!b->feed)
        conf_check_wrong(c, "feed_log",
                         "\"feed_log\" needs \"feed\" beside it: the channel that the log's rows "
                         "name, \"rtcache\" where watch-sql was told of no other");
    if (sql_name_read(&name, own->feed_log, &e) != 0)
        conf_check_wrong(c, "feed_log", "\"feed_log\": %s", e.text);
    else if (strlen(name.text[name.parts - 1]) > LOG_NAME_MAX)
        conf_check_wrong(c, "feed_log", "\"feed_log\": the name of a log has at most %d bytes",
                         LOG_NAME_MAX);
    conf_check_order(c, "feed_poll", own->feed_poll_ms, "feed_poll_idle", own->feed_poll_idle_ms);
}

void pg_options_check(const struct conf_check *c, const struct conf_backend *b)
{
    const struct pg_conf *own = b->own;
    conf_check_order(c, "reconnect_base", own->reconnect_base_ms, "reconnect_cap",
                     own->reconnect_cap_ms);
    if (b->feed && strlen(b->feed) > CHANNEL_MAX)
        conf_check_wrong(c, "feed",
                         "\"feed\": \"%.64s...\" is longer than the %d bytes of a channel's name",
                         b->feed, CHANNEL_MAX);
    check_log(c, b);
}

int pg_options_name_source(const struct conf_backend *b, struct buf *out)
{
    static const char *const naming[] = {"service", "host",        "hostaddr",
                                         "port",    "dbname",      "user",
                                         "options", "replication", "client_encoding"};
    const struct pg_conf *own = b->own;
    PQconninfoOption *all = PQconninfoParse(own->url, NULL);
    int rc = all ? 0 : ERR_NOMEM; /* what cannot be read was refused before */
    for (PQconninfoOption *o = all; o && o->keyword && rc == 0; o++)
        for (size_t i = 0; i < sizeof naming / sizeof *naming && rc == 0; i++)
            if (o->val && strcmp(o->keyword, naming[i]) == 0)
                rc = buf_printf(out, "%s=%s\n", o->keyword, o->val);
    PQconninfoFree(all);
    return rc;
}
