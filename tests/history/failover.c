#include "failover.h"

#include "peer.h"
#include "sql.h"

#include <err.h>
#include <signal.h>

enum step { PAUSING, ENDING, PROMOTING };

static struct {
    enum step step;
    const char *standby;
    int postmaster;
    char host[256]; /* of the primary that ends */
    PGconn *pg;     /* to the standby */
} f;

static const char *ask(const char *statement)
{
    static char answer[32];
    PGresult *result = PQexec(f.pg, statement);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        errx(2, "%s: %s", statement, PQerrorMessage(f.pg));
    snprintf(answer, sizeof answer, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return answer;
}

void failover_begin(const char *standby, int postmaster)
{
    f.standby = standby;
    f.postmaster = postmaster;
    f.step = PAUSING;
    sql_pause();
}

static void end_primary(struct run *run)
{
    if (!sql_is_paused())
        return;
    snprintf(f.host, sizeof f.host, "%s", sql_host());
    sql_leave(run);
    if (kill(f.postmaster, SIGQUIT))
        err(2, "the primary cannot be ended");
    f.step = ENDING;
}

/* Only when the last of its processes is gone: two that take writes would be two truths. */
static void promote(void)
{
    const char *const names[] = {"host", "dbname", "user", NULL};
    const char *const values[] = {f.host, "postgres", "postgres", NULL};
    if (PQpingParams(names, values, 0) != PQPING_NO_RESPONSE)
        return;
    f.pg = PQconnectdb(f.standby);
    if (PQstatus(f.pg) != CONNECTION_OK)
        errx(2, "%s", PQerrorMessage(f.pg));
    must(*ask("SELECT pg_promote(false)") == 't', "the standby is not promoted");
    f.step = PROMOTING;
}

bool failover_turn(struct run *run)
{
    switch (f.step) {
    case PAUSING: end_primary(run); return false;
    case ENDING: promote(); return false;
    case PROMOTING: break;
    }
    if (*ask("SELECT pg_is_in_recovery()") != 'f')
        return false;
    PQfinish(f.pg);
    sql_return(run);
    return true;
}
