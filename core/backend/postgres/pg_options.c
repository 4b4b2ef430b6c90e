#include "backend/postgres/pg_options.h"

#include "conf/conf_check.h"
#include "conf/option_rows.h"

#include <libpq-fe.h>
#include <string.h>

#define OPTION_OWN struct pg_conf

/* The longest name that PostgreSQL keeps (NAMEDATALEN - 1): it cuts a longer one in LISTEN, and
 * refuses it in pg_notify. */
#define CHANNEL_MAX 63

/* clang-format off */
const struct option pg_options[] = {
    {OWN(OPT_STRING, url, "url", NULL), .required = true, .secret = true,
     .text = "A libpq connection string or URI. Keep passwords out of the file with `${NAME}`."},
    {BACKEND(OPT_STRING, feed, "feed", NULL),
     .text = "The channel on which the database tells of changes with NOTIFY; `rtcache watch-sql` prints the triggers. See [consistency](consistency.md#changes-from-the-database)."},
    {BACKEND(OPT_DURATION, feed_heartbeat_ms, "feed_heartbeat", "5s"), .least = 10, .most = HOUR,
     .text = "How often the feed sends itself a sign of life through the database; after three that do not come back it connects again."},
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

void pg_options_check(const struct conf_check *c, const struct conf_backend *b)
{
    const struct pg_conf *own = b->own;
    conf_check_order(c, "reconnect_base", own->reconnect_base_ms, "reconnect_cap",
                     own->reconnect_cap_ms);
    if (b->feed && strlen(b->feed) > CHANNEL_MAX)
        conf_check_wrong(c, "feed",
                         "\"feed\": \"%.64s...\" is longer than the %d bytes of a channel's name",
                         b->feed, CHANNEL_MAX);
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
