#include "net/held.h"

#include "base/log.h"

#define LOOK_SECONDS 0.05 /* between two looks while it is near the limit */
#define SHRINK_FROM  ((size_t)64 * 1024)

static struct ledger_page *page_of(const struct io *io)
{
    return &io->options.ledger->pages[io->options.index];
}

static size_t limit_of(const struct io *io)
{
    return (size_t)io->snapshot->conf->client_memory;
}

/* What is held, but for what connections that are closed give back in slices. */
static size_t held_soon(const struct io *io)
{
    size_t held = ledger_held(io->options.ledger);
    return held > io->leaving_bytes ? held - io->leaving_bytes : 0;
}

static struct conn *conn_of(struct shed_member *m)
{
    return container_of(m, struct conn, member);
}

/* ---- shedding ---- */

static void count_shed(struct conn *c)
{
    metrics_inc(c->io->metrics, M_CONNECTIONS_SHED);
    log_warn("conn.shed", "id=%llu holds=%zu all=%zu client_memory=%zu", (unsigned long long)c->id,
             c->member.held, ledger_held(c->io->options.ledger), limit_of(c->io));
}

/* It counts as leaving from now on, so that nobody else is closed for the same bytes. */
void held_refuse(struct conn *c)
{
    if (c->state == CONN_BROKEN)
        return;
    count_shed(c);
    c->shed_bytes = c->member.held;
    c->io->leaving_bytes += c->shed_bytes;
    conn_cut(c);
}

/* The largest of all is closed by its own thread; past the limit each closes one. */
static void shed_one(struct io *io, enum shed_state state)
{
    struct shed_member *m = shed_largest(&io->shed);
    bool largest = shed_edge(&io->shed) >= ledger_largest_beside(io->options.ledger, page_of(io));
    if (m && (largest || state == SHED_FULL))
        held_refuse(conn_of(m));
}

static void pause_reading(struct conn *c)
{
    if (shed_is_paused(&c->member) || c->state >= CONN_LINGERING || conn_has_ended(c))
        return;
    shed_pause(&c->io->shed, &c->member);
    ledger_change(&page_of(c->io)->unread, 1);
    metrics_inc(c->io->metrics, M_HELD_BACK);
    conn_stop_reading(c);
}

void held_read_on(struct conn *c)
{
    if (!shed_is_paused(&c->member))
        return;
    list_remove(&c->member.unread);
    ledger_change(&page_of(c->io)->unread, (size_t)-1);
    conn_read_on(c);
}

static void watch(struct io *io)
{
    if (ev_is_active(&io->look))
        return;
    shed_begin(&io->shed, clock_ms());
    ev_timer_again(io->worker.loop, &io->look);
}

/* c, or NULL, has grown. */
static __attribute__((noinline)) void press(struct io *io, struct conn *c, enum shed_state state)
{
    size_t share = shed_fair_share(limit_of(io), ledger_connections(io->options.ledger));
    if (c && c->member.held > share)
        pause_reading(c);
    if (state >= SHED_OVER)
        shed_one(io, state);
    watch(io);
}

static void press_if(struct io *io, struct conn *c)
{
    enum shed_state state = shed_state_of(held_soon(io), limit_of(io));
    if (__builtin_expect(state != SHED_QUIET, 0))
        press(io, c, state);
}

static void resume_all(struct io *io)
{
    struct shed_member *m;
    while ((m = shed_resume(&io->shed))) {
        ledger_change(&page_of(io)->unread, (size_t)-1);
        conn_read_on(conn_of(m));
    }
}

static void held_on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct io *io = timer->data;
    io_read_clock(io);
    enum shed_state state = shed_state_of(held_soon(io), limit_of(io));
    if (state == SHED_QUIET) {
        resume_all(io);
        ev_timer_stop(loop, timer);
        return;
    }
    bool stuck = ledger_unread(io->options.ledger) > 0 && shed_is_stuck(&io->shed, io->now_ms);
    if (state >= SHED_OVER || stuck)
        shed_one(io, state);
}

void held_sweep(struct io *io)
{
    press_if(io, NULL);
}

void held_init(struct io *io)
{
    shed_init(&io->shed);
    ev_timer_init(&io->look, held_on_look, 0., LOOK_SECONDS);
    io->look.data = io;
}

void held_stop(struct io *io)
{
    ev_timer_stop(io->worker.loop, &io->look);
}

/* ---- what is held ---- */

static void move(struct conn *c, size_t held)
{
    worker_owns(&c->io->worker);
    if (__builtin_expect(!shed_moves(&c->member, held), 1)) { /* nor does the largest change */
        c->member.held = held;
        return;
    }
    shed_move(&c->io->shed, &c->member, held);
    ledger_tell_largest(page_of(c->io), shed_edge(&c->io->shed));
}

void held_add(struct io *io, struct conn *c, enum ledger_kind kind, size_t bytes)
{
    ledger_add(page_of(io), kind, bytes);
    if (c)
        move(c, c->member.held + bytes);
    else
        io->leaving_bytes += bytes;
    press_if(io, c);
}

static void leave(struct io *io, size_t bytes)
{
    io->leaving_bytes -= bytes < io->leaving_bytes ? bytes : io->leaving_bytes;
}

void held_take(struct io *io, struct conn *c, enum ledger_kind kind, size_t bytes)
{
    ledger_take(page_of(io), kind, bytes);
    if (c)
        move(c, c->member.held - bytes);
    else if (kind != LEDGER_WRITES && kind != LEDGER_AUTHS) /* see held_orphan */
        leave(io, bytes);
}

void held_orphan(struct conn *c, size_t bytes)
{
    move(c, c->member.held - bytes);
}

void held_part(struct conn *c, size_t bytes)
{
    move(c, c->member.held - bytes);
    c->io->leaving_bytes += bytes;
}

bool held_admits(const struct io *io, size_t bytes)
{
    return shed_admits(ledger_held(io->options.ledger), bytes, limit_of(io));
}

int held_refusal(const struct io *io, const char *what, struct err *e)
{
    metrics_inc(io->metrics, M_HELD_REFUSED);
    return err_set(e, ERR_OVERLOADED, "%s: the connections together hold client_memory (%zu bytes)",
                   what, limit_of(io));
}

/* ---- connections and their buffers ---- */

bool held_open(struct conn *c, bool tls)
{
    struct io *io = c->io;
    c->held_own = sizeof *c + (tls ? HELD_TLS_BYTES : 0);
    shed_enter(&io->shed, &c->member);
    ledger_change(&page_of(io)->connections, 1);
    bool fits = held_admits(io, c->held_own);
    ledger_add(page_of(io), LEDGER_CONNECTIONS, sizeof *c);
    if (tls)
        ledger_add(page_of(io), LEDGER_TLS, HELD_TLS_BYTES);
    move(c, c->held_own);
    if (!fits)
        count_shed(c);
    return fits;
}

void held_close(struct conn *c)
{
    struct io *io = c->io;
    ledger_take(page_of(io), LEDGER_INPUT, c->held_in);
    ledger_take(page_of(io), LEDGER_OUTPUT, c->held_out);
    ledger_take(page_of(io), LEDGER_CONNECTIONS, sizeof *c);
    ledger_take(page_of(io), LEDGER_TLS, c->held_own - sizeof *c);
    ledger_change(&page_of(io)->connections, (size_t)-1);
    leave(io, c->shed_bytes);
    if (shed_is_paused(&c->member))
        ledger_change(&page_of(io)->unread, (size_t)-1);
    shed_leave(&io->shed, &c->member);
    ledger_tell_largest(page_of(io), shed_edge(&io->shed));
}

/* A lent buffer may be much larger than the few bytes that a client leaves in it. */
static void shrink(struct buf *b)
{
    if (b->capacity >= SHRINK_FROM && b->size < b->capacity / 4)
        buf_fit(b);
}

void held_settle_buffers(struct conn *c)
{
    struct io *io = c->io;
    shrink(&c->out);
    size_t in = c->in.capacity, out = c->out.capacity + c->sealed.capacity;
    size_t before = c->held_in + c->held_out, now = in + out;
    bool grows = now > before;
    if (grows && now > SHED_SMALL && !held_admits(io, now - before)) {
        held_refuse(c);
        return;
    }
    ledger_take(page_of(io), LEDGER_INPUT, c->held_in);
    ledger_take(page_of(io), LEDGER_OUTPUT, c->held_out);
    ledger_add(page_of(io), LEDGER_INPUT, in);
    ledger_add(page_of(io), LEDGER_OUTPUT, out);
    move(c, c->member.held - before - c->held_outside + now + c->values.outside);
    grows |= c->values.outside > c->held_outside;
    c->held_in = in;
    c->held_out = out;
    c->held_outside = c->values.outside;
    if (grows)
        press_if(io, c);
}
