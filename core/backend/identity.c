#include "backend/identity.h"

#include <stdio.h>
#include <string.h>

bool identity_empty(const struct identity *id)
{
    return !id->system[0] && !id->timeline[0] && !id->started[0] && id->wal_end == 0;
}

static bool differs(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) != 0;
}

static bool agrees(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) == 0;
}

bool identity_same(const struct identity *before, const struct identity *now)
{
    if (differs(before->system, now->system) || differs(before->timeline, now->timeline))
        return false;
    if (now->wal_end != 0 && now->wal_end < before->wal_end)
        return false;
    return (agrees(before->system, now->system) && agrees(before->timeline, now->timeline)) ||
           agrees(before->started, now->started);
}

void identity_show(const struct identity *id, char out[IDENTITY_TEXT])
{
    snprintf(out, IDENTITY_TEXT, "%s/%s", id->system[0] ? id->system : "?",
             id->timeline[0] ? id->timeline : "?");
}
