#include "backend/call.h"

void call_reset(struct call *q, size_t max_result)
{
    q->code = 0;
    q->fate = CALL_UNSENT;
    err_clear(&q->err);
    q->found = false;
    buf_init(&q->result, max_result);
    list_init(&q->link);
    q->driver = NULL;
}
