#include "tier/tier_json.h"

#include "wire/json_out.h"
#include "wire/mp.h"

#include <math.h>

/* Why JSONB would not take it; NULL: it does. */
static const char *unfit(struct slice packed)
{
    struct mp_reader at = mp_reader_of(packed);
    struct mp_token t;
    if (packed.size > TIER_JSON_MAX)
        return "too long to be shown";
    while (at.at < at.end) {
        if (mp_next(&at, &t) != MP_OK)
            return "no MessagePack";
        if (t.type == MP_FLOAT && !isfinite(t.d))
            return "a number that is not finite";
        if (t.type == MP_STR && t.bytes.size > 0 && memchr(t.bytes.data, '\0', t.bytes.size))
            return "a string with a NUL byte";
    }
    return NULL;
}

int tier_json_put(struct buf *out, struct slice packed)
{
    size_t before = out->size;
    const char *why = unfit(packed);
    int rc = why ? ERR_BAD_VALUE : json_out_value(out, packed, JSON_OUT_COMPACT);
    if (rc == 0 || rc == ERR_NOMEM || rc == ERR_TOO_LARGE)
        return rc;
    out->size = before;
    rc = buf_printf(out, "{\"$unfit\":\"%s\"}", why ? why : "a form that JSON has not");
    if (rc != 0)
        out->size = before;
    return rc;
}
