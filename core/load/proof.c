#include "load/proof.h"

#include <string.h>

unsigned proof_missing(const struct proof_start *start, const struct proof_loader *l)
{
    if (!start->whole)
        return 1;
    if (l->fed && !l->resumed)
        return 2;
    if (!l->same)
        return 3;
    if (!start->clock_is_sound)
        return 4;
    if (!l->fed && start->downtime_ms > start->warm_downtime_ms)
        return 5;
    return 0;
}

enum proof proof_of(const struct proof_start *start, const struct proof_loader *l, bool negative)
{
    if (!l->same)
        return PROOF_DROPPED;
    if (proof_missing(start, l) == 0)
        return PROOF_PROVEN;
    if (negative || strcmp(l->policy->warm, "off") == 0)
        return PROOF_DROPPED;
    /* How old it is has to be known of what is served: stale is never served without a bound. */
    if (strcmp(l->policy->warm, "stale") == 0 && start->clock_is_sound)
        return PROOF_STALE;
    return PROOF_CANDIDATE;
}

bool proof_passed(const struct proof_moment *from, const struct proof_moment *to, bool same_boot,
                  int64_t *passed_ms)
{
    int64_t wall_ms = to->wall_ms - from->wall_ms;
    int64_t boot_ms = same_boot ? to->boot_ms - from->boot_ms : 0;
    if (boot_ms < 0)
        boot_ms = 0;
    *passed_ms = wall_ms > boot_ms ? wall_ms : boot_ms;
    return wall_ms >= 0;
}
