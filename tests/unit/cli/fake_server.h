/*
 * fake_server: a process that speaks the protocol's wire and answers by rote, for tests of the
 * client. It reads what has arrived, then answers it last request first.
 *
 * The key decides: "absent" nil or false, "text", "bytes", "error", "late" (TIMEOUT), "stopping"
 * (SHUTTING_DOWN), "busy" (OVERLOADED), "busy once" (BREAKER_OPEN every other time), "silent" (no answer), "close", "garbage", "stranger" (an answer nobody asked
 * for), "split" (byte by byte), "refused" (an error with the id 0), "twice"; any other key answers
 * with [method, params...].
 */
#ifndef RTCACHE_TESTS_CLI_FAKE_SERVER_H
#define RTCACHE_TESTS_CLI_FAKE_SERVER_H

#include "sys/addr.h"
#include "wire/mpw.h"
#include "wire/rpc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAKE_REQUESTS 64

struct fake_server {
    pid_t pid;
    char address[128];
};

/* As `hello {errors = "map"}` has asked for. */
static bool fake_maps;
static unsigned fake_busy;

static inline void fake_must(int rc)
{
    if (rc != 0)
        _exit(99);
}

static inline void fake_error(struct buf *out, uint32_t id, int code, const char *text)
{
    struct err e;
    err_set(&e, code, "%s", text);
    fake_must(rpc_reply_error(out, id, &e, fake_maps));
}

static inline void fake_later(struct buf *out, uint32_t id, int code, const char *text, int ms)
{
    struct err e;
    err_set(&e, code, "%s", text);
    e.retry_after_ms = ms;
    fake_must(rpc_reply_error(out, id, &e, fake_maps));
}

static inline void fake_hello(struct buf *out)
{
    fake_maps = true;
    fake_must(mpw_map(out, 1));
    fake_must(mpw_cstr(out, "max_key"));
    fake_must(mpw_int(out, 100));
}

static inline void fake_loaders(struct buf *out)
{
    static const char *const patterns[] = {"user:*", "a-longer-pattern:*"};
    fake_must(mpw_array(out, 2));
    for (int i = 0; i < 2; i++) {
        fake_must(mpw_map(out, 6));
        fake_must(mpw_cstr(out, "pattern"));
        fake_must(mpw_cstr(out, patterns[i]));
        fake_must(mpw_cstr(out, "script"));
        fake_must(mpw_cstr(out, "user.lua"));
        fake_must(mpw_cstr(out, "backend"));
        fake_must(i ? mpw_nil(out) : mpw_cstr(out, "main"));
        fake_must(mpw_cstr(out, "loads"));
        fake_must(mpw_int(out, i ? 5 : 1234567));
        fake_must(mpw_cstr(out, "breaker"));
        fake_must(mpw_cstr(out, "closed"));
        fake_must(mpw_cstr(out, "jitter"));
        fake_must(mpw_float(out, 0.1));
    }
}

static inline void fake_stats(struct buf *out)
{
    fake_must(mpw_map(out, 3));
    fake_must(mpw_cstr(out, "uptime_ms"));
    fake_must(mpw_int(out, 1500));
    fake_must(mpw_cstr(out, "store"));
    fake_must(mpw_map(out, 2));
    fake_must(mpw_cstr(out, "entries"));
    fake_must(mpw_int(out, 12));
    fake_must(mpw_cstr(out, "hit_ratio"));
    fake_must(mpw_float(out, 0.5));
    fake_must(mpw_cstr(out, "version"));
    fake_must(mpw_cstr(out, "0.1"));
}

/* get_many: {value = key}, {value = nil} for "absent", {error = ...} for "error"; for the others in
 * the list what a server does not answer. */
static inline bool fake_odd(struct buf *out, struct slice key)
{
    static const struct {
        const char *key, *answer;
    } all[] = {
        {"number", "\x05"}, {"list", "\x91\xa5value"},    {"unnamed", "\x81\x05\x05"},
        {"empty", "\x80"},  {"strange", "\x81\xa1x\x05"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (slice_eq_str(key, all[i].key)) {
            fake_must(mpw_raw(out, slice_str(all[i].answer)));
            return true;
        }
    return false;
}

static inline void fake_many(struct buf *out, struct slice params)
{
    struct mp_reader r = mp_reader_of(params);
    struct mp_token t;
    fake_must(mp_next(&r, &t));
    if (memmem(params.data, params.size, "scalar", 6)) {
        fake_must(mpw_int(out, 2));
        return;
    }
    if (memmem(params.data, params.size, "pairs",
               5)) { /* a map whose first key is such an element */
        fake_must(mpw_raw(out, slice_str("\x81\x81\xa5value\x01\x05")));
        return;
    }
    fake_must(mpw_array(out, t.count));
    for (uint32_t i = 0; i < t.count; i++) {
        struct mp_token key;
        fake_must(mp_next(&r, &key));
        bool error = slice_eq_str(key.bytes, "error");
        if (fake_odd(out, key.bytes))
            continue;
        fake_must(mpw_map(out, 1));
        fake_must(mpw_cstr(out, error ? "error" : "value"));
        if (error)
            fake_must(mpw_cstr(out, "NO_LOADER error: no pattern"));
        else if (slice_eq_str(key.bytes, "absent"))
            fake_must(mpw_nil(out));
        else
            fake_must(mpw_text(out, key.bytes));
    }
}

/* A status other than that of a hit or an absence is the key's; a reason goes with one of those. */
static inline void fake_entry(struct buf *out, struct slice key)
{
    bool nil = slice_eq_str(key, "absent"), large = slice_eq_str(key, "large");
    bool failed = slice_eq_str(key, "stale_error"), miss = slice_eq_str(key, "miss") || large;
    fake_must(mpw_map(out, 2 + large + failed));
    fake_must(mpw_cstr(out, "value"));
    fake_must(nil ? mpw_nil(out) : mpw_int(out, 5));
    fake_must(mpw_cstr(out, "status"));
    fake_must(mpw_cstr(out, nil ? "negative" : failed ? "stale_error" : miss ? "miss" : "hit"));
    if (large)
        fake_must(mpw_cstr(out, "reason") | mpw_cstr(out, "too large: an entry of 9 bytes"));
    if (failed)
        fake_must(mpw_cstr(out, "error") | mpw_map(out, 2) | mpw_cstr(out, "code") |
                  mpw_cstr(out, "LOAD_FAILED") | mpw_cstr(out, "message") |
                  mpw_cstr(out, "stale_error: no"));
}

static inline void fake_result(struct buf *out, const struct rpc_msg *m, struct slice key)
{
    bool found = slice_eq_str(m->method, "touch") || slice_eq_str(m->method, "invalidate");

    fake_must(rpc_reply_head(out, m->msgid));
    if (slice_eq_str(m->method, "hello")) {
        fake_hello(out);
    } else if (slice_eq_str(m->method, "ping")) {
        fake_must(mpw_cstr(out, "pong"));
    } else if (slice_eq_str(m->method, "loaders")) {
        fake_loaders(out);
    } else if (slice_eq_str(m->method, "snapshot")) {
        fake_must(mpw_map(out, 2));
        fake_must(mpw_cstr(out, "file"));
        fake_must(mpw_cstr(out, "/nowhere/at/all"));
        fake_must(mpw_cstr(out, "bytes"));
        fake_must(mpw_int(out, 100));
    } else if (slice_eq_str(m->method, "stats")) {
        fake_stats(out);
    } else if (slice_eq_str(m->method, "get_many")) {
        fake_many(out, m->params);
    } else if (slice_eq_str(m->method, "get_entry")) {
        fake_entry(out, key);
    } else if (slice_eq_str(key, "absent")) {
        fake_must(found ? mpw_bool(out, false) : mpw_nil(out));
    } else if (slice_eq_str(key, "text")) {
        fake_must(mpw_cstr(out, "some \"text\"\n"));
    } else if (slice_eq_str(key, "bytes")) {
        fake_must(mpw_bin(out, slice_of("\xff\x00z", 3)));
    } else {
        fake_must(mpw_array(out, m->param_count + 1));
        fake_must(mpw_text(out, m->method));
        fake_must(mpw_raw(out, m->params));
    }
}

/* 1: this connection is to be closed. */
static inline int fake_answer(struct buf *out, const struct rpc_msg *m)
{
    struct mp_reader r = mp_reader_of(m->params);
    struct mp_token t = {0};
    struct slice key = slice_of(NULL, 0);
    if (m->param_count > 0 && mp_next(&r, &t) == MP_OK && (t.type == MP_STR || t.type == MP_BIN))
        key = t.bytes;

    if (slice_eq_str(key, "close"))
        return 1;
    if (slice_eq_str(key, "garbage"))
        fake_must(buf_append(out, "HTTP/1.1 400", 12));
    else if (slice_eq_str(key, "stranger"))
        fake_must(buf_append(out, "\x94\x01\x63\xc0\xc0", 5));
    else if (slice_eq_str(key, "error"))
        fake_error(out, m->msgid, ERR_LOAD_FAILED, "error: the \"source\" said \x1b[1m no");
    else if (slice_eq_str(key, "late"))
        fake_error(out, m->msgid, ERR_TIMEOUT, "late: no answer within 5 ms");
    else if (slice_eq_str(key, "stopping"))
        fake_later(out, m->msgid, ERR_SHUTDOWN, "the server is going down", 1000);
    else if (slice_eq_str(key, "busy"))
        fake_later(out, m->msgid, ERR_OVERLOADED, "busy: its loader has enough to do", 1);
    else if (slice_eq_str(key, "busy once") && fake_busy++ % 2 == 0)
        fake_later(out, m->msgid, ERR_BREAKER_OPEN, "busy once: not now", 1);
    else if (slice_eq_str(key, "refused"))
        fake_error(out, 0, ERR_PROTOCOL, "no such thing");
    else if (!slice_eq_str(key, "silent"))
        fake_result(out, m, key);
    if (slice_eq_str(key, "twice"))
        fake_result(out, m, key);
    return 0;
}

static inline void fake_send(int fd, struct slice s, bool split)
{
    size_t step = split ? 1 : s.size;
    for (size_t at = 0; at < s.size; at += step) {
        ssize_t n = write(fd, s.data + at, step);
        if (n != (ssize_t)step)
            return;
    }
}

/* Everything that one read brought, answered from its end. */
static inline int fake_turn(int fd, struct buf *in)
{
    const struct rpc_limits limits = {.max_frame = 16 << 20};
    struct rpc_msg messages[FAKE_REQUESTS];
    struct rpc_scan scan = {0};
    struct err e;
    size_t at = 0, used = 0, n = 0;
    int closed = 0;

    while (n < FAKE_REQUESTS && rpc_next(&scan, slice_of(in->data + at, in->size - at), &limits,
                                         &messages[n], &used, &e) == RPC_MESSAGE) {
        at += used;
        n++;
    }
    while (n > 0 && !closed) {
        struct buf out;
        buf_init(&out, 0);
        closed = fake_answer(&out, &messages[--n]);
        fake_send(fd, buf_slice(&out),
                  memmem(messages[n].params.data, messages[n].params.size, "split", 5) != NULL);
        buf_fini(&out);
    }
    buf_consume(in, at);
    return closed;
}

static inline void fake_serve(int listening)
{
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        if (fd < 0 || fcntl(fd, F_SETFL, 0) != 0)
            continue;
        struct buf in;
        fake_maps = false;
        buf_init(&in, 0);
        for (;;) {
            char *room = buf_room(&in, 65536);
            ssize_t n = room ? read(fd, room, 65536) : -1;
            if (n <= 0)
                break;
            in.size += (size_t)n;
            if (fake_turn(fd, &in) != 0)
                break;
        }
        buf_fini(&in);
        close(fd);
    }
}

static inline int fake_server_start(struct fake_server *s)
{
    struct addrs all;
    struct err e;
    int fd;
    if (addr_resolve(&all, "127.0.0.1:0", &e) != 0 ||
        addr_listen(&all.at[0], 16, false, &fd, &e) != 0 || fcntl(fd, F_SETFL, 0) != 0)
        return -1;
    addr_of_socket(fd, s->address, sizeof s->address);
    s->pid = fork();
    if (s->pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        alarm(120); /* never outlive a test that died */
        fake_serve(fd);
    }
    close(fd);
    return s->pid > 0 ? 0 : -1;
}

static inline void fake_server_stop(struct fake_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

#endif
