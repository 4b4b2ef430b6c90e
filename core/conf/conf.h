/*
 * conf: rtcache.conf, read and checked into an immutable snapshot.
 *
 * Shape: one snapshot per successful load, shared by reference between threads; every string
 * belongs to it. The options, their types, bounds, defaults and texts stand in one table
 * (conf/options.c) and one of each driver, which also make docs/configuration.md and the spelling
 * hints. Thread: loading on one thread; a snapshot may be read by any. Limits: CONF_* below.
 */
#ifndef RTCACHE_CONF_CONF_H
#define RTCACHE_CONF_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"

#include <stdatomic.h>
#include <stdint.h>

#define CONF_LISTEN_MAX   16
#define CONF_BACKENDS_MAX 64
#define CONF_DRIVERS_MAX  16
#define CONF_LOADERS_MAX  4096
#define CONF_USERS_MAX    1024
#define CONF_WORDS_MAX    256 /* of one list: a user's keys */
#define CONF_NAME_MAX     64  /* bytes of a user's name */
#define CONF_HASH_MAX     127 /* bytes of a password's hash, as libsodium has it */

/* How a loader's keys are kept and loaded. Durations in ms; see docs/configuration.md for each. */
struct policy {
    int64_t ttl_ms;            /* fresh for; 0: for ever */
    int64_t stale_ttl_ms;      /* after ttl: served stale while it is loaded again */
    int64_t negative_ttl_ms;   /* an absence is believed for; 0: not at all */
    int64_t stale_if_error_ms; /* after ttl: served, marked, when a load fails */
    double jitter;             /* 0..1: ttl and stale_ttl are spread by up to this share */
    int64_t stale_wait_ms;     /* soft: how long a request waits for fresh before it takes stale */
    int64_t wait_timeout_ms;   /* hard: how long a request waits at all */
    int64_t load_timeout_ms;   /* how long a load may take, its retries included */
    int64_t retries;           /* further attempts within a load */
    int64_t retry_base_ms, retry_cap_ms;
    int64_t backoff_base_ms, backoff_cap_ms; /* of a key, after a failed load */
    int64_t max_loads;                       /* in the air at once */
    int64_t max_queue;                       /* waiting for a place in the air */
    int64_t max_waiters;                     /* parked on one flight */
    int64_t batch_max;                       /* keys of one load_many */
    int64_t batch_window_us;                 /* how long a load waits for others to go with it */
    int64_t max_writes;                      /* puts and deletes in the air at once */
    int64_t max_write_queue;                 /* waiting for a place, or for their key */
    int64_t write_timeout_ms;                /* how long save or remove may take */
    int64_t breaker_failures;                /* in a row, which open the breaker; 0: no breaker */
    int64_t breaker_open_ms;                 /* then one probe is let through */
    double refresh_ahead;       /* share of ttl after which a value that is read is loaded again */
    int64_t prefetch_min_reads; /* since its last load, to be worth it */
    int64_t prefetch_max_concurrent, prefetch_max_queue; /* of such loads: in the air, waiting */
    double early_beta;                                   /* of the XFetch rule; 0: off */
    const char *warm;         /* of what a restart brings back unproven: off, revalidate, stale */
    int64_t tier_min_load_ms; /* what was loaded faster is not written to the tier */
};

struct conf_loader {
    const char *pattern;
    const char *script;  /* as written, relative to conf->scripts_dir; with sql: "FILE:LINE", where
                            the loader is written, for messages */
    const char *sql;     /* what loads a key in place of a script; or NULL */
    const char *version; /* with sql: the column that is the version; or NULL */
    const char *backend; /* NULL: none; ctx.db is nil then */
    bool versioned;      /* a value without a version fails its load */
    bool jit;          /* its script may be compiled to machine code, and cannot be stopped then */
    const char *write; /* what put and delete do to the entry: through, invalidate, none */
    bool tier;         /* its values are kept in conf->tier as well */
    struct policy policy;
    const char *file; /* where it is written: conf->file, or a file that it includes */
    int line;
};

struct conf_driver; /* conf/conf_driver.h */

struct conf_backend {
    const char *name;
    const struct conf_driver *driver;
    const void *own;     /* the driver's own options, in the struct that it has for them */
    const char *primary; /* the backend to ask when this one lags behind a floor; or NULL */
    const char *feed;    /* the channel on which it tells of changes; or NULL */
    int64_t feed_heartbeat_ms;
    int64_t feed_grace_ms; /* without the feed for so long, nothing fed by it is fresh */
    int64_t max_loads;     /* in the air at once that ask it, over all loaders */
    int64_t min_loads;     /* so many also where it slows down */
    int64_t pool;          /* connections, or threads that wait in their place */
    int64_t max_queue;     /* calls waiting for a connection; past it OVERLOADED */
    int64_t max_result;    /* bytes of one result */
    bool full_errors;      /* as conf->errors says */
    const char *file;
    int line;
};

/* What addresses that begin with "tls:" speak with. */
struct conf_tls {
    const char *certificate, *key; /* PEM files, absolute; NULL: there is no such group */
    const char *client_ca;         /* NULL: clients need no certificate */
    const char *min_version;       /* "1.2" or "1.3" */
    const char *ciphers;           /* of TLS 1.2, in OpenSSL's words */
    int64_t handshake_timeout_ms;
    int64_t max_handshakes; /* in progress at once, over all I/O threads */
    const char *file;
    int line;
};

/* Where entries are kept in a table beside the memory. */
struct conf_tier {
    const char *backend;    /* NULL: there is no such group */
    const char *table;      /* NAME or SCHEMA.NAME */
    int64_t timeout_ms;     /* of a read */
    int64_t queue_bytes;    /* what waits to be written, over all loader threads */
    int64_t size_bytes;     /* of the table; past it nothing new is written */
    int64_t preload;        /* rows that a start brings into memory */
    int64_t slots;          /* by which it is known what changed since a row was written */
    int64_t clean_every_ms; /* rows whose time is over are taken out so often */
    const char *file;
    int line;
};

struct conf_words {
    const char *const *list;
    size_t count;
};

/* What a user may do; each method of the protocol belongs to one of them. */
enum conf_right {
    RIGHT_READ = 1,
    RIGHT_WRITE = 2,
    RIGHT_INVALIDATE = 4,
    RIGHT_ADMIN = 8,
};

struct conf_user {
    const char *name;
    const char *password_hash; /* argon2id, as text; read from password_file where that is named;
                                  NULL: no password lets anybody in */
    const char *password_file; /* or NULL */
    const char *unix_user;     /* whose connections over Unix sockets need no password; or NULL */
    int64_t uid;               /* of unix_user; -1: none */
    struct conf_words rights_list, keys;
    unsigned rights;          /* of enum conf_right */
    const struct glob *globs; /* of keys, compiled, as many */
    const char *file;
    int line;
};

struct conf {
    _Atomic int refs;
    const char *file;         /* absolute */
    const char *const *files; /* the same, then what it includes, absolute, each once */
    size_t file_count;
    const char *listen[CONF_LISTEN_MAX];
    size_t listen_count;
    const char *scripts_dir, *lua_dir;  /* absolute */
    const char *user;                   /* to run as when started as root; NULL: no change */
    const char *errors;                 /* what is told of a database's: "plain" or "full" */
    const char *log_level, *log_file;   /* log_file NULL: standard error */
    const char *unix_mode, *unix_group; /* of the files of Unix sockets, as they are written */
    int64_t unix_bits, unix_gid;        /* the same as numbers; -1: as the process makes them */
    const char *unix_file;              /* where unix_group is written */
    int unix_line;
    const char *state;         /* the folder of snapshot and journal, absolute; NULL: none */
    int64_t snapshot_every_ms; /* 0: at the stop alone */
    const char *journal;       /* off, on, sync */
    int64_t journal_bytes;
    int64_t warm_downtime_ms; /* what no feed tells of counts as before after so long */
    int64_t warm_wait_ms;     /* a start waits so long for databases whose feeds may go on */
    int64_t memory_bytes;
    int64_t shards;
    int64_t io_threads, loader_threads;
    int64_t max_key, max_value, max_frame;
    int64_t max_connections;
    int64_t max_parked;        /* requests of one connection that wait for loads */
    int64_t max_output;        /* unread bytes of one connection, past which it is closed */
    int64_t client_memory;     /* what all connections together may hold */
    int64_t max_batch;         /* keys of one get_many */
    int64_t idle_timeout_ms;   /* 0: never */
    int64_t output_timeout_ms; /* how long a client may leave its answers unread; 0: for ever */
    int64_t drain_timeout_ms;
    int64_t failed_keys;       /* keys in backoff that are remembered */
    int64_t floor_ttl_ms;      /* how long an invalidated version stays out */
    int64_t floors;            /* keys whose floor is remembered */
    int64_t tag_slots;         /* tags share these; a power of two */
    int64_t max_globs;         /* invalidate_match whose scan has not ended */
    int64_t max_subscriptions; /* of one connection */
    int64_t max_notices;       /* on their way to one I/O thread's subscribers */
    bool watch;                /* reload when a file changes */
    bool open_to_all;          /* other addresses than loopback without any users */
    int64_t auth_timeout_ms, max_frame_before_auth, max_auth_failures;
    int64_t auth_delay_ms, auth_delay_cap_ms;
    int64_t auth_threads, max_auth_queue, auth_cache_ms;
    double auth_share_address, auth_share_network; /* of max_auth_queue */
    int64_t reserved_connections, frame_rate, frame_grace_ms;
    int64_t script_memory, script_cpu_ms, script_calls;
    double retry_budget; /* further attempts, as a share of the loads */
    struct conf_tls tls;
    struct conf_tier tier;
    struct policy defaults; /* for loaders, and for set of a key without one */
    struct conf_loader *loaders;
    size_t loader_count;
    struct conf_backend *backends;
    size_t backend_count;
    struct conf_user *users;
    size_t user_count; /* 0: everybody may do everything */
};

/* Reads and checks a file. drivers: of which backends may be; NULL ends them, and they are borrowed
 * for the life of *out. On failure *out is NULL, report (NULL is allowed) has a line "file:line:
 * what" for every problem found, and e the first of them (ERR_CONFIG). The caller owns one
 * reference of *out. */
int conf_load(const char *path, const struct conf_driver *const *drivers, struct conf **out,
              struct buf *report, struct err *e) MUST_USE;

struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c); /* NULL is allowed */

/* The next $n or $name at or after sql, outside of literals, names and comments; *number: its own
 * (0 to 65536, which is too high), 0 where it is a name; *end: what stands after it. NULL: no more.
 */
const char *conf_sql_next(const char *sql, const char **end, int *number);
/* The number of such a parameter, of which $name is that of the star it names; 0: there is none of
 * that name. */
int conf_sql_number(struct slice parameter, int number, const struct glob_star *stars,
                    unsigned count);
/* The highest of them in a text of SQL; 0: it has none. */
int conf_sql_parameters(const char *sql, const struct glob_star *stars, unsigned count);

/* -1 where there is none of that name. */
int conf_backend_index(const struct conf *c, const char *name);
/* Whether two backends mean the same connection with the same limits. */
bool conf_backend_same(const struct conf_backend *a, const struct conf_backend *b);

/* NULL where there is none of that name. */
const struct conf_user *conf_user_find(const struct conf *c, struct slice name);
/* The user that a connection over a Unix socket from this uid is; or NULL. */
const struct conf_user *conf_user_of_uid(const struct conf *c, int64_t uid);
/* "read" for RIGHT_READ, and so on: one bit. */
const char *conf_right_name(unsigned right);
/* The memory in KiB and the passes that an argon2id hash asks for, as its text tells. false: it is
 * none. */
bool conf_hash_cost(const char *text, unsigned long *kib, unsigned long *passes);
/* Whether what makes somebody this user (name, hash, uid), or what he may do, is the same. */
bool conf_user_same_proof(const struct conf_user *a, const struct conf_user *b);
bool conf_user_same_rights(const struct conf_user *a, const struct conf_user *b);

/* The name of the first option that differs and cannot change without a restart; NULL if none. */
const char *conf_needs_restart(const struct conf *old, const struct conf *new);

/* docs/configuration.md's tables, from the options table and those of the drivers, as Markdown. */
int conf_write_docs(struct buf *out, const struct conf_driver *const *drivers) MUST_USE;

/* "60s", "1.5h", "250ms", "5min", "2d" and "64kb", "256mb", "1gb", plain bytes. Used for options
 * and by the command line. A duration without a unit is refused, but for 0. ERR_CONFIG with what is
 * expected. */
int conf_parse_duration(const char *text, int64_t *ms, struct err *e) MUST_USE;
int conf_parse_micros(const char *text, int64_t *us, struct err *e) MUST_USE; /* "500us" */
int conf_parse_size(const char *text, int64_t *bytes, struct err *e) MUST_USE;

/* The nearest of `names` (edit distance of at most 3 and less than half of the name, where letters
 * of either case are the same and two that changed places are one edit), or NULL. */
const char *conf_nearest(const char *name, const char *const *names, size_t count);

#endif
