#include "server/registry.h"

#include "base/clock.h"
#include "base/log.h"
#include "load/fingerprint.h"
#include "load/registry_numbers.h"
#include "server/registry_look.h"
#include "server/reload.h"
#include "server/restart.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_MS 1000 /* after the first look that fails; it doubles, up to `every` */
#define START_MS 250  /* the same at the start, without doubling */

/* Which rows registry_put took. */
enum choice { CHOSE_NONE, CHOSE_LATEST, CHOSE_FORMER };

struct registry {
    struct server *server;
    struct registry_look look;
    bool again; /* asked to look while it looks */
    bool stopped;
    struct registry_rows *latest; /* as they were read last; NULL: never in this life */
    struct registry_rows *kept;   /* of the last life, while there are no others */
    struct conf *refused_of;      /* upon which `latest` was refused; one reference; or NULL */
    char refused_why[ERR_TEXT_MAX];
    enum choice chose;
    bool fresh;     /* CHOSE_LATEST: they are others than those in force */
    struct err err; /* why the last look failed; code 0: it did not */
    int64_t wait_ms, looked_ms, begin_until_ms;
    void (*begun)(struct server *s);  /* while it begins */
    void (*looked)(struct server *s); /* of registry_look_first */
    ev_timer due;
    struct registry_counts counts;
    struct registry_numbers numbers;
    struct message telling;
    _Atomic bool told; /* telling is under way */
};

static struct conf *conf_of(const struct registry *r)
{
    const struct server *s = r->server;
    return s->snapshot ? s->snapshot->conf : s->conf;
}

static struct conf *base_of(const struct registry *r)
{
    return conf_without_rows(conf_of(r));
}

static bool has_rows_in_force(const struct registry *r)
{
    const struct snapshot *s = r->server->snapshot;
    return s && s->conf->registry.backend && !s->conf->rows_missing;
}

static bool latest_is_in_force(const struct registry *r)
{
    return r->latest && has_rows_in_force(r) &&
           conf_rows_equal(&r->latest->rows, &r->server->snapshot->conf->rows);
}

/* ---- how it goes ---- */

static enum registry_state state_of(const struct registry *r)
{
    if (r->err.code == 0)
        return r->refused_of ? REGISTRY_REFUSED : REGISTRY_OK;
    if (!has_rows_in_force(r))
        return REGISTRY_UNREAD;
    return r->counts.read_wall_ms == 0 ? REGISTRY_KEPT : REGISTRY_DOWN;
}

static void publish(struct registry *r)
{
    struct registry_counts *n = &r->counts;
    n->state = state_of(r);
    const char *why = n->state == REGISTRY_OK        ? ""
                      : n->state == REGISTRY_REFUSED ? r->refused_why
                                                     : r->err.text;
    snprintf(n->error, sizeof n->error, "%s", why);
    registry_numbers_set(&r->numbers, n);
}

static void log_row(const char *pattern, const char *text)
{
    if (pattern)
        log_error("registry.refused", "key_pattern=%s error=%s", log_q(pattern), log_q(text));
    else
        log_error("registry.refused", "error=%s", log_q(text));
}

/* conf_rows_told of rows that were read. */
static void take_refusal(void *arg, const char *pattern, const char *text)
{
    struct registry *r = arg;
    struct registry_counts *n = &r->counts;
    log_row(pattern, text);
    if (n->refusal_count < REGISTRY_REFUSALS) {
        struct registry_refusal *one = &n->refusals[n->refusal_count];
        snprintf(one->pattern, sizeof one->pattern, "%s", pattern ? pattern : "");
        snprintf(one->text, sizeof one->text, "%s", text);
    }
    n->refusal_count++;
}

static void forget_refusal(struct registry *r)
{
    conf_unref(r->refused_of);
    r->refused_of = NULL;
    r->counts.refusal_count = 0;
}

/* base: as the file has it. What is for lack of memory is tried again at the next look. */
static void keep_refusal(struct registry *r, struct conf *base, const struct err *e)
{
    r->counts.refused++;
    conf_unref(r->refused_of);
    r->refused_of = e->code == ERR_NOMEM ? NULL : conf_ref(conf_without_rows(base));
    snprintf(r->refused_why, sizeof r->refused_why, "%s", e->text);
}

/* ---- a look ---- */

static void arm(struct registry *r, int64_t ms)
{
    struct ev_loop *loop = r->server->loop;
    ev_timer_stop(loop, &r->due);
    if (r->stopped)
        return;
    ev_timer_set(&r->due, (double)(ms > 0 ? ms : 0) / 1e3, 0.);
    ev_timer_start(loop, &r->due);
}

static void arm_next(struct registry *r)
{
    int64_t every_ms = conf_of(r)->registry.every_ms, most_ms = every_ms;
    if (r->again)
        most_ms = REGISTRY_PAUSE_MS;
    else if (r->begun)
        most_ms = START_MS;
    else if (r->err.code != 0)
        most_ms = r->wait_ms;
    r->again = false;
    arm(r, most_ms < every_ms ? most_ms : every_ms);
}

/* Soon, but not too soon after the last one. */
static void look_soon(struct registry *r)
{
    if (r->look.asking)
        r->again = true;
    else if (!r->begun && r->look.of)
        arm(r, r->looked_ms + REGISTRY_PAUSE_MS - clock_ms());
}

static void look(struct registry *r)
{
    ev_timer_stop(r->server->loop, &r->due);
    r->counts.looks++;
    registry_look_begin(&r->look, conf_of(r));
}

static void fail(struct registry *r, const struct err *e)
{
    bool told = strcmp(r->err.text, e->text) == 0 && r->err.code != 0;
    int64_t every_ms = conf_of(r)->registry.every_ms;
    r->counts.failures++;
    r->wait_ms = r->err.code == 0 ? RETRY_MS : r->wait_ms * 2;
    r->wait_ms = r->wait_ms < every_ms ? r->wait_ms : every_ms;
    r->err = *e;
    if (!told)
        log_warn("registry.unread", "table=%s error=%s", log_q(conf_of(r)->registry.table),
                 log_q(e->text));
}

static void succeed(struct registry *r, struct registry_rows *rows)
{
    bool was_wrong = r->err.code != 0;
    err_clear(&r->err);
    r->counts.read_wall_ms = clock_wall_ms();
    if (was_wrong)
        log_info("registry.read", "table=%s rows=%zu", log_q(conf_of(r)->registry.table),
                 rows->rows.count);
    if (r->latest && conf_rows_equal(&r->latest->rows, &rows->rows)) {
        registry_rows_free(rows);
        return;
    }
    registry_rows_free(r->latest);
    r->latest = rows;
    forget_refusal(r);
}

static void begin_over(struct registry *r)
{
    void (*begun)(struct server *) = r->begun;
    r->begun = NULL;
    arm_next(r);
    begun(r->server);
}

static void on_looked(struct registry_look *l, struct registry_rows *rows, const struct err *e)
{
    struct registry *r = container_of(l, struct registry, look);
    void (*looked)(struct server *) = r->looked;
    if (rows)
        succeed(r, rows);
    else
        fail(r, e);
    r->looked_ms = clock_ms();
    publish(r);
    if (r->again && looked) { /* what it has seen may be older than the wish */
        r->again = false;
        look(r);
        return;
    }
    arm_next(r);
    r->looked = NULL;
    if (looked)
        looked(r->server);
    else if (!r->begun)
        registry_settle(r);
    else if (r->err.code == 0 || r->looked_ms >= r->begin_until_ms)
        begin_over(r);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct registry *r = timer->data;
    if (!r->look.asking)
        look(r);
}

bool registry_look_first(struct registry *r, void (*done)(struct server *s))
{
    if (r->stopped || !conf_of(r)->registry.backend)
        return false;
    r->looked = done;
    if (r->look.asking)
        r->again = true;
    else
        look(r);
    return true;
}

/* ---- a feed's word ---- */

static void recv_told(struct message *m, void *owner)
{
    (void)owner;
    struct registry *r = container_of(m, struct registry, telling);
    atomic_store(&r->told, false);
    r->counts.told++;
    if (!r->stopped)
        look_soon(r);
}

void registry_changed(void *arg)
{
    struct registry *r = arg;
    if (atomic_exchange(&r->told, true))
        return;
    r->telling.recv = recv_told;
    mailbox_send(&r->server->control, &r->telling);
}

/* ---- rows upon a file ---- */

static void exchange(struct conf **conf, struct conf *made)
{
    conf_unref(*conf);
    *conf = made;
}

static int put_latest(struct registry *r, struct conf **conf, struct err *e)
{
    struct conf *made;
    r->counts.refusal_count = 0;
    int rc = conf_with_rows(*conf, &r->latest->rows, &made, take_refusal, r, e);
    if (rc != 0) {
        keep_refusal(r, *conf, e);
        publish(r);
        return rc;
    }
    r->chose = CHOSE_LATEST;
    r->fresh = !latest_is_in_force(r);
    exchange(conf, made);
    return 0;
}

/* Those in force; at the start those of the last life. */
static const struct conf_rows *former(const struct registry *r)
{
    if (r->server->snapshot)
        return has_rows_in_force(r) ? &r->server->snapshot->conf->rows : NULL;
    return r->kept ? &r->kept->rows : NULL;
}

/* Those in force, upon what the file says now. At the start, and for a table that is another one,
 * they are not worth a refusal of the file. */
static int put_former(struct registry *r, struct conf **conf, bool must, struct err *e)
{
    const struct conf_rows *rows = former(r);
    struct conf *made;
    int rc = rows ? conf_with_rows(*conf, rows, &made, NULL, NULL, e) : ERR_CONFIG;
    if (rc == 0) {
        r->chose = CHOSE_FORMER;
        exchange(conf, made);
        return 0;
    }
    if (!rows || must)
        return rows ? rc : 0;
    log_row(NULL, e->text);
    return 0;
}

int registry_put(struct registry *r, struct conf **conf, bool all, struct err *e)
{
    r->chose = CHOSE_NONE;
    if (!(*conf)->registry.backend)
        return 0;
    bool is_same = registry_look_is_of(&r->look, *conf);
    if (is_same && r->latest && r->refused_of != *conf) {
        int rc = put_latest(r, conf, e);
        if (rc == 0 || all)
            return rc;
    }
    return put_former(r, conf, is_same && r->server->snapshot, e);
}

void registry_refused(struct registry *r, const struct err *e)
{
    if (r->chose != CHOSE_LATEST)
        return;
    r->counts.refusal_count = 0;
    take_refusal(r, NULL, e->text);
    keep_refusal(r, base_of(r), e);
    publish(r);
}

bool registry_fall_back(struct registry *r, const struct err *e)
{
    if (r->chose == CHOSE_NONE)
        return false;
    if (r->chose == CHOSE_FORMER) {
        log_row(NULL, e->text);
        registry_rows_free(r->kept);
        r->kept = NULL;
        return true;
    }
    struct err lasting = *e;
    lasting.code = ERR_CONFIG; /* they are not tried again before the start is over */
    registry_refused(r, &lasting);
    return true;
}

void registry_settle(struct registry *r)
{
    const struct server *s = r->server;
    if (r->stopped || !s->snapshot || !r->latest || !s->snapshot->conf->registry.backend)
        return;
    if (latest_is_in_force(r)) {
        forget_refusal(r);
        publish(r);
    } else if (r->refused_of != base_of(r)) {
        reload_rows(s->reload);
    }
}

/* ---- what is in force ---- */

/* What is known of a table that is none of ours any more. */
static void forget(struct registry *r)
{
    ev_timer_stop(r->server->loop, &r->due);
    registry_look_close(&r->look);
    forget_refusal(r);
    registry_rows_free(r->latest);
    r->latest = NULL;
    r->again = false;
    err_clear(&r->err);
}

static void tell_taken(struct registry *r)
{
    const struct conf *conf = conf_of(r);
    if (r->chose == CHOSE_LATEST && r->fresh) {
        r->counts.taken++;
        log_info("registry.taken", "table=%s rows=%zu given_way=%zu", log_q(conf->registry.table),
                 conf->rows.count, conf->rows_given_way);
    } else if (r->chose == CHOSE_FORMER && r->kept) {
        log_warn("registry.kept", "table=%s rows=%zu", log_q(conf->registry.table),
                 conf->rows.count);
    }
}

void registry_set(struct registry *r)
{
    const struct conf *conf = conf_of(r);
    if (r->stopped)
        return;
    tell_taken(r);
    if (r->chose == CHOSE_LATEST)
        forget_refusal(r);
    r->chose = CHOSE_NONE;
    registry_rows_free(r->kept);
    r->kept = NULL;
    if (r->look.of && !registry_look_is_of(&r->look, conf))
        forget(r);
    if (conf->registry.backend && !r->look.asking) {
        if (r->look.of)
            arm_next(r);
        else
            look(r);
    }
    publish(r);
}

/* ---- life ---- */

int registry_new(struct registry **out, struct server *s, struct err *e)
{
    *out = NULL;
    struct registry *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for the registry");
    r->server = s;
    registry_look_init(&r->look, s->loop, on_looked);
    registry_numbers_init(&r->numbers);
    ev_timer_init(&r->due, on_due, 0., 0.);
    r->due.data = r;
    *out = r;
    return 0;
}

struct registry_numbers *registry_numbers_of(struct registry *r)
{
    return &r->numbers;
}

/* The rows of the last life, where they are of the table that is asked now. */
static void take_kept(struct registry *r)
{
    const struct conf *conf = r->server->conf;
    const struct keep_header *h = restart_header(r->server->restart);
    int backend = conf_backend_index(conf, conf->registry.backend);
    uint64_t source;
    struct err e;
    if (!h || !h->has_rows || !slice_eq_str(h->registry_table, conf->registry.table))
        return;
    int rc = fingerprint_of_source(conf, (size_t)backend, &source, &e);
    if (rc == 0 && source != h->registry_source)
        return;
    rc = rc != 0 ? rc : registry_rows_kept(&r->kept, h, &e);
    if (rc != 0)
        log_row(NULL, e.text);
}

void registry_begin(struct registry *r, void (*done)(struct server *s))
{
    struct server *s = r->server;
    if (!s->conf->registry.backend) {
        done(s);
        return;
    }
    take_kept(r);
    r->begun = done;
    r->begin_until_ms = clock_ms() + s->conf->registry.timeout_ms;
    look(r);
}

void registry_stop(struct registry *r)
{
    if (!r || r->stopped)
        return;
    forget(r);
    r->stopped = true;
    r->begun = r->looked = NULL;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    registry_stop(r);
    registry_rows_free(r->kept);
    registry_numbers_fini(&r->numbers);
    free(r);
}
