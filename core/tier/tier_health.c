#include "tier/tier_health.h"

static void pause(struct tier_health *h, int64_t now_ms)
{
    h->pause_ms = h->pause_ms == 0 ? TIER_PAUSE_MS : 2 * h->pause_ms;
    if (h->pause_ms > TIER_PAUSE_MOST_MS)
        h->pause_ms = TIER_PAUSE_MOST_MS;
    h->until_ms = now_ms + h->pause_ms;
}

bool tier_health_admits(struct tier_health *h, int64_t now_ms)
{
    if (!h->down)
        return true;
    if (now_ms < h->until_ms)
        return false;
    pause(h, now_ms);
    return true;
}

bool tier_health_well(struct tier_health *h)
{
    bool was_down = h->down;
    *h = (struct tier_health){.down = false};
    return was_down;
}

bool tier_health_failed(struct tier_health *h, bool at_once, int64_t now_ms)
{
    h->failures++;
    if (h->down || (h->failures < TIER_FAILURES && !at_once))
        return false;
    h->down = true;
    pause(h, now_ms);
    return true;
}
