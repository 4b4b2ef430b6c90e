#include "wire/rpc.h"

#include "wire/mpw.h"

#include <stdio.h>

#define DIRECT_PARAMS 8  /* the direct path takes no more than these, */
#define DIRECT_INNER  16 /* and this many values in one of them, as in a map of options */

/* Around a value: the message and its params. The bound of nesting is the value's. */
#define ENVELOPE 2

/* What a client may send has 3 or 4 elements: [0, msgid, method, params], [2, method, params]. */
enum { TYPE_REQUEST = 0, TYPE_ANSWER = RPC_ANSWER, TYPE_NOTIFICATION = 2 };

static const char *const meanings[ERR_COUNT] = {
#define MEANING(name, number, wire, retryable, text) [-(number)] = text,
    ERR_CODES(MEANING)
#undef MEANING
};

static const char *type_name(enum mp_type type)
{
    static const char *const names[] = {
        [MP_NIL] = "nil",         [MP_BOOL] = "a boolean", [MP_INT] = "an integer",
        [MP_UINT] = "an integer", [MP_FLOAT] = "a float",  [MP_STR] = "a string",
        [MP_BIN] = "a binary",    [MP_ARRAY] = "an array", [MP_MAP] = "a map",
        [MP_EXT] = "an ext",
    };
    return names[type];
}

static bool is_msgid(const struct mp_token *t)
{
    return t->type == MP_INT && t->i >= 0 && t->i <= UINT32_MAX;
}

static bool is_container(const struct mp_token *t)
{
    return t->type == MP_ARRAY || t->type == MP_MAP;
}

/* Steps over what is in the container t, where it is small and flat. */
static bool step_over_flat(struct mp_reader *r, const struct mp_token *t)
{
    uint64_t left = (uint64_t)t->count << (t->type == MP_MAP);
    struct mp_token inner;
    if (left > DIRECT_INNER)
        return false;
    while (left > 0 && mp_next(r, &inner) == MP_OK && !is_container(&inner))
        left--;
    return left == 0;
}

/* A whole small request whose params are flat: nearly every frame is one. RPC_MORE: it is not that,
 * or not all there; the scan will say what it is. */
static int next_direct(struct slice in, size_t max_frame, struct rpc_msg *msg, size_t *used)
{
    struct mp_reader r = mp_reader_of(in);
    struct mp_token t;

    if (in.size < 5 || (unsigned char)in.data[0] != 0x94 || in.data[1] != TYPE_REQUEST)
        return RPC_MORE;
    r.at += 2;
    uint32_t msgid;
    if (!mp_next_uint32(&r, &msgid))
        return RPC_MORE;
    if (mp_next(&r, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN))
        return RPC_MORE;
    struct slice method = t.bytes;
    if (mp_next(&r, &t) != MP_OK || t.type != MP_ARRAY || t.count > DIRECT_PARAMS)
        return RPC_MORE;
    uint32_t count = t.count;
    const char *params = r.at;
    msg->behind_first = NULL;
    msg->first_hash = 0;
    msg->end_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (mp_next(&r, &t) != MP_OK)
            return RPC_MORE;
        if (is_container(&t)) {
            if (!step_over_flat(&r, &t))
                return RPC_MORE;
        } else if (i == 0) {
            msg->first = t;
            msg->behind_first = r.at;
        }
    }
    size_t size = (size_t)(r.at - in.data);
    if (size > max_frame)
        return RPC_MORE;
    *used = size;
    msg->kind = RPC_REQUEST;
    msg->msgid = msgid;
    msg->method = method;
    msg->param_count = count;
    msg->params = slice_of(params, (size_t)(r.at - params));
    return RPC_MESSAGE;
}

/* The id and the method: the elements between the type and the params. */
static int head_names(struct mp_reader *r, struct rpc_msg *msg, struct err *e)
{
    struct mp_token t;

    if (msg->kind == RPC_REQUEST) {
        if (mp_next(r, &t) != MP_OK)
            return RPC_MORE;
        if (t.type == MP_INT && !is_msgid(&t))
            return err_set(e, ERR_PROTOCOL, "the msgid %lld is not in 0 .. 2^32-1", (long long)t.i);
        if (!is_msgid(&t))
            return err_set(e, ERR_PROTOCOL, "the msgid is %s, not an integer in 0 .. 2^32-1",
                           type_name(t.type));
        msg->msgid = (uint32_t)t.i;
    }
    if (mp_next(r, &t) != MP_OK)
        return RPC_MORE;
    if (t.type != MP_STR && t.type != MP_BIN)
        return err_set(e, ERR_PROTOCOL, "the method is %s, not a string", type_name(t.type));
    msg->method = t.bytes;
    return RPC_MESSAGE;
}

/* Everything before the first param, as far as it is there. RPC_MESSAGE: msg->params begins where
 * the first param does; RPC_MORE: not all there (or no MessagePack: the scan says so). */
static int read_head(struct slice in, struct rpc_msg *msg, struct err *e)
{
    struct mp_reader r = mp_reader_of(in);
    struct mp_token t, type;

    if (mp_next(&r, &t) != MP_OK)
        return RPC_MORE;
    if (t.type != MP_ARRAY)
        return err_set(e, ERR_PROTOCOL, "a message is an array, and this is %s", type_name(t.type));
    uint32_t count = t.count;
    if (count != 3 && count != 4)
        return err_set(e, ERR_PROTOCOL, "a message is an array of 3 or 4, and this is one of %u",
                       count);
    if (mp_next(&r, &type) != MP_OK)
        return RPC_MORE;
    if (type.type != MP_INT || type.i < TYPE_REQUEST || type.i > TYPE_NOTIFICATION)
        return err_set(e, ERR_PROTOCOL,
                       "the message's type is %s, not 0 (request) or 2 "
                       "(notification)",
                       type.type == MP_INT ? "another integer" : type_name(type.type));
    if (type.i == TYPE_ANSWER)
        return err_set(e, ERR_PROTOCOL, "an answer (type 1) came from a client");
    msg->kind = type.i == TYPE_REQUEST ? RPC_REQUEST : RPC_NOTIFICATION;
    if (count != (msg->kind == RPC_REQUEST ? 4U : 3U))
        return err_set(e, ERR_PROTOCOL, "a %s of %u elements",
                       msg->kind == RPC_REQUEST ? "request" : "notification", count);
    int rc = head_names(&r, msg, e);
    if (rc != RPC_MESSAGE)
        return rc;
    if (mp_next(&r, &t) != MP_OK)
        return RPC_MORE;
    if (t.type != MP_ARRAY)
        return err_set(e, ERR_PROTOCOL, "the params are %s, not an array", type_name(t.type));
    msg->param_count = t.count;
    msg->params.data = r.at;
    return RPC_MESSAGE;
}

static int scan_error(const struct rpc_scan *scan, size_t max_frame, struct err *e)
{
    switch (scan->mp.fault) {
    case MP_FAULT_SIZE:
        return err_set(e, ERR_TOO_LARGE, "a message of at least %llu bytes; max_frame is %zu",
                       (unsigned long long)scan->mp.needed, max_frame);
    case MP_FAULT_DEPTH:
        return err_set(e, ERR_PROTOCOL, "a value nested deeper than %u at byte %zu of the message",
                       MP_DEPTH_MAX, scan->mp.offset);
    default:
        return err_set(e, ERR_PROTOCOL, "byte 0xc1 at %zu of the message is no MessagePack",
                       scan->mp.offset);
    }
}

int rpc_scan_step(struct rpc_scan *scan, struct slice in, size_t max_frame, struct err *e)
{
    int rc = mp_scan_step(&scan->mp, in, max_frame);
    if (rc == MP_BAD)
        return scan_error(scan, max_frame, e);
    if (rc == MP_OK)
        return RPC_MESSAGE;
    if (in.size >= max_frame)
        return err_set(e, ERR_TOO_LARGE, "a message of more than %zu bytes; max_frame is %zu",
                       in.size, max_frame);
    return RPC_MORE;
}

int rpc_next_scanned(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
                     struct rpc_msg *msg, size_t *used, struct err *e)
{
    *msg = (struct rpc_msg){0};
    struct slice visible = in;
    if (visible.size > limits->max_frame)
        visible.size = limits->max_frame;
    /* The head first: who sends no RPC at all hears it at once, not after max_frame bytes. */
    int rc = read_head(visible, msg, e);
    if (rc < 0)
        return rc;
    scan->mp.extra_depth = scan->mp.mark_depth = ENVELOPE;
    rc = rpc_scan_step(scan, in, limits->max_frame, e);
    if (rc != RPC_MESSAGE)
        return rc;
    *used = scan->mp.offset;
    msg->params.size = (size_t)(in.data + *used - msg->params.data);
    for (msg->end_count = 0; msg->end_count < scan->mp.mark_count; msg->end_count++)
        msg->ends[msg->end_count] = in.data + scan->mp.marks[msg->end_count];
    scan->mp.offset = 0;
    scan->mp.depth = scan->mp.mark_count = 0;
    return RPC_MESSAGE;
}

int rpc_next(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
             struct rpc_msg *msg, size_t *used, struct err *e)
{
    if (__builtin_expect(scan->mp.offset == 0, 1) &&
        __builtin_expect(next_direct(in, limits->max_frame, msg, used) == RPC_MESSAGE, 1))
        return RPC_MESSAGE;
    return rpc_next_scanned(scan, in, limits, msg, used, e);
}

/* text with every byte that is no UTF-8 replaced by U+FFFD; out has room for 3 times its size. */
static struct slice as_utf8(const char *text, char *out)
{
    struct slice rest = slice_str(text);
    size_t n = 0;

    while (rest.size > 0) {
        size_t good = mp_utf8_prefix(rest);
        memcpy(out + n, rest.data, good);
        n += good;
        rest = slice_of(rest.data + good, rest.size - good);
        if (rest.size > 0) {
            memcpy(out + n, "\xef\xbf\xbd", 3);
            n += 3;
            rest = slice_of(rest.data + 1, rest.size - 1);
        }
    }
    return slice_of(out, n);
}

/* A time to retry after is told where a retry may help. */
static bool says_when(const struct err *e)
{
    return e->retry_after_ms >= 0 && err_may_retry(e);
}

static int pack_error_map(struct buf *out, const struct err *e, struct slice text)
{
    bool retry = says_when(e);
    int rc = mpw_map(out, retry ? 3 : 2);
    if (rc == 0)
        rc = mpw_cstr(out, "code");
    if (rc == 0)
        rc = mpw_cstr(out, err_word(e));
    if (rc == 0)
        rc = mpw_cstr(out, "message");
    if (rc == 0)
        rc = mpw_str(out, text);
    if (rc == 0 && retry)
        rc = mpw_cstr(out, "retry_after_ms");
    if (rc == 0 && retry)
        rc = mpw_int(out, e->retry_after_ms);
    return rc;
}

int rpc_pack_error(struct buf *out, const struct err *e, bool as_map)
{
    char clean[3 * ERR_TEXT_MAX], line[sizeof clean + 96];
    size_t before = out->size;
    const char *text = e->text;
    int rc;

    if (text[0] == '\0')
        text = e->code < 0 && e->code > -ERR_COUNT ? meanings[-e->code] : meanings[-ERR_INTERNAL];
    struct slice message = as_utf8(text, clean);
    if (as_map) {
        rc = pack_error_map(out, e, message);
    } else {
        int n = snprintf(line, sizeof line, "%s %.*s", err_word(e), SLICE_ARG(message));
        if (says_when(e))
            n += snprintf(line + n, sizeof line - (size_t)n, " (retry after %d ms)",
                          (int)e->retry_after_ms);
        rc = mpw_str(out, slice_of(line, (size_t)n));
    }
    if (rc != 0)
        out->size = before;
    return rc;
}

int rpc_reply_error(struct buf *out, uint32_t msgid, const struct err *e, bool as_map)
{
    size_t before = out->size;
    int rc = rpc_reply_head(out, msgid);
    if (rc == 0) {
        out->size--; /* the nil of a success: the error takes its place */
        rc = rpc_pack_error(out, e, as_map);
    }
    if (rc == 0)
        rc = mpw_nil(out);
    if (rc != 0)
        out->size = before;
    return rc;
}

int rpc_request_head(struct buf *out, uint32_t msgid, const char *method)
{
    size_t before = out->size;
    int rc = mpw_array(out, 4);
    if (rc == 0)
        rc = mpw_uint(out, TYPE_REQUEST);
    if (rc == 0)
        rc = mpw_uint(out, msgid);
    if (rc == 0)
        rc = mpw_cstr(out, method);
    if (rc != 0)
        out->size = before;
    return rc;
}
