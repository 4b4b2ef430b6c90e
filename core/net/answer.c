#include "net/answer.h"

#include "net/gather.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const status_names[] = {"hit", "stale", "miss", "negative", "stale_error"};

struct facts facts_of_hit(enum status status, const struct hit *hit)
{
    return (struct facts){
        .status = status,
        .has_version = hit->has_version,
        .version = hit->version,
        .age_ms = hit->age_ms,
        .ttl_ms = hit->ttl_ms,
        .load_us = hit->load_us,
    };
}

/* What says it in its own bytes; NULL: nobody does, or it is packed here. */
static const struct protocol *own_of(const struct target *t)
{
    return t->form == FORM_OWN && t->conn && !t->notify ? t->conn->protocol : NULL;
}

static bool wants_map(const struct target *t)
{
    return t->conn && t->conn->errors_as_map;
}

static struct buf *out_of(const struct target *t)
{
    if (t->form == FORM_ITEM && t->gather)
        return &t->gather->items;
    if (t->notify || !t->conn || t->form == FORM_OWN)
        return &t->io->sink;
    return conn_out(t->conn);
}

struct buf *answer_begin(struct answer *a, const struct target *t)
{
    a->target = t;
    a->out = out_of(t);
    a->mark = a->out->size;
    bool bare = t->form == FORM_ITEM || t->form == FORM_OWN;
    a->rc = bare ? 0 : rpc_reply_head(a->out, t->msgid);
    return a->out;
}

/* The start of an item: a map of one pair, and its name. */
static int pack_item_head(struct buf *out)
{
    static const char head[] = "\x81\xa5value";
    int rc = out->data && buf_fits(out, sizeof head - 1) ? 0 : buf_grow(out, sizeof head - 1);
    if (rc != 0)
        return rc;
    memcpy(out->data + out->size, head, sizeof head - 1);
    out->size += sizeof head - 1;
    return 0;
}

/* Apart, so that an item saves no registers for it. */
static __attribute__((noinline)) void open_whole(struct answer *a, const struct target *t)
{
    answer_begin(a, t);
    if (t->form == FORM_ENTRY) {
        a->rc |= mpw_map_open(a->out, &a->map_at);
        a->rc |= mpw_cstr(a->out, "value");
    }
}

void answer_open_form(struct answer *a, const struct target *t)
{
    if (t->form != FORM_ITEM) {
        open_whole(a, t);
        return;
    }
    a->target = t;
    a->out = &t->gather->items;
    a->mark = a->out->size;
    a->rc = pack_item_head(a->out);
}

void answer_done_form(struct answer *a, int rc)
{
    const struct target *t = a->target;
    if (t->form == FORM_ITEM) {
        gather_item_done(t->gather, t->index, a->mark, rc);
        return;
    }
    if (a->out == &t->io->sink) {
        buf_clear(&t->io->sink);
        return;
    }
    if (rc != 0) {
        answer_undo(a);
        conn_break(t->conn, "no room for its answers");
    }
    conn_touch(t->conn);
}

/* An array, whether they were given as one or as a single text, and each as mpw_text has it, for
 * they are as a client has sent them; nil: not known. */
static int pack_tags(struct buf *out, const struct entry *e)
{
    struct slice texts = {.size = 0};
    enum entry_tagged tagged = e ? entry_tag_texts(e, &texts) : TAGGED_NOT;
    if (tagged == TAGGED_UNKNOWN)
        return mpw_nil(out);
    if (tagged == TAGGED_NOT)
        return mpw_array(out, 0);
    struct mp_token t;
    struct mp_reader at = mp_reader_of(texts), first = at;
    uint32_t count = 1;
    if (mp_next(&first, &t) == MP_OK && t.type == MP_ARRAY) {
        count = t.count;
        at = first;
    }
    int rc = mpw_array(out, count);
    for (; rc == 0 && count > 0 && mp_next(&at, &t) == MP_OK; count--)
        rc = mpw_text(out, t.bytes);
    return rc;
}

static int pack_too_large(struct buf *out, const struct facts *f)
{
    char text[96];
    snprintf(text, sizeof text, "too large: an entry of %zu bytes, where the memory allows %zu",
             f->too_large, f->largest);
    return mpw_cstr(out, "cached") | mpw_bool(out, false) | mpw_cstr(out, "reason") |
           mpw_cstr(out, text);
}

static int pack_facts(struct answer *a, const struct facts *f)
{
    struct buf *out = a->out;
    uint32_t fields = 7;
    int rc = mpw_cstr(out, "status") | mpw_cstr(out, status_names[f->status]);
    rc |= mpw_cstr(out, "version");
    rc |= f->has_version ? mpw_int(out, f->version) : mpw_nil(out);
    rc |= mpw_cstr(out, "age_ms") | mpw_int(out, f->age_ms);
    rc |= mpw_cstr(out, "ttl_ms");
    rc |= f->ttl_ms == STORE_FOREVER_MS ? mpw_nil(out) : mpw_int(out, f->ttl_ms);
    rc |= mpw_cstr(out, "load_ms") | mpw_float(out, (double)f->load_us / 1e3);
    rc |= mpw_cstr(out, "tags") | pack_tags(out, f->tagged);
    if (f->too_large > 0) {
        rc |= pack_too_large(out, f);
        fields += 2;
    }
    if (f->err) {
        fields++;
        rc |= mpw_cstr(out, "error");
        rc |= rpc_pack_error(out, f->err, wants_map(a->target));
    }
    if (rc == 0 && a->rc == 0)
        mpw_close(out, a->map_at, fields);
    return rc;
}

void answer_close(struct answer *a, const struct facts *f)
{
    answer_done(a, a->target->form == FORM_ENTRY ? pack_facts(a, f) : 0);
}

void answer_share(struct answer *a, struct entry *e)
{
    struct conn *c = a->target->conn;
    bool in_place = c && a->out == &c->out && !c->tls && entry_value(e).size > STORE_COPY_MAX;
    if (in_place && out_values_add(&c->values, a->out->size, e) == 0)
        return;
    a->rc |= mpw_raw(a->out, entry_value(e));
    entry_unref(e);
}

void answer_found(struct answer *a, struct hit *hit, struct facts *f)
{
    const struct protocol *own = own_of(a->target);
    struct entry *tagged = NULL;
    if (own && hit->entry) {
        own->value(a->target, entry_value(hit->entry), f);
        entry_unref(hit->entry);
        return;
    }
    if (hit->entry) {
        if (a->target->form == FORM_ENTRY)
            f->tagged = tagged = entry_ref(hit->entry);
        answer_share(a, hit->entry);
    }
    answer_close(a, f);
    entry_unref(tagged);
}

void answer_absent(struct answer *a, const struct facts *f)
{
    const struct protocol *own = own_of(a->target);
    if (own) {
        own->absent(a->target, f);
        return;
    }
    a->rc |= mpw_nil(a->out);
    answer_close(a, f);
}

void answer_entry(const struct target *t, struct entry *e, const struct facts *f)
{
    const struct protocol *own = own_of(t);
    struct answer a;
    if (own) {
        own->value(t, entry_value(e), f);
        return;
    }
    answer_open(&a, t);
    struct entry *held = entry_value(e).size > STORE_COPY_MAX ? entry_hold(e) : NULL;
    if (held)
        answer_share(&a, held);
    else
        a.rc |= mpw_raw(a.out, entry_value(e));
    answer_close(&a, f);
}

void answer_nil(const struct target *t, const struct facts *f)
{
    struct answer a;
    answer_open(&a, t);
    answer_absent(&a, f);
}

void answer_pending(const struct target *t)
{
    struct answer a;
    answer_begin(&a, t);
    int rc = mpw_map(a.out, 1) | mpw_cstr(a.out, "pending");
    answer_done(&a, rc | mpw_bool(a.out, true));
}

void answer_true(const struct target *t, bool v)
{
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_bool(a.out, v));
}

void answer_error(const struct target *t, const struct err *e)
{
    metrics_inc(t->io->metrics, M_ERRORS);
    const struct protocol *own = own_of(t);
    if (own) {
        own->error(t, e);
        return;
    }
    struct answer a = {.target = t, .out = out_of(t)};
    a.mark = a.out->size;
    if (t->form == FORM_ITEM) {
        int rc = mpw_map(a.out, 1) | mpw_cstr(a.out, "error");
        answer_done(&a, rc | rpc_pack_error(a.out, e, wants_map(&t->gather->target)));
        return;
    }
    answer_done(&a, rpc_reply_error(a.out, t->msgid, e, wants_map(t)));
}
