#include "tier/tier_proof.h"

#include <string.h>

/* By this process. */
static bool is_changed(const struct tier_facts *f)
{
    return f->own ? f->changed > f->seen : f->changed > 0;
}

enum tier_verdict tier_proof_of(const struct tier_facts *f)
{
    if (!f->same_loader)
        return TIER_NOTHING;
    if (f->waits)
        return TIER_NOTHING;
    if (is_changed(f))
        return TIER_NOTHING;
    if (f->mark != MARK_NONE)
        return TIER_NOTHING;
    if (f->own && f->seen < f->kept_from)
        return TIER_NOTHING;
    if (f->own)
        return f->fresh ? TIER_PROVEN : TIER_KEPT;
    if (strcmp(f->warm, "off") == 0)
        return TIER_NOTHING;
    /* Stale is never served without a bound. */
    return strcmp(f->warm, "stale") == 0 && f->dated ? TIER_STALE : TIER_CANDIDATE;
}
