#include "backend/postgres/pg_error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void pg_error_one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; text && *text && n + 1 < size; text++) {
        char c = isspace((unsigned char)*text) ? ' ' : *text;
        if (c == ' ' && (n == 0 || out[n - 1] == ' '))
            continue;
        out[n++] = c;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

const char *pg_error_state(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    return state ? state : "";
}

static bool means_down(const char *state)
{
    return state[0] == '\0' || strncmp(state, "08", 2) == 0 || strncmp(state, "57P0", 4) == 0;
}

/* Out of memory, room or connections, stopped for its time, or a fault of the system below: that is
 * the server's health. What it says of a value, a name or a right is an answer like any other, and
 * so is a conflict of two transactions, which may do better another time. */
static void judge(const char *state, struct err *e)
{
    e->sick = strncmp(state, "53", 2) == 0 || strncmp(state, "57", 2) == 0 ||
              strncmp(state, "58", 2) == 0;
    bool conflict = strncmp(state, "40", 2) == 0 || strcmp(state, "55P03") == 0;
    if (e->sick || conflict)
        e->retry = 1;
}

/* Whether no error of its class quotes rows in its detail: what is about connections, rights, names
 * and the state of things. */
static bool is_of_no_row(const char *state)
{
    static const char classes[][3] = {"08", "0A", "25", "26", "28", "3D", "3F",
                                      "40", "42", "53", "54", "55", "57", "58"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(state, classes[i], 2) == 0)
            return true;
    return false;
}

static bool is_ascii(const char *at, const char *end)
{
    while (at < end && (unsigned char)*at < 0x80)
        at++;
    return at == end;
}

void pg_error_hide_value(char message[ERR_TEXT_MAX])
{
    char behind[ERR_TEXT_MAX] = "", *end = message + strlen(message);
    char *first = strchr(message, '"'), *last = strrchr(message, '"');
    if (!is_ascii(message, first ? first : end) || (last && !is_ascii(last, end))) {
        strcpy(message, "a value cannot be taken");
    } else if (first) {
        if (last > first) /* else it was cut inside the value */
            strcpy(behind, last + 1);
        snprintf(first, ERR_TEXT_MAX - (size_t)(first - message), "\"...\"%s", behind);
    }
}

int pg_error_of_result(const PGresult *res, bool full, struct err *e)
{
    char message[ERR_TEXT_MAX], detail[ERR_TEXT_MAX] = "", hint[ERR_TEXT_MAX];
    const char *state = pg_error_state(res);
    const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    pg_error_one_line(primary ? primary : PQresultErrorMessage(res), message, sizeof message);
    if (!full && strncmp(state, "22", 2) == 0)
        pg_error_hide_value(message);
    if (full || is_of_no_row(state))
        pg_error_one_line(PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL), detail, sizeof detail);
    pg_error_one_line(PQresultErrorField(res, PG_DIAG_MESSAGE_HINT), hint, sizeof hint);
    bool more = detail[0] || hint[0];
    int code =
        err_set(e, means_down(state) ? ERR_BACKEND_DOWN : ERR_BACKEND, "%s%s%s%s%s%s%s%s", state,
                state[0] ? " " : "", message[0] ? message : "the server gave no reason",
                more ? " (" : "", detail, detail[0] && hint[0] ? "; " : "", hint, more ? ")" : "");
    judge(state, e);
    return code;
}

int pg_error_of_conn(const PGconn *pg, const char *what, struct err *e)
{
    char message[ERR_TEXT_MAX];
    pg_error_one_line(pg ? PQerrorMessage(pg) : "", message, sizeof message);
    return err_set(e, ERR_BACKEND_DOWN, "%s%s%s", what, message[0] ? ": " : "", message);
}

enum call_fate pg_error_fate(const PGresult *res)
{
    const char *state = pg_error_state(res);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool ends = severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
    bool open = ends || means_down(state) || strcmp(state, "40003") == 0;
    return open ? CALL_SENT : CALL_UNDONE;
}

bool pg_error_is_cancel(const PGresult *res)
{
    return strcmp(pg_error_state(res), "57014") == 0;
}

enum pg_doubt pg_error_doubt(const PGresult *res)
{
    const char *state = pg_error_state(res);
    if (strncmp(state, "22", 2) == 0 || strcmp(state, "42501") == 0)
        return PG_DOUBT_TYPES;
    if (strncmp(state, "42", 2) == 0 || strncmp(state, "26", 2) == 0 ||
        strncmp(state, "3F", 2) == 0 || strncmp(state, "XX", 2) == 0)
        return PG_DOUBT_PLAN;
    if (strcmp(state, "0A000") != 0)
        return PG_SURE;
    /* Messages come in the server's language; the name of the function that raised it does not. */
    const char *from = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);
    return from && strcmp(from, "RevalidateCachedQuery") == 0 ? PG_DOUBT_PLAN : PG_DOUBT_TYPES;
}

bool pg_error_is_lost(const PGresult *res)
{
    static const char *const states[] = {"26000", "42P05", "08P01"};
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = pg_error_state(res);
    if (!severity || strcmp(severity, "ERROR") != 0) /* a pooler's own end a connection */
        return false;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}
