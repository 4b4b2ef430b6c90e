/* What the server says, taken apart and recorded. */
#include "peer.h"
#include "sql.h"

#include <stdlib.h>

/* ---- values and entries ---- */

static void take_value(struct record *r, struct slice packed)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token t;
    must(mp_next(&in, &t) == MP_OK, "an answer cut short");
    r->result = t.type == MP_NIL ? RESULT_ABSENT : RESULT_VALUE;
    if (t.type == MP_STR)
        value_read(t.bytes.data, t.bytes.size, r);
    else if (t.type != MP_NIL)
        r->content = CONTENT_BROKEN;
}

static double number_of(const struct mp_token *t)
{
    return t->type == MP_INT ? (double)t->i : t->type == MP_FLOAT ? t->d : 0;
}

static void take_field(struct record *r, struct slice name, struct slice value)
{
    struct mp_reader in = mp_reader_of(value);
    struct mp_token t;
    must(mp_next(&in, &t) == MP_OK, "an answer cut short");
    if (slice_eq_str(name, "value"))
        take_value(r, value);
    else if (slice_eq_str(name, "status") && t.type == MP_STR)
        r->status = (uint8_t)status_find(t.bytes.data, t.bytes.size);
    else if (slice_eq_str(name, "version") && t.type == MP_INT)
        r->told = t.i;
    else if (slice_eq_str(name, "age_ms"))
        r->age_ms = (uint32_t)number_of(&t);
    else if (slice_eq_str(name, "ttl_ms") && t.type == MP_INT)
        r->ttl_ms = (int32_t)t.i;
    else if (slice_eq_str(name, "load_ms"))
        r->load_us = (uint32_t)(number_of(&t) * 1e3);
}

static void take_error(struct record *r, struct slice packed)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token t;
    must(mp_next(&in, &t) == MP_OK && t.type == MP_STR, "an error that is no text");
    r->result = RESULT_ERROR;
    r->code = (uint8_t)code_find(t.bytes.data, t.bytes.size);
    if (r->code == CODE_OTHER)
        fprintf(stderr, "%s: %.*s\n", op_name(r->op), SLICE_ARG(t.bytes));
}

/* The fields of a map, each handed to take_field. */
static bool take_map(struct record *r, struct slice packed)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token map, name;
    struct slice value;
    if (mp_next(&in, &map) != MP_OK || map.type != MP_MAP)
        return false;
    for (uint32_t i = 0; i < map.count; i++) {
        must(mp_next(&in, &name) == MP_OK && mp_take(&in, &value) == MP_OK, "a map cut short");
        if (slice_eq_str(name.bytes, "error") && name.type == MP_STR && r->op == OP_MANY)
            take_error(r, value);
        else
            take_field(r, name.bytes, value);
    }
    return true;
}

static void take_entry(struct record *r, struct slice packed)
{
    r->result = RESULT_ABSENT;
    bool there = take_map(r, packed);
    if (!there && r->op == OP_PEEK)
        r->result = RESULT_DONE; /* nothing is stored: no statement about the row */
    else
        must(there, "an entry that is no map");
}

static void take_many(struct run *run, struct slot *slot, struct slice packed)
{
    struct mp_reader in = mp_reader_of(packed);
    struct mp_token t;
    struct slice one;
    must(mp_next(&in, &t) == MP_OK && t.type == MP_ARRAY && t.count == PEER_MANY,
         "get_many without its answers");
    for (unsigned i = 0; i < PEER_MANY; i++) {
        struct record r = slot->r;
        r.key = slot->many[i];
        r.result = RESULT_ABSENT;
        must(mp_take(&in, &one) == MP_OK && take_map(&r, one), "get_many cut short");
        run_record(run, &r);
    }
}

/* ---- writes ---- */

static void take_write(struct run *run, struct record *r, struct slice packed)
{
    r->result = RESULT_DONE;
    must(take_map(r, packed), "a write's answer is no map");
    r->version = r->told;
    r->told = 0;
    struct known row = {
        .version = r->version, .content = r->content, .tag = r->tag, .deleted = r->op == OP_DELETE};
    if (row.version)
        sql_changed(run, r->key, &row);
}

static void take_result(struct run *run, struct slot *slot, struct slice result)
{
    struct record *r = &slot->r;
    switch (r->op) {
    case OP_GET: take_value(r, result); break;
    case OP_ENTRY:
    case OP_FINAL:
    case OP_REFRESH:
    case OP_PEEK: take_entry(r, result); break;
    case OP_PUT:
    case OP_DELETE: take_write(run, r, result); break;
    default: r->result = RESULT_DONE;
    }
}

static bool is_nil(struct slice packed)
{
    return packed.size == 1 && (unsigned char)*packed.data == 0xc0;
}

/* A last read that does not claim to be fresh. */
static bool is_to_come(const struct record *r)
{
    return r->result == RESULT_ERROR || r->status == STATUS_STALE ||
           r->status == STATUS_STALE_ERROR;
}

static void note_unknown(struct run *run, const struct record *r)
{
    bool unknown = r->code == CODE_LOST || r->code == CODE_WRITE_UNKNOWN;
    if (unknown && (r->op == OP_PUT || r->op == OP_DELETE))
        run_doubt(run, r->key);
}

void answer_take(struct run *run, struct slot *slot, struct slice error, struct slice result)
{
    slot->r.end_ns = run_now(run);
    if (slot->answered) {
        slot->r.result = RESULT_DONE;
        if (!is_nil(error))
            take_error(&slot->r, error);
        slot->answered(run, slot, result);
        return;
    }
    run->ended++;
    if (!is_nil(error)) {
        take_error(&slot->r, error);
        note_unknown(run, &slot->r);
    } else if (slot->r.op == OP_MANY) {
        take_many(run, slot, result);
    } else {
        take_result(run, slot, result);
    }
    if (slot->r.op == OP_FINAL && is_to_come(&slot->r) &&
        run_again(run, slot->r.key, slot->r.result == RESULT_ERROR))
        return;
    if (slot->r.op != OP_MANY || slot->r.result == RESULT_ERROR)
        run_record(run, &slot->r);
}

void answer_lost(struct run *run, struct slot *slot)
{
    slot->r.end_ns = run_now(run);
    slot->r.result = RESULT_ERROR;
    slot->r.code = CODE_LOST;
    if (slot->answered) {
        slot->answered(run, slot, slice_of(NULL, 0));
        return;
    }
    run->ended++;
    note_unknown(run, &slot->r);
    run_record(run, &slot->r);
}

/* ---- notifications ---- */

struct notice {
    struct slice key, pattern, cause;
    int64_t version;
};

static bool read_key(struct slice text, uint32_t *key)
{
    char copy[32] = {0}, letter;
    unsigned number;
    memcpy(copy, text.data, text.size < sizeof copy ? text.size : sizeof copy - 1);
    if (sscanf(copy, "%c:%u", &letter, &number) != 2)
        return false;
    const char *found = strchr(class_letters, letter);
    if (!found || !*found)
        return false;
    *key = key_of((uint32_t)(found - class_letters), number);
    return true;
}

static void record_gap(struct run *run, struct slice pattern)
{
    for (unsigned c = 0; c < CLASSES; c++) {
        if (pattern.data[0] != class_letters[c] && pattern.data[0] != '*')
            continue;
        struct record r = {.op = OP_GAP, .key = key_of(c, 0)};
        r.begin_ns = r.end_ns = run_now(run);
        run_record(run, &r);
        run->gaps[c]++;
    }
}

static void take_notice(struct run *run, const struct notice *n)
{
    struct record r = {.op = OP_NOTICE, .version = n->version};
    r.begin_ns = r.end_ns = run_now(run);
    if (slice_eq_str(n->cause, "lost")) {
        r.op = OP_LOST;
        run_record(run, &r);
    } else if (slice_eq_str(n->cause, "gap") && n->pattern.size) {
        record_gap(run, n->pattern);
    } else if (slice_eq_str(n->cause, "feed") && n->key.size) {
        run->notices++;
        if (read_key(n->key, &r.key)) {
            run_record(run, &r);
            run_hear(run, r.key, r.version);
            sql_told(run, r.key, r.version);
        } else if (n->key.size > 7 && memcmp(n->key.data, "marker:", 7) == 0)
            run->marker = strtoull(n->key.data + 7, NULL, 10);
    }
}

void answer_notice(struct run *run, struct mp_reader *in)
{
    struct mp_token t, name, value;
    struct notice n = {.version = 0};
    must(mp_next(in, &t) == MP_OK && mp_next(in, &t) == MP_OK && t.type == MP_ARRAY &&
             mp_next(in, &t) == MP_OK && t.type == MP_MAP,
         "a notification that is none");
    for (uint32_t i = 0; i < t.count; i++) {
        must(mp_next(in, &name) == MP_OK && mp_next(in, &value) == MP_OK, "it is cut short");
        if (slice_eq_str(name.bytes, "key"))
            n.key = value.bytes;
        else if (slice_eq_str(name.bytes, "pattern"))
            n.pattern = value.bytes;
        else if (slice_eq_str(name.bytes, "cause"))
            n.cause = value.bytes;
        else if (slice_eq_str(name.bytes, "version") && value.type == MP_INT)
            n.version = value.i;
    }
    take_notice(run, &n);
}
