#include "cli/warm.h"

#include "base/clock.h"
#include "base/show.h"
#include "wire/json_out.h"
#include "cli/key_line.h"
#include "cli/table.h"
#include "wire/mpw.h"
#include "wire/rpc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define BATCHES_A_SECOND 20
#define WAIT_MOST_MS     10000 /* whatever the server says */

struct key {
    struct buf text;
    uint64_t line;
    unsigned tries;
};

struct warm {
    struct client *client;
    const struct warm_options *o;
    struct warm_counts *counts;
    struct key keys[WARM_BATCH]; /* the first `count` are to be asked for */
    unsigned count;
    struct client_reply replies[WARM_BATCH];
    struct buf line, requests;
    uint64_t line_number; /* of the last that was read */
    size_t max_key;
    int64_t due_ms, told_ms;
    double rate;
    int64_t wait_ms; /* what the server asked for in the last batch; -1: it asked for nothing */
};

/* ---- lines ---- */

/* One without its line feed. 0 at the end, 1 where there is one. */
static int read_line(struct warm *w, struct err *e)
{
    int c;
    buf_clear(&w->line);
    while ((c = getc_unlocked(w->o->in)) != EOF && c != '\n') {
        char byte = (char)c;
        if (buf_append(&w->line, &byte, 1) != 0)
            return err_set(e, ERR_BAD_VALUE, "longer than %zu bytes, or no memory", WARM_LINE_MAX);
    }
    if (c == EOF && ferror(w->o->in))
        return err_set(e, ERR_IO, "cannot read: %s", strerror(errno));
    return c == '\n' || w->line.size > 0;
}

static int check_key(const struct warm *w, const struct key *k, struct err *e)
{
    if (k->text.size <= w->max_key)
        return 0;
    return err_set(e, ERR_BAD_VALUE, "a key of %zu bytes, and the server takes %zu", k->text.size,
                   w->max_key);
}

/* The next key to k. As read_line. */
static int read_key(struct warm *w, struct key *k, struct err *e)
{
    int rc;
    do {
        w->line_number++;
        rc = read_line(w, e);
    } while (rc == 1 && w->line.size == 0);
    if (rc == 1) {
        buf_clear(&k->text);
        k->line = w->line_number;
        k->tries = 0;
        rc = key_line_read(&k->text, buf_slice(&w->line), e);
        if (rc == 0)
            rc = check_key(w, k, e);
        if (rc == 0)
            return 1;
    }
    if (rc != 0)
        err_prefix(e, "line %llu", (unsigned long long)w->line_number);
    return rc;
}

/* Fills the batch behind those that are tried again. 1: there may be more keys; 0: there are none;
 * an error: what is in the batch stands before the line that is wrong. */
static int fill(struct warm *w, struct err *e)
{
    double part = w->rate / BATCHES_A_SECOND;
    unsigned size = part < 1 ? 1 : part > WARM_BATCH ? WARM_BATCH : (unsigned)part;
    int rc = 1;
    while (w->count < size && rc == 1) {
        rc = read_key(w, &w->keys[w->count], e);
        w->count += rc == 1;
    }
    return rc;
}

/* ---- the server ---- */

static int exchange(struct warm *w, size_t count, struct err *e)
{
    w->client->timeout_ms = w->o->timeout_ms;
    w->client->deadline_ms = clock_ms() + w->o->timeout_ms;
    memset(w->replies, 0, sizeof w->replies);
    return client_exchange(w->client, buf_slice(&w->requests), w->replies, count, e);
}

static struct slice reply_of(const struct client_reply *r)
{
    return slice_of(r->data, r->size);
}

static bool read_token(struct slice map, const char *name, struct mp_token *t)
{
    struct slice value;
    if (!table_field(map, name, &value))
        return false;
    struct mp_reader r = mp_reader_of(value);
    return mp_next(&r, t) == MP_OK;
}

static struct slice text_of(struct slice map, const char *name)
{
    struct mp_token t;
    bool is_text = read_token(map, name, &t) && t.type == MP_STR;
    return is_text ? t.bytes : slice_of("", 0);
}

static int64_t number_of(struct slice map, const char *name, int64_t otherwise)
{
    struct mp_token t;
    bool is_number = read_token(map, name, &t) && t.type == MP_INT;
    return is_number ? t.i : otherwise;
}

/* Errors as maps from now on, and how long a key may be. */
static int begin(struct warm *w, struct err *e)
{
    buf_clear(&w->requests);
    int rc = rpc_request_head(&w->requests, 1, "hello") | mpw_array(&w->requests, 1) |
             mpw_map(&w->requests, 1) | mpw_cstr(&w->requests, "errors") |
             mpw_cstr(&w->requests, "map");
    if (rc != 0)
        return err_set(e, ERR_NOMEM, "no memory");
    rc = exchange(w, 1, e);
    int64_t max_key = rc == 0 ? number_of(reply_of(w->replies), "max_key", 0) : 0;
    if (rc == 0 && (w->replies[0].failed || max_key <= 0))
        rc = err_set(e, ERR_PROTOCOL, "the answer to hello is not what the protocol says");
    w->max_key = (size_t)max_key;
    client_replies_free(w->replies, 1);
    return rc;
}

static int pack_batch(struct warm *w)
{
    struct buf *out = &w->requests;
    int rc = 0;
    buf_clear(out);
    for (unsigned i = 0; i < w->count && rc == 0; i++) {
        rc = rpc_request_head(out, i + 1, "get_entry");
        rc |= mpw_array(out, w->o->deadline_ms > 0 ? 2 : 1);
        rc |= mpw_text(out, buf_slice(&w->keys[i].text));
        if (w->o->deadline_ms > 0)
            rc |= mpw_map(out, 1) | mpw_cstr(out, "timeout_ms") | mpw_int(out, w->o->deadline_ms);
    }
    return rc;
}

/* ---- what became of a key ---- */

/* The first of them with their words, which could hold anything. */
static void tell_failure(struct warm *w, const struct key *k, struct slice code,
                         struct slice message)
{
    char text[1024], word[64];
    if (++w->counts->failed > WARM_ERRORS_SHOWN)
        return;
    show_bytes(text, sizeof text, message, "");
    show_bytes(word, sizeof word, code, "");
    fprintf(w->o->err, "rtcache: line %llu: %s %s\n", (unsigned long long)k->line, word, text);
    if (w->counts->failed == WARM_ERRORS_SHOWN)
        fprintf(w->o->err, "rtcache: further keys that fail are counted only\n");
}

enum fate { FATE_DONE, FATE_AGAIN, FATE_STOP };

static enum fate judge_error(struct warm *w, struct key *k, struct slice error, struct err *e)
{
    struct slice code = text_of(error, "code"), message = text_of(error, "message");
    int64_t wait_ms = number_of(error, "retry_after_ms", 0);
    if (slice_eq_str(code, "SHUTTING_DOWN") || slice_eq_str(code, "UNAUTHENTICATED")) {
        char text[256];
        show_bytes(text, sizeof text, message, "");
        bool stops = slice_eq_str(code, "SHUTTING_DOWN");
        err_set(e, stops ? ERR_SHUTDOWN : ERR_UNAUTHENTICATED, "line %llu: %s %s",
                (unsigned long long)k->line, stops ? "SHUTTING_DOWN" : "UNAUTHENTICATED", text);
        return FATE_STOP;
    }
    bool busy = slice_eq_str(code, "OVERLOADED") || slice_eq_str(code, "BREAKER_OPEN");
    if (busy && wait_ms > w->wait_ms)
        w->wait_ms = wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS;
    if (busy && ++k->tries < WARM_TRIES)
        return FATE_AGAIN;
    tell_failure(w, k, code, message);
    return FATE_DONE;
}

static void judge_entry(struct warm *w, const struct key *k, struct slice entry)
{
    struct slice status = text_of(entry, "status"), error, reason = text_of(entry, "reason");
    if (reason.size > 0)
        tell_failure(w, k, slice_str("not kept:"), reason);
    else if (slice_eq_str(status, "miss"))
        w->counts->loaded++;
    else if (slice_eq_str(status, "negative"))
        w->counts->absent++;
    else if (slice_eq_str(status, "stale_error") && table_field(entry, "error", &error))
        tell_failure(w, k, text_of(error, "code"), text_of(error, "message"));
    else
        w->counts->there++;
}

/* What is to be asked again comes first in the next batch, in its order. */
static int judge(struct warm *w, struct err *e)
{
    unsigned again = 0;
    struct err later; /* than the first that ends it */
    int rc = 0;
    w->wait_ms = -1;
    for (unsigned i = 0; i < w->count; i++) {
        enum fate fate = FATE_DONE;
        if (w->replies[i].failed)
            fate = judge_error(w, &w->keys[i], reply_of(&w->replies[i]), rc == 0 ? e : &later);
        else
            judge_entry(w, &w->keys[i], reply_of(&w->replies[i]));
        if (fate == FATE_STOP && rc == 0)
            rc = e->code;
        if (fate == FATE_AGAIN) {
            struct key k = w->keys[again];
            w->keys[again++] = w->keys[i];
            w->keys[i] = k;
        }
    }
    w->count = again;
    return rc;
}

/* ---- pace ---- */

static void wait_until(int64_t ms)
{
    for (int64_t left = ms - clock_ms(); left > 0; left = ms - clock_ms())
        poll(NULL, 0, left < 1000 ? (int)left : 1000);
}

/* When the next batch is due, behind one of so many keys. */
static void set_pace(struct warm *w, unsigned sent)
{
    int64_t now_ms = clock_ms(), from_ms = w->due_ms;
    double full = (double)w->o->rate;
    if (w->wait_ms >= 0) {
        w->rate = w->rate / 2 > 1 ? w->rate / 2 : 1;
        w->counts->slowed++;
        from_ms = now_ms + w->wait_ms;
    } else {
        w->rate = w->rate + full / 20 < full ? w->rate + full / 20 : full;
    }
    w->due_ms = from_ms + (int64_t)((double)sent / w->rate * 1000);
    if (w->due_ms < now_ms)
        w->due_ms = now_ms; /* what was lost is not made up for */
}

static void tell_progress(struct warm *w)
{
    const struct warm_counts *n = w->counts;
    if (clock_ms() - w->told_ms < w->o->progress_ms)
        return;
    w->told_ms = clock_ms();
    fprintf(w->o->err,
            "rtcache: line %llu: %llu loaded, %llu already there, %llu absent, %llu failed; %.0f "
            "keys a second\n",
            (unsigned long long)w->line_number, (unsigned long long)n->loaded,
            (unsigned long long)n->there, (unsigned long long)n->absent,
            (unsigned long long)n->failed, w->rate);
}

static int run_batch(struct warm *w, struct err *e)
{
    unsigned sent = w->count;
    wait_until(w->due_ms);
    int rc = pack_batch(w) == 0 ? exchange(w, sent, e) : err_set(e, ERR_NOMEM, "no memory");
    if (rc == 0) {
        rc = judge(w, e);
        set_pace(w, sent);
        tell_progress(w);
    } else {
        err_prefix(e, "line %llu", (unsigned long long)w->keys[0].line);
    }
    client_replies_free(w->replies, sent);
    return rc;
}

int warm_run(struct client *c, const struct warm_options *o, struct warm_counts *counts,
             struct err *e)
{
    struct warm w = {.client = c, .o = o, .counts = counts, .rate = (double)o->rate};
    struct err last; /* of the lines */
    int64_t began_ms = clock_ms();
    int more = 1;
    *counts = (struct warm_counts){0};
    w.due_ms = w.told_ms = began_ms;
    buf_init(&w.line, WARM_LINE_MAX);
    buf_init(&w.requests, 0);
    for (unsigned i = 0; i < WARM_BATCH; i++)
        buf_init(&w.keys[i].text, WARM_LINE_MAX);
    int rc = begin(&w, e);
    while (rc == 0 && (more == 1 || w.count > 0)) {
        if (more == 1)
            more = fill(&w, &last);
        if (w.count > 0)
            rc = run_batch(&w, e);
    }
    if (rc == 0 && more < 0) {
        *e = last;
        rc = more;
    }
    counts->took_ms = clock_ms() - began_ms;
    for (unsigned i = 0; i < WARM_BATCH; i++)
        buf_fini(&w.keys[i].text);
    buf_fini(&w.requests);
    buf_fini(&w.line);
    return rc;
}

int warm_write(struct buf *out, const struct warm_counts *n, bool json, bool pretty)
{
    uint64_t keys = n->loaded + n->there + n->absent + n->failed;
    double seconds = (double)n->took_ms / 1e3;
    if (!json)
        return buf_printf(out,
                          "%llu keys in %.1f s: %llu loaded, %llu already there, %llu absent, %llu "
                          "failed\n",
                          (unsigned long long)keys, seconds, (unsigned long long)n->loaded,
                          (unsigned long long)n->there, (unsigned long long)n->absent,
                          (unsigned long long)n->failed);
    struct buf packed;
    buf_init(&packed, 0);
    int rc = mpw_map(&packed, 6);
    rc |= mpw_cstr(&packed, "keys") | mpw_uint(&packed, keys);
    rc |= mpw_cstr(&packed, "loaded") | mpw_uint(&packed, n->loaded);
    rc |= mpw_cstr(&packed, "already_there") | mpw_uint(&packed, n->there);
    rc |= mpw_cstr(&packed, "absent") | mpw_uint(&packed, n->absent);
    rc |= mpw_cstr(&packed, "failed") | mpw_uint(&packed, n->failed);
    rc |= mpw_cstr(&packed, "seconds") | mpw_float(&packed, seconds);
    if (rc == 0)
        rc = json_out_value(out, buf_slice(&packed), pretty ? JSON_OUT_PRETTY : JSON_OUT_COMPACT);
    buf_fini(&packed);
    return rc == 0 ? buf_append(out, "\n", 1) : rc;
}
