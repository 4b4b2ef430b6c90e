#include "backend/postgres/pg_identity.h"

#include <stdlib.h>
#include <string.h>

/* A standby has no WAL of its own to name. The control file's two timelines, and that of the WAL
 * that it receives, come one after the other. */
#define STANDBY_TIMELINE                                                                           \
    "(SELECT pg_catalog.lpad(upper(pg_catalog.to_hex(greatest(c.timeline_id,"                      \
    " r.min_recovery_end_timeline, (SELECT w.received_tli FROM pg_catalog.pg_stat_wal_receiver"    \
    " w)))), 8, '0') FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery()"  \
    " r)"

const char *pg_identity_expression(enum pg_identity_part part)
{
    static const char *const expressions[PG_IDENTITY_PARTS] = {
        [PG_SYSTEM] = "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())",
        [PG_TIMELINE] = "CASE WHEN pg_catalog.pg_is_in_recovery() THEN " STANDBY_TIMELINE
                        " ELSE pg_catalog.substr(pg_catalog.pg_walfile_name("
                        "pg_catalog.pg_current_wal_lsn()), 1, 8) END",
        [PG_STARTED] = "(extract(epoch FROM pg_catalog.pg_postmaster_start_time())"
                       " * 1000000)::bigint::text",
        [PG_WAL_END] = "(CASE WHEN pg_catalog.pg_is_in_recovery()"
                       " THEN pg_catalog.pg_last_wal_replay_lsn()"
                       " ELSE pg_catalog.pg_current_wal_insert_lsn() END"
                       " - '0/0'::pg_catalog.pg_lsn)::text",
    };
    return expressions[part];
}

static void keep(char *out, size_t size, struct slice text)
{
    if (text.size >= size)
        text.size = 0;
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

void pg_identity_take(struct identity *id, enum pg_identity_part part, struct slice answer)
{
    char number[24];
    switch (part) {
    case PG_SYSTEM: keep(id->system, sizeof id->system, answer); break;
    case PG_TIMELINE: keep(id->timeline, sizeof id->timeline, answer); break;
    case PG_STARTED: keep(id->started, sizeof id->started, answer); break;
    case PG_WAL_END:
        keep(number, sizeof number, answer);
        id->wal_end = strtoull(number, NULL, 10);
        break;
    case PG_IDENTITY_PARTS: break;
    }
}
