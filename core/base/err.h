/*
 * err: the closed list of error codes, and the caller-owned record of what went wrong.
 *
 * Shape: functions return 0 or a negative code; the text goes to a struct err of the caller,
 * without malloc. The same code is the wire's code, the label of a metric and Lua's err.code.
 * Thread: any; a struct err belongs to its caller.
 * Limits: the text is cut at ERR_TEXT_MAX - 1 bytes, at a UTF-8 boundary.
 */
#ifndef RTCACHE_BASE_ERR_H
#define RTCACHE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(enumerator, number, wire name, may a caller retry?, what it means) */
#define ERR_CODES(X)                                                                               \
    X(ERR_INTERNAL, -1, "INTERNAL", false, "a fault of the server itself")                         \
    X(ERR_NOMEM, -2, "OUT_OF_MEMORY", true, "memory could not be had")                             \
    X(ERR_PROTOCOL, -3, "PROTOCOL", false, "bytes that are no MessagePack-RPC; closes it")         \
    X(ERR_UNKNOWN_METHOD, -4, "UNKNOWN_METHOD", false, "no method of that name")                   \
    X(ERR_BAD_REQUEST, -5, "BAD_REQUEST", false, "wrong count, type or value of an argument")      \
    X(ERR_BAD_KEY, -6, "BAD_KEY", false, "a key that is empty, too long or no row's")              \
    X(ERR_NO_LOADER, -7, "NO_LOADER", false, "no loader's pattern matches the key")                \
    X(ERR_TIMEOUT, -8, "TIMEOUT", true, "no answer before the request's deadline")                 \
    X(ERR_LOAD_TIMEOUT, -9, "LOAD_TIMEOUT", true, "the load passed its load_timeout")              \
    X(ERR_OVERLOADED, -10, "OVERLOADED", true, "a bound on loads, queue or waiters is reached")    \
    X(ERR_BREAKER_OPEN, -11, "BREAKER_OPEN", true, "the loader's breaker is open")                 \
    X(ERR_LOAD_FAILED, -12, "LOAD_FAILED", true, "the script answered nil, err or threw")          \
    X(ERR_SCRIPT, -13, "SCRIPT_ERROR", false, "a script is wrong: syntax, runtime or bound")       \
    X(ERR_BAD_VALUE, -14, "BAD_VALUE", false, "the loader returned what cannot be packed")         \
    X(ERR_BACKEND, -15, "BACKEND_ERROR", false, "the database refused the query")                  \
    X(ERR_BACKEND_DOWN, -16, "BACKEND_DOWN", true, "the database cannot be reached")               \
    X(ERR_TOO_LARGE, -17, "TOO_LARGE", false, "a value past its size limit")                       \
    X(ERR_CONFIG, -18, "CONFIG", false, "the configuration is wrong")                              \
    X(ERR_RELOAD, -19, "RELOAD_FAILED", false, "a reload was refused; nothing changed")            \
    X(ERR_SHUTDOWN, -20, "SHUTTING_DOWN", true, "the server is going down")                        \
    X(ERR_CANCELLED, -21, "CANCELLED", true, "the work was given up before its end")               \
    X(ERR_STALE_SOURCE, -22, "STALE_SOURCE", true, "the source stays below the wanted version")    \
    X(ERR_VERSION_CONFLICT, -23, "VERSION_CONFLICT", false, "a newer version is stored")           \
    X(ERR_IO, -24, "IO", false, "a call to the operating system failed")                           \
    X(ERR_WRITE_UNKNOWN, -25, "WRITE_UNKNOWN", false, "whether the write took place is not known") \
    X(ERR_UNAUTHENTICATED, -26, "UNAUTHENTICATED", false, "auth has to come first")                \
    X(ERR_AUTH_FAILED, -27, "AUTH_FAILED", false, "no such user, or another password")             \
    X(ERR_DENIED, -28, "DENIED", false, "the user has no right to that method or key")             \
    X(ERR_OWN, -29, "SCRIPT", false, "in counters alone: all codes that scripts gave of their own")

enum err_code {
#define ERR_ENUM(name, number, wire, retryable, text) name = number,
    ERR_CODES(ERR_ENUM)
#undef ERR_ENUM
};

#define ERR_COUNT    30 /* codes are -1 .. -(ERR_COUNT - 1) */
#define ERR_TEXT_MAX 480
#define ERR_WORD_MAX 32

struct err {
    int code;               /* 0: no error */
    int32_t retry_after_ms; /* -1: unknown */
    bool sick;         /* it tells of a source that is unwell, though its code does not say so */
    signed char retry; /* whether another attempt may help: 1 yes, -1 no, 0 as the code says */
    char word[ERR_WORD_MAX + 1]; /* ERR_OWN: the script's own code */
    char text[ERR_TEXT_MAX];
};

#define MUST_USE __attribute__((warn_unused_result))

/* Fills e (NULL is allowed) and returns code, so that `return err_set(e, ERR_X, "...")` reads well.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text of e. */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The wire name ("TIMEOUT"); "OK" for 0; "INTERNAL" for a number that is not in the list. */
const char *err_name(int code);

bool err_retryable(int code);

/* Its name on the wire: the script's own word where it has one. */
static inline const char *err_word(const struct err *e)
{
    return e->code == ERR_OWN && e->word[0] ? e->word : err_name(e->code);
}

/* Whether another attempt may help. */
static inline bool err_may_retry(const struct err *e)
{
    return e->retry ? e->retry > 0 : err_retryable(e->code);
}

/* Whether it tells that the source itself is unwell: down, out of time, overloaded. What is wrong
 * with a key, or with a script, is no such thing. */
bool err_is_sick(const struct err *e);

static inline void err_clear(struct err *e)
{
    e->code = 0;
    e->retry_after_ms = -1;
    e->sick = false;
    e->retry = 0;
    e->word[0] = '\0';
    e->text[0] = '\0';
}

#endif
