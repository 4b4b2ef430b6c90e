#include "backend/postgres/pg_identity.h"

#include <stdlib.h>
#include <string.h>

const char *pg_identity_query(enum pg_identity_part part)
{
    static const char *const queries[PG_IDENTITY_PARTS] = {
        [PG_SYSTEM] = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()",
        [PG_TIMELINE] = "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name("
                        "pg_catalog.pg_current_wal_lsn()), 1, 8)",
        [PG_STARTED] = "SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time())"
                       " * 1000000)::bigint::text",
        [PG_WAL_END] =
            "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::text",
    };
    return queries[part];
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
