#include "tier/tier_link.h"

#include "base/clock.h"
#include "base/log.h"

void tier_link_detach(struct tier_link *l)
{
    if (!l->backend)
        return;
    backend_unref(l->backend);
    l->backend = NULL;
    tier_sql_fini(&l->sql);
}

int tier_link_attach(struct tier_link *l, struct backend *b, enum tier_dialect d, struct err *e)
{
    tier_link_detach(l);
    int rc = tier_sql_init(&l->sql, d, l->tier->conf.table, e);
    if (rc != 0) {
        tier_sql_fini(&l->sql);
        return rc;
    }
    l->backend = backend_ref(b);
    if (l->health.down) /* another one, whose own outages are news */
        (void)tier_comes_up(l->tier);
    l->health = (struct tier_health){.down = false};
    return 0;
}

bool tier_link_admits(struct tier_link *l)
{
    return l->backend && tier_health_admits(&l->health, clock_ms());
}

void tier_link_submit(struct tier_link *l, struct call *q, int verb, struct slice sql,
                      struct slice params, void (*done)(struct call *q))
{
    *q = (struct call){
        .verb = verb, .text = sql, .params = params, .shape = sql_verbs[verb].shape, .done = done};
    backend_submit(l->backend, q);
}

void tier_link_well(struct tier_link *l)
{
    if (tier_health_well(&l->health) && tier_comes_up(l->tier))
        log_info("tier.up", "backend=%s table=%s", log_q(l->tier->conf.backend),
                 log_q(l->tier->conf.table));
}

/* What the statements ask for is not there, as a rule. */
static const char *hint_of(const struct err *why)
{
    return why->code == ERR_BACKEND ? "rtcache tier-sql prints the table that is needed" : "";
}

void tier_link_failed(struct tier_link *l, const struct err *why)
{
    bool at_once = why->code == ERR_BACKEND_DOWN || why->code == ERR_BACKEND;
    tier_count(&l->tier->numbers.failures, 1);
    if (tier_health_failed(&l->health, at_once, clock_ms()) && tier_goes_down(l->tier))
        log_warn("tier.down", "backend=%s table=%s code=%s error=%s hint=%s",
                 log_q(l->tier->conf.backend), log_q(l->tier->conf.table), err_word(why),
                 log_q(why->text), log_q(hint_of(why)));
}

void tier_link_late(struct tier_link *l, const char *what, int64_t ms)
{
    struct err e;
    err_set(&e, ERR_TIMEOUT, "a %s took more than %lld ms", what, (long long)ms);
    tier_link_failed(l, &e);
}
