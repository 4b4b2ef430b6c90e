#include "backend/postgres/pg_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD  "rtcache-log-1"
#define WORDS 8 /* behind the head */

void pg_place_init(struct pg_place *p)
{
    *p = (struct pg_place){.standby = false};
    buf_init(&p->snapshot, PG_PLACE_SNAPSHOT + 64);
}

void pg_place_fini(struct pg_place *p)
{
    buf_fini(&p->snapshot);
}

void pg_place_forget(struct pg_place *p)
{
    buf_clear(&p->snapshot);
}

bool pg_place_number(struct slice text, uint64_t *out)
{
    uint64_t n = 0;
    if (text.size == 0 || text.size > 20)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

/* What stands before the separator, or the end; rest is what follows it. */
static struct slice cut(struct slice *rest, char separator, bool *found)
{
    const char *at = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    size_t size = at ? (size_t)(at - rest->data) : rest->size;
    struct slice head = slice_of(rest->data, size);
    *found = at != NULL;
    *rest = at ? slice_of(at + 1, rest->size - size - 1) : slice_of(rest->data + size, 0);
    return head;
}

static bool is_list(struct slice list, uint64_t xmin, uint64_t xmax)
{
    uint64_t before = 0, xid;
    bool more = list.size > 0;
    for (bool first = true; more; first = false) {
        struct slice one = cut(&list, ',', &more);
        if (!pg_place_number(one, &xid) || xid < xmin || xid >= xmax || (!first && xid <= before))
            return false;
        before = xid;
    }
    return true;
}

/* Too long a list says that nothing from its first on was read. */
static bool keep(struct pg_place *p, uint64_t xmin, uint64_t xmax, struct slice list)
{
    buf_clear(&p->snapshot);
    if (list.size > PG_PLACE_SNAPSHOT) {
        xmax = xmin;
        list.size = 0;
    }
    p->xmin = xmin;
    p->xmax = xmax;
    if (buf_printf(&p->snapshot, "%" PRIu64 ":%" PRIu64 ":", xmin, xmax) == 0 &&
        buf_append(&p->snapshot, list.data, list.size) == 0 && buf_append(&p->snapshot, "", 1) == 0)
        return true;
    buf_clear(&p->snapshot);
    return false;
}

bool pg_place_take(struct pg_place *p, struct slice text)
{
    bool first, second;
    uint64_t xmin, xmax;
    pg_place_forget(p);
    struct slice low = cut(&text, ':', &first), high = cut(&text, ':', &second);
    return first && second && pg_place_number(low, &xmin) && pg_place_number(high, &xmax) &&
           xmin > 0 && xmin <= xmax && is_list(text, xmin, xmax) && keep(p, xmin, xmax, text);
}

bool pg_place_take_doubt(struct pg_place *p, struct slice xmax_text, struct slice doubt)
{
    uint64_t xmin, xmax;
    bool more;
    pg_place_forget(p);
    if (!pg_place_number(xmax_text, &xmax) || xmax == 0 || !is_list(doubt, 1, xmax))
        return false;
    struct slice rest = doubt;
    xmin = xmax;
    if (doubt.size > 0 && !pg_place_number(cut(&rest, ',', &more), &xmin))
        return false;
    return keep(p, xmin, xmax, doubt);
}

const char *pg_place_list(const struct pg_place *p)
{
    return pg_place_known(p) ? strrchr(p->snapshot.data, ':') + 1 : "";
}

bool pg_place_has(const struct pg_place *p, uint64_t xid)
{
    uint64_t one;
    if (xid < p->xmin || xid >= p->xmax)
        return xid < p->xmin;
    struct slice list = slice_str(pg_place_list(p));
    for (bool more = list.size > 0; more;)
        if (pg_place_number(cut(&list, ',', &more), &one) && one == xid)
            return false;
    return true;
}

bool pg_place_holds(const struct pg_place *p, const struct pg_place *now, uint64_t purged_below)
{
    return pg_place_known(p) && p->standby == now->standby &&
           identity_same(&p->identity, &now->identity) && strcmp(p->log, now->log) == 0 &&
           p->xmin >= purged_below;
}

/* ---- its text ---- */

static const char *word(const char *text)
{
    return text[0] ? text : "-";
}

bool pg_place_write(const struct pg_place *p, struct buf *out)
{
    const struct identity *id = &p->identity;
    return pg_place_known(p) && buf_printf(out, HEAD " %s %s %s %s %" PRIu64 " %s %s %s",
                                           p->standby ? "standby" : "primary", word(id->system),
                                           word(id->timeline), word(id->started), id->wal_end,
                                           word(p->log), word(p->missed), p->snapshot.data) == 0;
}

static bool put(char *out, size_t room, struct slice text)
{
    if (text.size == 0 || text.size >= room)
        return false;
    if (slice_eq_str(text, "-"))
        text.size = 0;
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

bool pg_place_read(struct pg_place *p, const char *text)
{
    struct slice rest = slice_str(text), words[WORDS];
    struct identity *id = &p->identity;
    bool more;
    pg_place_forget(p);
    if (!slice_eq_str(cut(&rest, ' ', &more), HEAD))
        return false;
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = cut(&rest, ' ', &more);
        if (more != (i + 1 < WORDS))
            return false;
    }
    p->standby = slice_eq_str(words[0], "standby");
    return (p->standby || slice_eq_str(words[0], "primary")) &&
           put(id->system, sizeof id->system, words[1]) &&
           put(id->timeline, sizeof id->timeline, words[2]) &&
           put(id->started, sizeof id->started, words[3]) &&
           pg_place_number(words[4], &id->wal_end) && put(p->log, sizeof p->log, words[5]) &&
           put(p->missed, sizeof p->missed, words[6]) && pg_place_take(p, words[7]);
}
