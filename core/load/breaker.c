#include "load/breaker.h"

bool breaker_admits(struct breaker *b, const struct breaker_rule *rule, int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED || rule->failures <= 0)
        return true;
    if (b->state == BREAKER_OPEN && now_ms >= b->open_until_ms)
        b->state = BREAKER_HALF_OPEN;
    if (b->state == BREAKER_HALF_OPEN && !b->probing) {
        b->probing = true;
        return true;
    }
    return false;
}

int64_t breaker_retry_after_ms(const struct breaker *b, int64_t now_ms)
{
    return b->open_until_ms > now_ms ? b->open_until_ms - now_ms : 1;
}

static void open_it(struct breaker *b, const struct breaker_rule *rule, int64_t now_ms)
{
    b->state = BREAKER_OPEN;
    b->open_until_ms = now_ms + rule->open_ms;
    b->probing = false;
}

bool breaker_ended(struct breaker *b, const struct breaker_rule *rule, enum breaker_sign sign,
                   bool probe, int64_t now_ms)
{
    if (rule->failures <= 0)
        return false;
    if (sign == SIGN_NONE) {
        b->probing = b->probing && !probe;
        return false;
    }
    if (sign == SIGN_WELL) {
        *b = (struct breaker){.state = BREAKER_CLOSED};
        return false;
    }
    if (b->state == BREAKER_OPEN)
        return false; /* a load from before it opened */
    if (b->state == BREAKER_CLOSED && ++b->failures < rule->failures)
        return false;
    open_it(b, rule, now_ms);
    return true;
}

void breaker_gave_up(struct breaker *b)
{
    b->probing = false;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half-open"};
    return names[state];
}
