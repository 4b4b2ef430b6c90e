#include "cli/print.h"

#include "cli/cli.h"
#include "wire/json_out.h"
#include "cli/table.h"
#include "wire/mp.h"

void print_init(struct print *p, const struct command *c, const struct args *a, bool terminal,
                struct buf *out, struct buf *err)
{
    bool json = args_has(a, ARGS_JSON), pretty = args_has(a, ARGS_PRETTY);

    *p = (struct print){
        .method = c->method, .answer = command_answer_of(c, a), .out = out, .err = err};
    p->style = pretty || (terminal && !json) ? PRINT_PRETTY : PRINT_COMPACT;
    if (args_has(a, ARGS_RAW))
        p->style = PRINT_RAW;
    if (c->answer == COMMAND_STATS && a->count > 1)
        p->group = a->words[1];
    p->table = terminal && !json && !pretty;
}

static enum mp_type type_of(struct slice packed)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    return mp_next(&r, &t) == MP_OK ? t.type : MP_NIL;
}

static bool is_false(struct slice packed)
{
    return packed.size == 1 && (unsigned char)packed.data[0] == 0xc2;
}

static int print_json(struct print *p, struct slice packed)
{
    int rc = json_out_value(p->out, packed,
                            p->style == PRINT_PRETTY ? JSON_OUT_PRETTY : JSON_OUT_COMPACT);
    return rc == 0 ? buf_append(p->out, "\n", 1) : rc;
}

static int print_value(struct print *p, struct slice packed)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;

    if (p->style == PRINT_RAW && mp_next(&r, &t) == MP_OK && (t.type == MP_STR || t.type == MP_BIN))
        return buf_append(p->out, t.bytes.data, t.bytes.size);
    return print_json(p, packed);
}

/* The text of an error as it is sent, without what could steer a terminal; and its exit code. */
static int print_error(struct print *p, struct slice packed, int *code)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    struct buf text;
    int rc;

    buf_init(&text, p->err->max);
    rc = json_out_value(&text, packed, JSON_OUT_COMPACT);
    struct slice s = buf_slice(&text);
    *code = CLI_ERROR;
    if (rc == 0 && mp_next(&r, &t) == MP_OK && t.type == MP_STR) {
        if (t.bytes.size >= 8 && memcmp(t.bytes.data, "TIMEOUT ", 8) == 0)
            *code = CLI_TIMEOUT;
        s = slice_of(s.data + 1, s.size - 2); /* its JSON without the quotes */
    }
    if (rc == 0)
        rc = buf_printf(p->err, "rtcache: ");
    for (size_t i = 0; i < s.size && rc == 0; i++) {
        if (s.data[i] == '\\' && i + 1 < s.size && (s.data[i + 1] == '"' || s.data[i + 1] == '\\'))
            i++;
        rc = buf_append(p->err, s.data + i, 1);
    }
    if (rc == 0)
        rc = buf_append(p->err, "\n", 1);
    buf_fini(&text);
    return rc;
}

/* Packed; of those that are not there the size is 0. */
struct element {
    struct slice value, error, pending;
};

/* The parts of one element of get_many, {value = ...}, {error = ...} or {pending = true}. Where an
 * error is, too, the value cannot be printed. */
static int read_element(struct mp_reader *r, struct element *el)
{
    struct mp_token t;

    *el = (struct element){0};
    if (mp_next(r, &t) != MP_OK || t.type != MP_MAP)
        return ERR_PROTOCOL;
    for (uint32_t left = t.count; left > 0; left--) {
        struct mp_token key;
        struct slice part;
        if (mp_next(r, &key) != MP_OK || key.type != MP_STR || mp_take(r, &part) != MP_OK)
            return ERR_PROTOCOL;
        if (slice_eq_str(key.bytes, "value"))
            el->value = part;
        else if (slice_eq_str(key.bytes, "error"))
            el->error = part;
        else if (slice_eq_str(key.bytes, "pending"))
            el->pending = part;
    }
    return 0;
}

/* Of --partial. */
static int print_pending(struct print *p, uint32_t number)
{
    int rc = buf_printf(p->err, "rtcache: key %u is not there yet: its load has begun\n", number);
    return rc == 0 ? print_json(p, slice_of("\xc0", 1)) : rc;
}

/* What failed is null on standard output, so that the lines still match the keys. */
static int print_values(struct print *p, struct slice packed, int *code)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    int rc = 0;

    if (mp_next(&r, &t) != MP_OK || t.type != MP_ARRAY)
        return ERR_PROTOCOL;
    for (uint32_t i = 0; i < t.count && rc == 0; i++) {
        struct element el;
        int one = CLI_DONE;
        rc = read_element(&r, &el);
        if (rc == 0 && el.error.size) {
            rc = print_error(p, el.error, &one);
            if (rc == 0)
                rc = print_json(p, slice_of("\xc0", 1));
        } else if (rc == 0 && el.pending.size) {
            one = CLI_NIL;
            rc = print_pending(p, i + 1);
        } else if (rc == 0) {
            one = type_of(el.value) == MP_NIL ? CLI_NIL : CLI_DONE;
            rc = print_value(p, el.value);
        }
        *code = one > *code ? one : *code; /* an error counts more than an absence */
    }
    return rc;
}

static int print_stats(struct print *p, struct slice packed, int *code)
{
    struct slice group = packed;
    if (type_of(packed) != MP_MAP)
        return ERR_PROTOCOL;
    if (p->group && !table_field(packed, p->group, &group)) {
        *code = CLI_NIL;
        return buf_printf(p->err, "rtcache: stats has no group \"%.40s\" here\n", p->group);
    }
    return p->table && type_of(group) == MP_MAP ? table_stats(p->out, group) : print_json(p, group);
}

static int print_result(struct print *p, struct slice packed, int *code)
{
    enum mp_type type = type_of(packed);
    struct slice value;

    switch (p->answer) {
    case COMMAND_VALUE: *code = type == MP_NIL ? CLI_NIL : CLI_DONE; return print_value(p, packed);
    case COMMAND_VALUES: return print_values(p, packed, code);
    case COMMAND_ENTRY:
        if (type == MP_NIL || (table_field(packed, "value", &value) && type_of(value) == MP_NIL))
            *code = CLI_NIL;
        return print_json(p, packed);
    case COMMAND_FOUND: *code = is_false(packed) ? CLI_NIL : CLI_DONE; return print_json(p, packed);
    case COMMAND_LOADERS: return p->table ? table_loaders(p->out, packed) : print_json(p, packed);
    case COMMAND_STATS: return print_stats(p, packed, code);
    case COMMAND_PLAIN: break;
    }
    return print_json(p, packed);
}

int print_reply(struct print *p, const struct client_reply *reply, int *code, struct err *e)
{
    struct slice packed = slice_of(reply->data, reply->size);
    int rc;

    *code = CLI_DONE;
    rc = reply->failed ? print_error(p, packed, code) : print_result(p, packed, code);
    if (rc == ERR_PROTOCOL)
        return err_set(e, rc, "the answer to %s is not what the protocol says", p->method);
    return rc == 0 ? 0 : err_set(e, rc, "the answer is too large to print, or no memory");
}
