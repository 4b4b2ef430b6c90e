/*
 * pg_size: how much libpq may hold of one row, and of parameters.
 *
 * libpq reads a message as a whole, into a buffer that it doubles as soon as it knows the length,
 * before the message comes; and it keeps that buffer as long as the connection. How much it took
 * is told by the allocator, where that counts (memory.h). A row may take four times max_result
 * there: as text it may be longer than what it is packed into. Past that it is not read: the server
 * cannot be stopped in the middle of a message, so the connection closes, and what else was in the
 * air there and reads runs again on another one. Half of that is let pass, and the connection is
 * closed when it is idle. So buffers of a pool stay below twice max_result for each connection.
 */
#include "backend/postgres/pg_size.h"

#include "backend/postgres/pg_air.h"
#include "backend/postgres/pg_link.h"
#include "backend/postgres/pg_queue.h"
#include "base/clock.h"
#include "base/memory.h"

#define ROW_TIMES 4
#define ROW_LEAST ((uint64_t)256 * 1024)

/* Of libpq's buffer for one row; a power of two of bytes is taken at once. */
static uint64_t row_max(const struct pg_conn *c)
{
    uint64_t most = (uint64_t)c->pool->max_result * ROW_TIMES;
    if (c->pool->max_result == 0)
        return UINT64_MAX;
    return most > ROW_LEAST ? most : ROW_LEAST;
}

void pg_size_note(struct pg_conn *c, uint64_t took)
{
    if (took <= row_max(c) / 2 || c->grown)
        return;
    c->grown = true;
    c->retire_ms = clock_ms();
}

bool pg_size_is_too_much(const struct pg_conn *c, uint64_t took)
{
    return took > row_max(c);
}

void pg_size_refuse(struct pg_conn *c, struct pg_call *call)
{
    struct err why;
    if (call && call->q && call->q->code == 0) {
        struct call *q = call->q;
        call->q = NULL;
        pg_queue_end(c->pool, q,
                     err_set(&q->err, ERR_TOO_LARGE,
                             "a row takes more than %zu bytes (max_result), and far more",
                             c->pool->max_result));
    }
    err_set(&why, ERR_BACKEND_DOWN, "a row of another query was too large to be read");
    pg_air_hand_over(c);
    pg_link_close(c, &why);
}
