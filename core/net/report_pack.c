#include "net/report_pack.h"

#include "wire/mpw.h"

static struct report_pack *pack_of(struct report_sink *to)
{
    return container_of(to, struct report_pack, sink);
}

/* Begins a member of what is open; NULL: nothing more is packed. */
static struct report_pack *begin(struct report_sink *to, const char *name)
{
    struct report_pack *p = pack_of(to);
    if (p->depth > 0)
        p->open[p->depth - 1].members++;
    if (name && p->rc == 0)
        p->rc = mpw_cstr(p->out, name);
    return p->rc == 0 ? p : NULL;
}

static void pack_enter(struct report_sink *to, const char *name)
{
    struct report_pack *p = pack_of(to);
    if (begin(to, name))
        p->rc = mpw_map_open(p->out, &p->open[p->depth].at);
    p->open[p->depth++].members = 0;
}

static void pack_leave(struct report_sink *to)
{
    struct report_pack *p = pack_of(to);
    p->depth--;
    if (p->rc == 0)
        mpw_close(p->out, p->open[p->depth].at, p->open[p->depth].members);
}

static void pack_count(struct report_sink *to, const char *name, uint64_t value)
{
    struct report_pack *p = begin(to, name);
    if (p)
        p->rc = mpw_uint(p->out, value);
}

static void pack_number(struct report_sink *to, const char *name, int64_t value)
{
    struct report_pack *p = begin(to, name);
    if (p)
        p->rc = mpw_int(p->out, value);
}

static void pack_ratio(struct report_sink *to, const char *name, double value)
{
    struct report_pack *p = begin(to, name);
    if (p)
        p->rc = mpw_float(p->out, value);
}

static void pack_flag(struct report_sink *to, const char *name, bool value)
{
    struct report_pack *p = begin(to, name);
    if (p)
        p->rc = mpw_bool(p->out, value);
}

static void pack_text(struct report_sink *to, const char *name, const char *value)
{
    struct report_pack *p = begin(to, name);
    if (p)
        p->rc = value ? mpw_text(p->out, slice_str(value)) : mpw_nil(p->out);
}

void report_pack_init(struct report_pack *p, struct buf *out)
{
    *p = (struct report_pack){
        .sink = {pack_enter, pack_leave, pack_count, pack_number, pack_ratio, pack_flag, pack_text},
        .out = out,
    };
}
