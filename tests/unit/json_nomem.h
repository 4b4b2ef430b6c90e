/*
 * json_nomem: JSON that is read without one of the allocations that it asks for. The test defines
 * pack(), which makes out and e anew.
 */
#ifndef RTCACHE_TESTS_JSON_NOMEM_H
#define RTCACHE_TESTS_JSON_NOMEM_H

#include "base/buf.h"
#include "base/err.h"
#include "faulty.h"

static int pack(struct buf *out, const char *text, struct err *e);

/* Where there is another way the value is whole. more: how many fail after the nth. */
static void json_nomem_check(const char *text, int64_t more)
{
    struct buf out, whole;
    struct err e;
    int rc = 0, refusals = 0;
    int64_t nth = 1;
    assert_int_equal(pack(&whole, text, &e), 0);
    for (; FAULTY_WITHOUT(nth, more, rc = pack(&out, text, &e)); nth++) {
        bool refused = rc == ERR_NOMEM && e.code == rc && out.size == 0;
        bool packed = rc == 0 && slice_eq(buf_slice(&out), buf_slice(&whole));
        if (!refused && !packed)
            fail_msg("%s, allocation %lld: %d, error %d \"%s\"", text, (long long)nth, rc, e.code,
                     e.text);
        refusals += refused;
        buf_fini(&out);
    }
    assert_int_equal(rc, 0);
    assert_true(refusals > 0);
    buf_fini(&out);
    buf_fini(&whole);
}

#endif
