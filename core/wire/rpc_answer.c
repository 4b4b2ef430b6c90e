#include "wire/rpc_answer.h"

/* [1, msgid, error, result], as one whole value. */
static int read_answer(struct slice frame, struct rpc_answer *answer, struct err *e)
{
    struct mp_reader r = mp_reader_of(frame);
    struct mp_token t;

    if (mp_next(&r, &t) != MP_OK || t.type != MP_ARRAY || t.count != 4)
        return err_set(e, ERR_PROTOCOL, "the answer is not an array of 4");
    if (mp_next(&r, &t) != MP_OK || t.type != MP_INT || t.i != 1)
        return err_set(e, ERR_PROTOCOL, "the message's type is not 1 (answer)");
    if (mp_next(&r, &t) != MP_OK || t.type != MP_INT || t.i < 0 || t.i > UINT32_MAX)
        return err_set(e, ERR_PROTOCOL, "the answer's msgid is not in 0 .. 2^32-1");
    answer->msgid = (uint32_t)t.i;
    if (mp_take(&r, &answer->error) != MP_OK)
        return err_set(e, ERR_PROTOCOL, "the answer's error is nested too deep");
    answer->failed = (unsigned char)answer->error.data[0] != 0xc0;
    answer->result = slice_of(r.at, (size_t)(r.end - r.at));
    return RPC_MESSAGE;
}

int rpc_answer_next(struct rpc_scan *scan, struct slice in, const struct rpc_limits *limits,
                    struct rpc_answer *answer, size_t *used, struct err *e)
{
    scan->mp.extra_depth = MP_DEPTH_EXTRA;
    int rc = rpc_scan_step(scan, in, limits->max_frame, e);
    if (rc != RPC_MESSAGE)
        return rc;
    *used = scan->mp.offset;
    scan->mp.offset = 0;
    scan->mp.depth = 0;
    return read_answer(slice_of(in.data, *used), answer, e);
}
