/*
 * args: the words and options of a command line.
 *
 * Options stand anywhere, as "--name value", "--name=value" or "-s value"; "--" ends them; a lone
 * "-" and a word that begins with "-" and a digit are words. Thread: any. Limits: argc.
 */
#ifndef RTCACHE_CLI_ARGS_H
#define RTCACHE_CLI_ARGS_H

#include "base/err.h"

/* X(enumerator, name, short name or 0, what it takes or NULL, text of the help) */
#define ARGS_OPTIONS(X)                                                                            \
    X(ARGS_SERVER, "server", 's', "ADDR", "where: [tls:]host:port, [v6]:port, unix:/path")         \
    X(ARGS_TLS, "tls", 0, NULL, "speak TLS, as with tls:host:port")                                \
    X(ARGS_CA, "ca", 0, "FILE", "the server's certificate must be of this CA (the system's)")      \
    X(ARGS_CERT, "cert", 0, "FILE", "our certificate, for a server that asks for one")             \
    X(ARGS_KEY, "key", 0, "FILE", "its key")                                                       \
    X(ARGS_USER, "user", 0, "NAME", "authenticate as this user (RTCACHE_USER)")                    \
    X(ARGS_PASSWORD_FILE, "password-file", 0, "FILE", "its password (RTCACHE_PASSWORD)")           \
    X(ARGS_FROM, "file", 0, "FILE", "the password is the first line of this file")                 \
    X(ARGS_TIMEOUT, "timeout", 0, "DURATION", "give up after this long (30s; 1h at most)")         \
    X(ARGS_JSON, "json", 0, NULL, "print JSON on one line, also on a terminal")                    \
    X(ARGS_PRETTY, "pretty", 0, NULL, "print indented JSON, also into a pipe")                     \
    X(ARGS_RAW, "raw", 0, NULL, "print a string's or binary's bytes as they are; set: take text")  \
    X(ARGS_STALE_WAIT, "stale-wait", 0, "DURATION", "wait this long for fresh before stale")       \
    X(ARGS_TTL, "ttl", 0, "DURATION", "fresh for this long")                                       \
    X(ARGS_STALE_TTL, "stale-ttl", 0, "DURATION", "served stale for this long after that")         \
    X(ARGS_VERSION_OF, "value-version", 0, "N", "the value's version; a newer stored one wins")    \
    X(ARGS_MIN_VERSION, "min-version", 0, "N", "no answer that is older; ask the source for it")   \
    X(ARGS_PARTIAL, "partial", 0, NULL, "wait for no load: null for what is not there yet")        \
    X(ARGS_DELETED, "deleted", 0, NULL, "the row is gone since --value-version")                   \
    X(ARGS_TAG, "tag", 0, "TAG", "a tag of the value; may be given again for more")                \
    X(ARGS_NO_TAGS, "no-tags", 0, NULL, "the value has no tag: none's invalidation drops it")      \
    X(ARGS_RATE, "rate", 0, "N", "keys a second (500)")                                            \
    X(ARGS_KEYS, "keys", 0, NULL, "print its keys, the most wanted first")                         \
    X(ARGS_BACKGROUND, "background", 0, NULL, "answer at once, load afterwards")                   \
    X(ARGS_HELP, "help", 'h', NULL, "say how to use it")                                           \
    X(ARGS_VERSION, "version", 'V', NULL, "say which rtcache this is")

enum args_option {
#define ARGS_ENUM(id, name, letter, takes, text) id,
    ARGS_OPTIONS(ARGS_ENUM)
#undef ARGS_ENUM
        ARGS_COUNT
};

struct args_spec {
    const char *name;
    char letter; /* 0: none */
    const char *takes;
    const char *text;
};
extern const struct args_spec args_specs[ARGS_COUNT];

#define ARGS_RATE_MAX 1000000

#define ARGS_BIT(id) (1U << (id))

/* Words and texts are borrowed from argv; the last of a repeated option holds, but for --tag. */
struct args {
    const char **words; /* owned array */
    int count;
    const char **tags; /* within the array of words */
    int tag_count;
    uint32_t given; /* ARGS_BIT of each option that was there */
    const char *server, *ca, *cert, *key, *user, *password_file, *from;
    int64_t timeout_ms, stale_wait_ms, ttl_ms, stale_ttl_ms;
    int64_t value_version, min_version, rate;
};

/* ERR_BAD_REQUEST with what is wrong, ERR_NOMEM. args_fini is due either way. */
int args_parse(struct args *a, int argc, char **argv, struct err *e) MUST_USE;
void args_fini(struct args *a);

static inline bool args_has(const struct args *a, enum args_option id)
{
    return a->given & ARGS_BIT(id);
}

#endif
