#include "backend/pg_identity.h"

#include <stdio.h>
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
        [PG_WAL_END] = "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text",
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

void pg_identity_take(struct pg_identity *id, enum pg_identity_part part, struct slice answer)
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

bool pg_identity_empty(const struct pg_identity *id)
{
    return !id->system[0] && !id->timeline[0] && !id->started[0] && id->wal_end == 0;
}

static bool differs(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) != 0;
}

static bool agrees(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) == 0;
}

bool pg_identity_same(const struct pg_identity *before, const struct pg_identity *now)
{
    if (differs(before->system, now->system) || differs(before->timeline, now->timeline))
        return false;
    if (now->wal_end != 0 && now->wal_end < before->wal_end)
        return false;
    return (agrees(before->system, now->system) && agrees(before->timeline, now->timeline)) ||
           agrees(before->started, now->started);
}

void pg_identity_show(const struct pg_identity *id, char out[PG_IDENTITY_TEXT])
{
    snprintf(out, PG_IDENTITY_TEXT, "%s/%s", id->system[0] ? id->system : "?",
             id->timeline[0] ? id->timeline : "?");
}
