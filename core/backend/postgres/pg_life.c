#include "backend/postgres/pg_life.h"

#include "base/clock.h"
#include "base/log.h"

static bool is_alone(const struct pg_pool *p, const struct pg_conn *c)
{
    for (unsigned i = 0; i < p->conn_count; i++)
        if (&p->conns[i] != c && p->conns[i].state == PG_READY)
            return false;
    return true;
}

void pg_life_opened(struct pg_pool *p, struct pg_conn *c)
{
    int64_t age_ms = p->connection_age_ms; /* less a tenth at most: not all at once */
    int64_t less_ms = (int64_t)rng_below(&p->rng, (uint64_t)(age_ms > 0 ? age_ms / 10 : 0) + 1);
    c->retire_ms = age_ms > 0 ? clock_ms() + age_ms - less_ms : INT64_MAX;
    c->print_ms = PG_PRINT_NEVER;
    c->print_asking = false;
    p->stats.connects++;
    if (is_alone(p, c)) /* else queries are in the air that were sent by what is known */
        pg_types_forget(&p->types);
    log_info("pg.connected", "backend=%s server=%d pid=%d ms=%lld", p->name, PQserverVersion(c->pg),
             PQbackendPID(c->pg), (long long)(clock_ms() - c->opened_ms));
}

static void back_off(struct pg_pool *p, const struct err *why)
{
    int64_t most = p->reconnect_base_ms > 0 ? p->reconnect_base_ms : 1;
    for (uint32_t i = 0; i < p->failures && most < p->reconnect_cap_ms; i++)
        most *= 2;
    if (most > p->reconnect_cap_ms)
        most = p->reconnect_cap_ms;
    p->failures++;
    p->retry_ms = clock_ms() + 1 + (int64_t)rng_below(&p->rng, (uint64_t)(most > 0 ? most : 0));
    p->down = *why;
}

void pg_life_lost(struct pg_pool *p, struct pg_conn *c, bool was_open, const struct err *why)
{
    if (was_open)
        p->stats.disconnects++;
    if (why->code == ERR_SHUTDOWN)
        return;
    if (was_open && c->grown) {
        p->stats.grown++;
        log_info("pg.grown", "backend=%s reason=%s", p->name, log_q(why->text));
        return;
    }
    if (was_open && clock_ms() >= c->retire_ms) {
        p->stats.retired++;
        log_debug("pg.retired", "backend=%s reason=%s", p->name, log_q(why->text));
        return;
    }
    if (!was_open || !c->proven)
        back_off(p, why);
    int64_t left = p->retry_ms - clock_ms();
    log_warn(was_open ? "pg.disconnected" : "pg.connect_failed",
             "backend=%s reason=%s retry_ms=%lld", p->name, log_q(why->text),
             (long long)(left > 0 ? left : 0));
}

bool pg_life_is_over(const struct pg_pool *p, const struct pg_conn *c, int64_t now_ms)
{
    return now_ms >= c->retire_ms && now_ms >= p->retry_ms;
}
