#include "net/text_list.h"

static int check_one(struct mp_reader *at, const struct params *p, uint32_t number,
                     const struct text_list_rule *rule, struct err *e)
{
    struct mp_token t;
    if (mp_next(at, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN))
        return err_set(e, ERR_BAD_REQUEST, "%s: %s %u is no str", p->method, rule->what, number);
    if (t.bytes.size == 0 || t.bytes.size > rule->longest)
        return err_set(e, ERR_BAD_REQUEST, "%s: %s %u has %zu bytes, where 1 to %zu are taken",
                       p->method, rule->what, number, t.bytes.size, rule->longest);
    return 0;
}

int text_list_of(struct text_list *out, const struct params *p, struct slice packed,
                 const struct text_list_rule *rule, struct err *e)
{
    *out = (struct text_list){.at = mp_reader_of(packed)};
    struct mp_reader at = out->at;
    struct mp_token t;
    uint32_t most = rule->most ? rule->most : (uint32_t)p->conf->max_batch;
    if (packed.size == 0)
        return 0;
    if (mp_next(&at, &t) != MP_OK || (t.type != MP_ARRAY && t.type != MP_STR && t.type != MP_BIN))
        return err_set(e, ERR_BAD_REQUEST, "%s: it takes a %s or an array of them", p->method,
                       rule->what);
    if (t.type == MP_ARRAY) {
        out->at = at;
        out->count = t.count;
    } else {
        at = out->at;
        out->count = 1;
    }
    if (out->count > most)
        return err_set(e, ERR_BAD_REQUEST, "%s: %u of %s, where at most %u are taken", p->method,
                       out->count, rule->what, most);
    for (uint32_t i = 1; i <= out->count; i++) {
        int rc = check_one(&at, p, i, rule, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

bool text_list_next(struct text_list *t, struct slice *text)
{
    struct mp_token token;
    if (t->count == 0 || mp_next(&t->at, &token) != MP_OK)
        return false;
    t->count--;
    *text = token.bytes;
    return true;
}
