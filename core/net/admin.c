/* ping, hello, loaders, reload: the server itself, not its keys. */
#include "net/commands.h"

#include "base/log.h"
#include "base/show.h"
#include "load/totals.h"
#include "wire/mpw.h"

#include <stdlib.h>

static bool no_options(const struct target *t, struct params *p)
{
    struct err e;
    if (params_options(p, NULL, 0, &e) == 0)
        return true;
    answer_error(t, &e);
    return false;
}

void admin_ping(const struct target *t, struct params *p)
{
    if (!no_options(t, p))
        return;
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_cstr(a.out, "pong"));
}

static int pack_hello(struct buf *out, const struct conf *conf, method_name *name_of)
{
    uint32_t count = 0;
    while (name_of(count))
        count++;
    int rc = mpw_map(out, 7);
    rc |= mpw_cstr(out, "server") | mpw_cstr(out, "rtcache");
    rc |= mpw_cstr(out, "version") | mpw_cstr(out, RTCACHE_VERSION);
    rc |= mpw_cstr(out, "protocol") | mpw_int(out, 1);
    rc |= mpw_cstr(out, "max_frame") | mpw_int(out, conf->max_frame);
    rc |= mpw_cstr(out, "max_key") | mpw_int(out, conf->max_key);
    rc |= mpw_cstr(out, "max_value") | mpw_int(out, conf->max_value);
    rc |= mpw_cstr(out, "methods") | mpw_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        rc |= mpw_cstr(out, name_of(i));
    return rc;
}

void admin_hello(const struct target *t, struct params *p, method_name *name_of)
{
    struct slice errors = {0}, client = {0};
    const struct option_spec specs[] = {
        {"errors", OPTION_TEXT, &errors, NULL},
        {"client", OPTION_TEXT, &client, NULL},
    };
    struct err e;
    int rc = params_options(p, specs, 2, &e);
    bool as_map = slice_eq_str(errors, "map");
    if (rc == 0 && errors.size > 0 && !as_map && !slice_eq_str(errors, "string"))
        rc = err_set(&e, ERR_BAD_REQUEST, "hello: option errors is \"string\" or \"map\"");
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    if (errors.size > 0)
        t->conn->errors_as_map = as_map;
    if (client.size > 0) {
        char text[SHOW_KEY_TEXT];
        log_debug("conn.hello", "id=%llu client=%s", (unsigned long long)t->conn->id,
                  log_q(show_key(text, client)));
    }
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, pack_hello(a.out, p->conf, name_of));
}

/* ---- loaders ---- */

enum { POLICY_FIELDS = 18 };

/* POLICY_FIELDS pairs of the loader's map. */
static int pack_policy(struct buf *out, const struct policy *p)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"ttl_ms", p->ttl_ms},
        {"stale_ttl_ms", p->stale_ttl_ms},
        {"negative_ttl_ms", p->negative_ttl_ms},
        {"stale_if_error_ms", p->stale_if_error_ms},
        {"stale_wait_ms", p->stale_wait_ms},
        {"wait_timeout_ms", p->wait_timeout_ms},
        {"load_timeout_ms", p->load_timeout_ms},
        {"retries", p->retries},
        {"max_loads", p->max_loads},
        {"max_queue", p->max_queue},
        {"max_waiters", p->max_waiters},
        {"batch_max", p->batch_max},
        {"prefetch_min_reads", p->prefetch_min_reads},
        {"prefetch_max_concurrent", p->prefetch_max_concurrent},
        {"prefetch_max_queue", p->prefetch_max_queue},
    };
    int rc = 0;
    _Static_assert(sizeof rows / sizeof rows[0] + 3 == POLICY_FIELDS, "the count of pairs");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rc |= mpw_cstr(out, rows[i].name) | mpw_int(out, rows[i].value);
    rc |= mpw_cstr(out, "refresh_ahead") | mpw_float(out, p->refresh_ahead);
    rc |= mpw_cstr(out, "early_beta") | mpw_float(out, p->early_beta);
    return rc | mpw_cstr(out, "jitter") | mpw_float(out, p->jitter);
}

/* {code: failed loads}, without those that there were none of. */
static int pack_failures(struct buf *out, const struct loader_totals *sum)
{
    uint32_t count = 0;
    for (int code = 1; code < ERR_COUNT; code++)
        count += sum->failures[code] > 0;
    int rc = mpw_cstr(out, "failures") | mpw_map(out, count);
    for (int code = 1; code < ERR_COUNT; code++)
        if (sum->failures[code] > 0)
            rc |= mpw_cstr(out, err_name(-code)) | mpw_uint(out, sum->failures[code]);
    return rc;
}

static int pack_totals(struct buf *out, const struct loader_totals *sum)
{
#define NAME_TOTAL(name) #name,
    static const char *const names[TOTALS] = {LOADER_TOTALS(NAME_TOTAL)};
#undef NAME_TOTAL
    int rc = mpw_cstr(out, "in_flight") | mpw_uint(out, sum->in_flight);
    rc |= mpw_cstr(out, "queued") | mpw_uint(out, sum->queued);
    for (size_t i = 0; i < TOTALS; i++)
        rc |= mpw_cstr(out, names[i]) | mpw_uint(out, sum->of[i]);
    for (int r = 0; r < REASON_COUNT; r++)
        rc |=
            mpw_cstr(out, load_reason_name((enum load_reason)r)) | mpw_uint(out, sum->by_reason[r]);
    return rc | pack_failures(out, sum);
}

/* A loader whose slot is 0 shares it with what has no loader: it shows none. */
static int pack_hits(struct buf *out, unsigned owner)
{
    int rc = 0;
    for (int kind = 0; kind < HIT_KINDS; kind++) {
        rc |= mpw_cstr(out, metrics_counter_name((enum metric_counter)(M_HITS + kind)));
        rc |= mpw_uint(out, owner ? metrics_hits(owner, (enum hit_kind)kind) : 0);
    }
    return rc;
}

static int pack_loader(struct buf *out, const struct snapshot *s, size_t i)
{
    const struct conf_loader *l = &s->conf->loaders[i];
    struct loader_totals sum = totals_of_loader(s, i);
    int rc = mpw_map(out, 3 + POLICY_FIELDS + TOTALS + REASON_COUNT + 3 + HIT_KINDS + 1);
    rc |= mpw_cstr(out, "pattern") | mpw_text(out, slice_str(l->pattern));
    rc |= mpw_cstr(out, "script") | mpw_text(out, slice_str(l->script));
    rc |= mpw_cstr(out, "backend");
    rc |= l->backend ? mpw_text(out, slice_str(l->backend)) : mpw_nil(out);
    rc |= pack_policy(out, &l->policy);
    rc |= pack_totals(out, &sum);
    rc |= pack_hits(out, snapshot_owner(s, (int)i));
    rc |= mpw_cstr(out, "breaker");
    return rc | mpw_cstr(out, breaker_state_name(sum.breaker));
}

void admin_loaders(const struct target *t, struct params *p)
{
    if (!no_options(t, p))
        return;
    const struct snapshot *s = t->io->snapshot;
    struct answer a;
    answer_begin(&a, t);
    int rc = mpw_array(a.out, (uint32_t)s->conf->loader_count);
    for (size_t i = 0; i < s->conf->loader_count; i++)
        rc |= pack_loader(a.out, s, i);
    answer_done(&a, rc);
}

/* ---- reload ---- */

/* A reload that this connection asked for; it outlives the connection. */
struct asked {
    struct io_reload reload;
    struct ticket ticket;
    struct target target; /* its conn is NULL once the client has left */
};

static void admin_recv_reloaded(struct message *m, void *owner)
{
    struct io *io = owner;
    struct asked *asked =
        container_of(container_of(m, struct io_reload, message), struct asked, reload);
    const struct io_reload *r = &asked->reload;
    if (r->rc != 0) {
        answer_error(&asked->target, &r->err);
    } else {
        struct answer a;
        answer_begin(&a, &asked->target);
        int rc = mpw_map(a.out, 3);
        rc |= mpw_cstr(a.out, "generation") | mpw_uint(a.out, r->generation);
        rc |= mpw_cstr(a.out, "loaders") | mpw_uint(a.out, r->loaders);
        rc |= mpw_cstr(a.out, "changed") | mpw_bool(a.out, r->changed);
        answer_done(&a, rc);
    }
    if (asked->target.conn)
        ticket_done(&asked->ticket, asked->target.conn);
    free(asked);
    ticket_close(io);
}

static void asked_left(struct ticket *t, struct conn *c)
{
    (void)c;
    container_of(t, struct asked, ticket)->target.conn = NULL;
}

void admin_reload(const struct target *t, struct params *p)
{
    static const struct ticket_kind kind = {.request = true, .owes = true, .left = asked_left};
    if (!no_options(t, p))
        return;
    struct asked *asked = calloc(1, sizeof *asked);
    struct err e;
    if (!asked) {
        err_set(&e, ERR_NOMEM, "reload: no memory");
        answer_error(t, &e);
        return;
    }
    asked->target = *t;
    asked->reload.answer_to = io_mailbox(t->io);
    asked->reload.answered = admin_recv_reloaded;
    asked->reload.message.recv = t->io->options.recv_reload;
    ticket_open(&asked->ticket, &kind, t->conn, t->notify);
    mailbox_send(t->io->options.control, &asked->reload.message);
}
