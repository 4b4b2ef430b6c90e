#include "sql.h"

#include "peer.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>

#define SQL_PERCENT 8 /* of the operations */

struct writer {
    struct watch watch;
    struct run *run;
    PGconn *pg;
    struct record r;
    bool busy, deleted;
};

struct late {
    uint64_t known_ns, due_ns;
    uint32_t key;
    struct known row;
};

struct told {
    uint64_t due_ns;
    uint32_t key;
    int64_t version;
};

#define TOLD_NS 100000000 /* by then the write's answer has come, if it comes */
#define ROWS    "SELECT id, version, left(body, 16), team, deleted FROM r_rows"

static struct writer writers[SQL_WRITERS];
static struct told told[SQL_TOLD];
static uint32_t told_head, told_tail;
static struct writer replica;
static PGconn *admin;
static const char *primary_url, *replica_url;
static bool paused;
static struct late late[SQL_QUEUE];
static uint32_t late_head, late_tail;
static uint64_t sent_ns; /* since when the oldest row in the air is known */
static uint64_t lag_ns;  /* the longest */
static uint64_t late_ns; /* nothing is due before; rows stay in order */

static PGconn *open_database(const char *url)
{
    PGconn *pg = PQconnectdb(url);
    if (PQstatus(pg) != CONNECTION_OK)
        errx(2, "%s", PQerrorMessage(pg));
    return pg;
}

PGresult *sql_ask(const char *statement)
{
    PGresult *result = PQexec(admin, statement);
    ExecStatusType how = PQresultStatus(result);
    if (how != PGRES_COMMAND_OK && how != PGRES_TUPLES_OK)
        errx(2, "%s: %s", statement, PQerrorMessage(admin));
    return result;
}

static void flush(struct writer *w)
{
    int rc = PQflush(w->pg);
    if (rc < 0)
        errx(2, "%s", PQerrorMessage(w->pg));
    run_watch(w->run, &w->watch, EPOLLIN | (rc ? EPOLLOUT : 0));
}

/* ---- writers ---- */

/* old: what was known before. Who reads past its tag would find it there still. */
static void follow_up(struct run *run, const struct record *r, bool deleted,
                      const struct known *old)
{
    unsigned class = key_class(r->key);
    struct follow f = {.op = OP_INVALIDATE, .key = r->key, .deleted = deleted};
    if (class != CLASS_R && old->version && run_chance(run, 40)) {
        f.op = OP_INVALIDATE_TAG;
        f.tag = old->tag;
    } else if (class != CLASS_U) {
        f.wanted = r->version;
    }
    if (run_chance(run, 50))
        run_follow(run, &f);
}

static void begin_write(struct run *run, struct writer *w)
{
    static const char *const statements[CLASSES] = {"write_p", "write_r", "write_u"};
    unsigned class = run_below(run, CLASSES);
    char id[16], body[BODY_MAX + 1], team[16];
    w->deleted = run_chance(run, 15);
    w->r = (struct record){
        .op = OP_WRITE,
        .key = run_key(run, class),
        .content = run_random(run),
        .tag = (uint16_t)run_below(run, TEAMS),
        .begin_ns = run_now(run),
    };
    snprintf(id, sizeof id, "%u", key_number(w->r.key));
    snprintf(team, sizeof team, "%u", w->r.tag);
    body[body_write(body, w->r.content)] = '\0';
    const char *values[] = {id, body, team, w->deleted ? "t" : "f"};
    must(PQsendQueryPrepared(w->pg, statements[class], 4, values, NULL, NULL, 0),
         PQerrorMessage(w->pg));
    w->busy = true;
    run->busy++;
    flush(w);
}

static void end_write(struct writer *w, PGresult *result)
{
    struct run *run = w->run;
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        errx(2, "a write failed: %s", PQerrorMessage(w->pg));
    w->r.end_ns = run_now(run);
    w->r.version = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    w->r.result = RESULT_DONE;
    run_record(run, &w->r);
    run->ended++;
    struct known row = {
        .version = w->r.version, .content = w->r.content, .tag = w->r.tag, .deleted = w->deleted};
    struct known old = run->known[key_class(w->r.key)][key_number(w->r.key)];
    sql_changed(run, w->r.key, &row);
    follow_up(run, &w->r, w->deleted, &old);
}

static void note_lag(struct run *run)
{
    uint64_t now = run_now(run);
    if (now - sent_ns > lag_ns)
        lag_ns = now - sent_ns;
}

unsigned sql_lag_ms(void)
{
    return (unsigned)(lag_ns / 1000000);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct writer *w = (struct writer *)watch;
    (void)events;
    if (!PQconsumeInput(w->pg))
        errx(2, "%s", PQerrorMessage(w->pg));
    flush(w);
    while (w->busy && !PQisBusy(w->pg)) {
        PGresult *result = PQgetResult(w->pg);
        if (!result) {
            w->busy = false;
            w->run->busy--;
            if (w == &replica)
                note_lag(w->run);
        } else if (w == &replica) {
            if (PQresultStatus(result) == PGRES_FATAL_ERROR)
                errx(2, "the replica: %s", PQerrorMessage(w->pg));
        } else {
            end_write(w, result);
        }
        PQclear(result);
    }
}

static void prepare(PGconn *pg, char letter)
{
    char name[16], text[512];
    snprintf(name, sizeof name, "write_%c", letter);
    snprintf(text, sizeof text,
             "INSERT INTO %c_rows (id, body, team, deleted) VALUES ($1, $2, $3, $4) "
             "ON CONFLICT (id) DO UPDATE SET body = excluded.body, team = excluded.team, "
             "deleted = excluded.deleted RETURNING version",
             letter);
    PGresult *result = PQprepare(pg, name, text, 4, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        errx(2, "%s", PQerrorMessage(pg));
    PQclear(result);
}

/* ---- the replica ---- */

static uint64_t next_delay_ns(struct run *run)
{
    uint32_t n = run_below(run, 1000);
    uint64_t ms = n == 0 ? 200 : n < 20 ? 150 : n < 400 ? 20 : 2;
    return ms * 1000000;
}

void sql_changed(struct run *run, uint32_t key, const struct known *row)
{
    run_learn(run, key, row);
    if (key_class(key) != CLASS_R)
        return;
    must(late_tail - late_head < SQL_QUEUE, "the replica is too late");
    uint64_t due = run->last_ns + next_delay_ns(run);
    late_ns = due > late_ns ? due : late_ns;
    late[late_tail++ % SQL_QUEUE] = (struct late){run->last_ns, late_ns, key, *row};
}

static int append_row(struct buf *b, uint32_t number, const struct known *row)
{
    char body[BODY_MAX];
    int size = row->content ? (int)body_write(body, row->content) : 0;
    return buf_printf(b,
                      "INSERT INTO r_rows (id, body, team, deleted, version) "
                      "VALUES (%u, '%.*s', %u, %s, %" PRId64 ") ON CONFLICT (id) DO UPDATE SET "
                      "body = excluded.body, team = excluded.team, deleted = excluded.deleted, "
                      "version = excluded.version WHERE r_rows.version < excluded.version;",
                      number, size, body, row->tag, row->deleted ? "true" : "false", row->version);
}

/* ---- what was told of, and whose write was not answered ---- */

void sql_told(struct run *run, uint32_t key, int64_t version)
{
    if (key_class(key) != CLASS_R || told_tail - told_head == SQL_TOLD)
        return;
    told[told_tail++ % SQL_TOLD] = (struct told){run_now(run) + TOLD_NS, key, version};
}

static struct known read_row(const PGresult *rows, int i)
{
    return (struct known){
        .version = strtoll(PQgetvalue(rows, i, 1), NULL, 10),
        .content = strtoull(PQgetvalue(rows, i, 2), NULL, 16),
        .tag = (uint16_t)strtoul(PQgetvalue(rows, i, 3), NULL, 10),
        .deleted = *PQgetvalue(rows, i, 4) == 't',
    };
}

/* It goes to the replica all the same: that would be late for ever. */
static void fetch_told(struct run *run)
{
    for (; told_head != told_tail; told_head++) {
        const struct told *t = &told[told_head % SQL_TOLD];
        if (t->due_ns > run_now(run))
            return;
        if (run->known[CLASS_R][key_number(t->key)].version >= t->version)
            continue;
        char text[128];
        snprintf(text, sizeof text, ROWS " WHERE id = %u", key_number(t->key));
        PGresult *rows = sql_ask(text);
        if (PQntuples(rows) == 1) {
            struct known row = read_row(rows, 0);
            sql_changed(run, t->key, &row);
        }
        PQclear(rows);
    }
}

static void send_due(struct run *run)
{
    struct buf b;
    uint64_t now = run_now(run);
    if (replica.busy || late_head == late_tail || late[late_head % SQL_QUEUE].due_ns > now)
        return;
    buf_init(&b, 0);
    sent_ns = late[late_head % SQL_QUEUE].known_ns;
    for (unsigned i = 0; i < 64 && late_head != late_tail; i++) {
        const struct late *l = &late[late_head % SQL_QUEUE];
        if (l->due_ns > now)
            break;
        must(append_row(&b, key_number(l->key), &l->row) == 0, "memory");
        late_head++;
    }
    must(buf_append(&b, "", 1) == 0, "memory");
    must(PQsendQuery(replica.pg, b.data), PQerrorMessage(replica.pg));
    buf_fini(&b);
    replica.busy = true;
    run->busy++;
    flush(&replica);
}

/* ---- all of them ---- */

static void open_writer(struct writer *w, struct run *run, const char *url)
{
    *w = (struct writer){.run = run, .pg = open_database(url), .watch.ready = on_ready};
    w->watch.fd = PQsocket(w->pg);
}

static void open_all(struct run *run)
{
    admin = open_database(primary_url);
    for (unsigned i = 0; i < SQL_WRITERS; i++) {
        open_writer(&writers[i], run, primary_url);
        for (unsigned c = 0; c < CLASSES; c++)
            prepare(writers[i].pg, class_letters[c]);
    }
    open_writer(&replica, run, replica_url);
    for (unsigned i = 0; i <= SQL_WRITERS; i++) {
        struct writer *w = i < SQL_WRITERS ? &writers[i] : &replica;
        must(PQsetnonblocking(w->pg, 1) == 0, "a connection cannot be made non-blocking");
        run_watch(run, &w->watch, EPOLLIN);
    }
}

void sql_init(struct run *run, const char *primary, const char *replica_db)
{
    primary_url = primary;
    replica_url = replica_db;
    open_all(run);
}

void sql_fini(void)
{
    for (unsigned i = 0; i < SQL_WRITERS; i++)
        PQfinish(writers[i].pg);
    PQfinish(replica.pg);
    PQfinish(admin);
    admin = NULL;
}

void sql_pause(void)
{
    paused = true;
}

bool sql_is_pausing(void)
{
    return paused && admin != NULL;
}

bool sql_is_paused(void)
{
    bool busy = !sql_is_idle();
    for (unsigned i = 0; i < SQL_WRITERS; i++)
        busy = busy || writers[i].busy;
    return paused && !busy;
}

const char *sql_host(void)
{
    return PQhost(admin);
}

void sql_leave(struct run *run)
{
    for (unsigned i = 0; i <= SQL_WRITERS; i++)
        run_watch(run, i < SQL_WRITERS ? &writers[i].watch : &replica.watch, 0);
    sql_fini();
}

void sql_return(struct run *run)
{
    open_all(run);
    paused = false;
}

void sql_turn(struct run *run)
{
    for (unsigned i = 0; i < SQL_WRITERS && !paused; i++) {
        bool due = run->sql_started * 100 < run->started * SQL_PERCENT;
        if (run->quiet || !due || run->started >= run->limit || writers[i].busy)
            continue;
        run->started++;
        run->sql_started++;
        begin_write(run, &writers[i]);
    }
    if (!admin)
        return;
    fetch_told(run);
    send_due(run);
}

bool sql_is_idle(void)
{
    return late_head == late_tail && !replica.busy;
}

/* ---- after quiet ---- */

static void level_key(struct buf *b, const PGresult *rows, int i)
{
    struct known row = read_row(rows, i);
    must(append_row(b, (uint32_t)strtoul(PQgetvalue(rows, i, 0), NULL, 10), &row) == 0, "memory");
}

void sql_level(void)
{
    struct buf b;
    PGresult *rows = sql_ask(ROWS);
    buf_init(&b, 0);
    for (int i = 0; i < PQntuples(rows); i++)
        level_key(&b, rows, i);
    PQclear(rows);
    must(buf_append(&b, "", 1) == 0, "memory");
    must(PQsetnonblocking(replica.pg, 0) == 0, "a connection cannot be made blocking");
    PGresult *result = PQexec(replica.pg, b.data);
    must(PQresultStatus(result) != PGRES_FATAL_ERROR, PQerrorMessage(replica.pg));
    PQclear(result);
    buf_fini(&b);
}

void sql_account(struct run *run)
{
    PGresult *rows = sql_ask("SELECT class, id, version, content, team, deleted FROM account");
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *class = strchr(class_letters, *PQgetvalue(rows, i, 0));
        must(class != NULL, "a row of no class");
        struct record r = {
            .op = OP_ROW,
            .key = key_of((uint32_t)(class - class_letters),
                          (uint32_t)strtoul(PQgetvalue(rows, i, 1), NULL, 10)),
            .version = strtoll(PQgetvalue(rows, i, 2), NULL, 10),
            .content = strtoull(PQgetvalue(rows, i, 3), NULL, 16),
            .tag = (uint16_t)strtoul(PQgetvalue(rows, i, 4), NULL, 10),
            .result = *PQgetvalue(rows, i, 5) == 't' ? RESULT_ABSENT : RESULT_VALUE,
        };
        run_record(run, &r);
    }
    PQclear(rows);
}
