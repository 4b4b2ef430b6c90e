/*
 * wire_fuzz: any bytes as a connection's input, whole and in pieces. What is taken must not depend
 * on the cuts, must lie inside the input, and must be readable by the token reader.
 * Run: ./dev fuzz wire
 */
#include "wire/mpw.h"
#include "wire/rpc.h"
#include "wire/rpc_answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rpc_limits limits = {.max_frame = 2048};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void walk_params(const struct rpc_msg *msg)
{
    struct mp_reader r = mp_reader_of(msg->params);
    for (uint32_t i = 0; i < msg->param_count; i++) {
        struct slice value;
        expect(mp_take(&r, &value) == MP_OK);
        expect(mp_check(value, NULL) == 0);
    }
    expect(r.at == r.end);
}

/* Messages of `in` until one is refused or the bytes end, when they arrive `step` at a time;
 * a sum of what was seen. */
static uint64_t drain(struct slice in, size_t step)
{
    struct rpc_scan scan = {0};
    size_t at = 0, there = 0;
    uint64_t sum = 0;

    while (there < in.size) {
        there = in.size - there > step ? there + step : in.size;
        for (;;) {
            struct rpc_msg msg;
            struct err e;
            size_t used = 0;
            int rc = rpc_next(&scan, slice_of(in.data + at, there - at), &limits, &msg, &used, &e);
            if (rc == RPC_MORE)
                break;
            if (rc < 0) {
                expect(rc == ERR_PROTOCOL || rc == ERR_TOO_LARGE);
                return sum * 31 + msg.msgid;
            }
            expect(used > 0 && used <= there - at && used <= limits.max_frame);
            expect(msg.method.data >= in.data + at);
            expect(msg.params.data + msg.params.size == in.data + at + used);
            walk_params(&msg);
            sum = sum * 31 + used + msg.msgid + msg.method.size + msg.param_count;
            at += used;
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    uint64_t sum = drain(in, SIZE_MAX / 2);
    expect(drain(in, 1) == sum);
    expect(drain(in, 7) == sum);

    struct err e;
    struct mp_reader r = mp_reader_of(in);
    int rc = mp_check(in, &e);
    int skipped = mp_skip(&r);
    expect((rc == 0) == (skipped == MP_OK && r.at == r.end));
    expect(mp_utf8_prefix(in) <= size);

    struct rpc_scan scan = {0};
    struct rpc_answer answer;
    size_t used = 0;
    if (rpc_answer_next(&scan, in, &limits, &answer, &used, &e) == RPC_MESSAGE)
        expect(used <= size && answer.result.size > 0);
    return 0;
}
