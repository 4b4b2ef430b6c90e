#include "conf/options.h"

#include "conf/option_rows.h"

static const char *const writes[] = {"through", "invalidate", "none", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
const char *const options_rights[] = {"read", "write", "invalidate", "admin", NULL};
static const char *const error_texts[] = {"plain", "full", NULL};
static const char *const journals[] = {"off", "on", "sync", NULL};
static const char *const warms[] = {"off", "revalidate", "stale", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

/* clang-format off */
const struct option options_table[] = {
    {TOP(OPT_LISTEN, listen, "listen", "127.0.0.1:7411"), .restart = true,
     .text = "Where clients connect: `host:port`, `[v6]:port`, `:port` (loopback) or `unix:/path`; `tls:` before one of the first three: over [TLS](security.md#tls). A name with several addresses (`localhost`) listens on all of them. A list of up to 16 is taken. Port 0 takes a free one."},
    {TOP(OPT_SIZE, memory_bytes, "memory", "256mb"), .least = MB, .most = 64 * KB * GB,
     .text = "Resident memory: of the entries and their tables, what is lost between entries included, and of the process as it starts (some 11 MB, a sixteenth at most); what connections and loads need while they last comes on top. At least 48 KiB and at most 4 GiB for each shard."},
    {TOP(OPT_INT, shards, "shards", "16"), .least = 1, .most = 4096, .restart = true,
     .text = "Parts of the store, each with a lock of its own; a power of two."},
    {TOP(OPT_INT, io_threads, "io_threads", "1"), .least = 1, .most = 64, .restart = true,
     .text = "Threads that serve connections and answer hits."},
    {TOP(OPT_INT, loader_threads, "loader_threads", "1"), .least = 1, .most = 64, .restart = true,
     .text = "Threads that run loader scripts, each with a Lua VM of its own."},
    {TOP(OPT_PATH, scripts_dir, "scripts", "scripts"),
     .text = "The folder of the loader scripts."},
    {TOP(OPT_PATH, lua_dir, "lua", "lua"),
     .text = "A folder of further modules that scripts can `require`. The default may be absent."},
    {TOP(OPT_SIZE, max_key, "max_key", "4096"), .least = 1, .most = 65535,
     .text = "The longest key."},
    {TOP(OPT_SIZE, max_value, "max_value", "1mb"), .least = 1, .most = GB,
     .text = "The largest packed value that is taken from a client or a loader. One above an eighth of a shard's share (`memory` / `shards` / 8) is answered but not kept."},
    {TOP(OPT_SIZE, max_frame, "max_frame", "16mb"), .least = KB, .most = GB,
     .text = "The largest request; must hold a `max_value` and a `max_key`."},
    {TOP(OPT_INT, max_connections, "max_connections", "10000"), .least = 1, .most = 1000000,
     .text = "Clients at once; more are turned away."},
    {TOP(OPT_INT, max_parked, "max_parked", "20000"), .least = 1, .most = 10000000,
     .text = "Requests of one connection that wait for loads; more are answered OVERLOADED."},
    {TOP(OPT_SIZE, max_output, "max_output", "64mb"), .least = 64 * KB, .most = 16 * GB,
     .text = "Bytes of answers that are kept for one connection. Past a megabyte, or half of this, no further request of it is taken until the client has read; where loads that it waits for end meanwhile and come to more than this, it is closed."},
    {TOP(OPT_SIZE, client_memory, "client_memory", "256mb"), .least = 256 * KB, .most = 1024 * GB,
     .text = "What all connections together may hold: input, answers, requests that wait, values of `put`, subscriptions. Near it large connections are not read, then the largest are closed. At least twice `max_frame` and `max_output` together. See [security](security.md#what-clients-can-make-the-server-hold)."},
    {TOP(OPT_INT, max_batch, "max_batch", "10000"), .least = 1, .most = 1000000,
     .text = "Keys of one `get_many`."},
    {TOP(OPT_DURATION, output_timeout_ms, "output_timeout", "1min"), .least = 0, .most = DAY,
     .text = "How long a client may take no byte of the answers that are there for it; then the connection is closed. 0: for ever."},
    {TOP(OPT_DURATION, idle_timeout_ms, "idle_timeout", "0s"), .least = 0, .most = LONG,
     .text = "A connection that says nothing for so long is closed; 0: never."},
    {TOP(OPT_DURATION, drain_timeout_ms, "drain_timeout", "10s"), .least = 0, .most = HOUR,
     .text = "How long a server that goes down waits for the requests in the air."},
    {TOP(OPT_INT, failed_keys, "failed_keys", "100000"), .least = 1, .most = 100000000, .restart = true,
     .text = "Keys in backoff after a failed load that are remembered."},
    {TOP(OPT_DURATION, floor_ttl_ms, "floor_ttl", "10min"), .least = SEC, .most = DAY,
     .text = "How long versions below an invalidated one are kept out; longer than any load takes and any replica lags. For so long after a start, loads of backends that name a `primary` read that."},
    {TOP(OPT_INT, floors, "floors", "1000000"), .least = 1, .most = 1000000000, .restart = true,
     .text = "Keys whose invalidated version is remembered, of about 100 bytes each; past it the one nearest its end is forgotten, and the loads in progress beside it are not stored."},
    {TOP(OPT_INT, tag_slots, "tag_slots", "65536"), .least = 1, .most = 1 << 28, .restart = true,
     .text = "Slots that the tags share, of 16 bytes each; a power of two. `invalidate_tag` also drops what carries another tag of the same slot."},
    {TOP(OPT_INT, max_globs, "max_globs", "64"), .least = 1, .most = 100, .restart = true,
     .text = "`invalidate_match` and `expire_match` whose scan of the memory has not ended; more are answered OVERLOADED."},
    {TOP(OPT_INT, max_subscriptions, "max_subscriptions", "10000"), .least = 0, .most = 10000000,
     .text = "Keys, patterns and tags that one connection may subscribe to."},
    {TOP(OPT_INT, max_notices, "max_notices", "100000"), .least = 1, .most = 10000000, .restart = true,
     .text = "Notifications on their way to the subscribers of one I/O thread; past it they are dropped, and every subscriber there is told `lost`."},
    {TOP(OPT_BOOL, watch, "watch", "true"),
     .text = "Reload when the configuration or a script changes on disk, also behind a link that is switched or in a folder that is moved."},
    {TOP(OPT_SIZE, script_memory, "script_memory", "256mb"), .least = MB, .most = 1024 * GB,
     .text = "Memory of one Lua VM."},
    {TOP(OPT_DURATION, script_cpu_ms, "script_cpu", "100ms"), .least = 1, .most = HOUR,
     .text = "CPU time of one run of a script; waiting for a database does not count."},
    {TOP(OPT_RATIO, retry_budget, "retry_budget", "0.1"), .least = 0, .most = 1,
     .text = "Further attempts that failed loads may make, as a share of all loads of a loader thread, beside two a second: what a sick database gets to see beyond what a healthy one does."},
    {TOP(OPT_INT, script_calls, "script_calls", "1000"), .least = 1, .most = 1000000000,
     .text = "Queries of one run of a script."},
    {TOP(OPT_CHOICE, errors, "errors", "plain"), .choices = error_texts,
     .text = "What scripts, clients and the log are told of a database's error: `plain` leaves out the details and values in which it quotes rows, `full` tells them too, for development. See [security](security.md#what-errors-tell)."},
    {TOP(OPT_CHOICE, log_level, "log_level", "info"), .choices = levels,
     .text = "The least important lines that are logged."},
    {TOP(OPT_PATH, log_file, "log_file", NULL), .restart = true,
     .text = "Where the log goes; without it to standard error."},
    {TOP(OPT_PATH, state, "state", NULL), .restart = true,
     .text = "The folder in which the cache is kept over restarts: a snapshot of the entries, and the journal. It is made, for the server's user alone, where there is none. Without it a start is cold. See [restarts](restarts.md)."},
    {TOP(OPT_DURATION, snapshot_every_ms, "snapshot_every", "5min"), .least = 0, .most = DAY,
     .text = "With `state`: how often a snapshot is written while the server runs, for a start after a crash; the next one begins so long after the last one ended. 0: at the stop and by `rtcache snapshot` alone."},
    {TOP(OPT_CHOICE, journal, "journal", "on"), .choices = journals, .restart = true,
     .text = "With `state`: whether what is invalidated and written is noted in the journal before it is acknowledged, so that it holds over a crash. `on`: over a crash of the server. `sync`: also over one of the machine; each acknowledgement waits for the disk. `off`: over neither."},
    {TOP(OPT_SIZE, journal_bytes, "journal_bytes", "256mb"), .least = MB, .most = 1024 * GB, .restart = true,
     .text = "The most that the journal may have on disk. Where `floor_ttl` brings more, it is given up until the next snapshot, and a crash in that time means a cold start."},
    {TOP(OPT_DURATION, warm_downtime_ms, "warm_downtime", "30s"), .least = 0, .most = DAY,
     .text = "How long the server may have been down for what no feed tells of to count as before; what was down for longer is as the loader's `warm` says."},
    {TOP(OPT_DURATION, warm_wait_ms, "warm_wait", "10s"), .least = 0, .most = HOUR,
     .text = "With `state`: how long a start waits for the databases whose feeds may go on without a gap. Entries of one that is not reached by then are as the loader's `warm` says."},
    {TOP(OPT_STRING, user, "user", NULL), .restart = true,
     .text = "The user to become when started as root."},
    {TOP(OPT_STRING, unix_mode, "unix_mode", NULL), .restart = true,
     .text = "Who may connect to the Unix sockets of `listen`: the permissions of their files, as octal digits in quotes. `\"0660\"`: the owner and the group. Without it the umask of the process decides, most often for the owner alone. See [security](security.md#unix-sockets)."},
    {TOP(OPT_STRING, unix_group, "unix_group", NULL), .restart = true,
     .text = "A group of the system, by name or number, that the files of the Unix sockets belong to; with a `unix_mode` that lets a group in. Without it, that of the process, or of `user`."},
    {SECTION(OPT_GROUP, "tls"), .text = "The certificate and what goes with it, for addresses that begin with `tls:`."},
    {SECTION(OPT_GROUP, "tier"), .restart = true,
     .text = "The table in which entries are kept beside the memory. See [the tier](tier.md)."},
    {TOP(OPT_BOOL, open_to_all, "open_to_all", "false"),
     .text = "Without `users`: listen on addresses other than loopback all the same. Whoever reaches them may then do everything."},
    {TOP(OPT_DURATION, auth_timeout_ms, "auth_timeout", "30s"), .least = SEC, .most = HOUR,
     .text = "A connection that has not authenticated within this time is closed."},
    {TOP(OPT_SIZE, max_frame_before_auth, "max_frame_before_auth", "4kb"), .least = 512, .most = 64 * KB,
     .text = "The largest request before authentication."},
    {TOP(OPT_INT, max_auth_failures, "max_auth_failures", "5"), .least = 1, .most = 1000,
     .text = "Failed `auth`s after which a connection is closed."},
    {TOP(OPT_DURATION, auth_delay_ms, "auth_delay", "100ms"), .least = 0, .most = MIN,
     .text = "How long the next `auth` is held back after a failed one of the same name and network, or of the same connection; it doubles with every failure. Of a name and network one at a time is verified. See [security](security.md#what-guessing-costs)."},
    {TOP(OPT_DURATION, auth_delay_cap_ms, "auth_delay_cap", "10s"), .least = 0, .most = HOUR,
     .text = "The longest time an `auth` is held back."},
    {TOP(OPT_INT, auth_threads, "auth_threads", "1"), .least = 1, .most = 64, .restart = true,
     .text = "Threads that verify passwords; each needs the memory that the hash asks for (64 MiB by `rtcache passwd`)."},
    {TOP(OPT_INT, max_auth_queue, "max_auth_queue", "256"), .least = 1, .most = 100000,
     .text = "Different `auth`s that wait for their verification, held back ones included; more are answered OVERLOADED."},
    {TOP(OPT_RATIO, auth_share_address, "auth_share_address", "0.125"), .least = 0, .most = 1,
     .text = "The share of `max_auth_queue` that one address may have, but at least one `auth`: an IPv4 address, the first 64 bits of an IPv6 address, the uid of a Unix socket."},
    {TOP(OPT_RATIO, auth_share_network, "auth_share_network", "0.25"), .least = 0, .most = 1,
     .text = "The same for one network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address. The rest is kept for others; what there is goes out to networks and their addresses in turn."},
    {TOP(OPT_DURATION, auth_cache_ms, "auth_cache", "10min"), .least = 0, .most = DAY,
     .text = "How long a password that was right is recognized without hashing it again, by a keyed digest in memory; 0: never."},
    {TOP(OPT_INT, reserved_connections, "reserved_connections", "4"), .least = 0, .most = 1000,
     .text = "Connections beyond `max_connections`, for operators: over a Unix socket, from root, from the server's own user, or from the `unix_user` of a user with the right `admin`."},
    {TOP(OPT_SIZE, frame_rate, "frame_rate", "1kb"), .least = 0, .most = GB,
     .text = "Bytes a second in which a request that has begun has to arrive, on average, once `frame_grace` is over; a slower connection is closed. 0: no bound."},
    {TOP(OPT_DURATION, frame_grace_ms, "frame_grace", "10s"), .least = 100, .most = HOUR,
     .text = "How long an incomplete request is left alone."},
    {SECTION(OPT_GROUP, "defaults"), .text = "The policy that loaders inherit, and that of a `set` without a loader."},
    {SECTION(OPT_GROUP, "backends"), .text = "The databases, by name."},
    {SECTION(OPT_GROUPS, "users"), .text = "Who may connect, and do what; without it everybody may do everything. See [security](security.md#users)."},
    {SECTION(OPT_GROUPS, "loaders"), .text = "The patterns and their scripts, in the order that breaks ties."},

    {BACKEND(OPT_DRIVER, driver, "driver", NULL), .required = true,
     .text = "What kind of source it is."},
    {BACKEND(OPT_STRING, primary, "primary", NULL),
     .text = "The backend to ask instead where this one, a replica, is behind an invalidated version."},
    {BACKEND(OPT_INT, max_loads, "max_loads", "100000"), .least = 1, .most = 10000000,
     .text = "Loads in the air at once that ask this backend, over all loaders. Where it slows down, fewer are let out, and as many again when it is well."},
    {BACKEND(OPT_INT, min_loads, "min_loads", "32"), .least = 1, .most = 10000000,
     .text = "Loads that are let out even then. As high as `max_loads`: always so many."},
    {BACKEND(OPT_INT, max_queue, "max_queue", "100000"), .least = 1, .most = 10000000,
     .text = "Queries that wait for a connection; more fail with OVERLOADED."},
    {BACKEND(OPT_SIZE, max_result, "max_result", "8mb"), .least = KB, .most = GB,
     .text = "The largest result of one query."},

    {LOADER(OPT_STRING, pattern, "pattern", NULL), .required = true,
     .text = "The keys it loads; see [patterns](#patterns)."},
    {LOADER(OPT_STRING, script, "script", NULL),
     .text = "A file below `scripts`. Each loader has this or `sql`."},
    {LOADER(OPT_STRING, sql, "sql", NULL),
     .text = "A query whose first row is the value, in place of a script; `$id` is what the star `{id:int}` of the pattern matched; `$1`, `$2`, ... are the stars by number. See [loaders without code](loaders.md#loaders-without-code)."},
    {LOADER(OPT_STRING, version, "version", NULL),
     .text = "With `sql`: the column that is the row's version."},
    {LOADER(OPT_STRING, backend, "backend", NULL),
     .text = "The backend that the script knows as `ctx.db`, or that `sql` asks."},
    {LOADER(OPT_BOOL, versioned, "versioned", "false"),
     .text = "Every value must come with a version; a load that gives none fails."},
    {LOADER(OPT_BOOL, jit, "jit", "false"),
     .text = "Let LuaJIT compile the script's hot loops to machine code. `script_cpu` cannot end one that does not end; see [security](security.md#machine-code)."},
    {LOADER(OPT_CHOICE, write, "write", "through"), .choices = writes,
     .text = "What a `put` or `delete` does to the entry once the script's `save` or `remove` has succeeded: `through` stores what `save` returned if it came with a version, `invalidate` drops the entry, `none` leaves it to others (a feed)."},

    {LOADER(OPT_BOOL, tier, "tier", "false"),
     .text = "Keep its values in the table of `tier` as well, if they have a version; see [the tier](tier.md)."},

    {TLS(OPT_PATH, certificate, "certificate", NULL), .required = true,
     .text = "A PEM file: the server's certificate, then those between it and the CA."},
    {TLS(OPT_PATH, key, "key", NULL), .required = true,
     .text = "A PEM file: the certificate's private key, without a pass phrase."},
    {TLS(OPT_PATH, client_ca, "client_ca", NULL),
     .text = "A PEM file: the CAs of which a client must have a certificate. Without it clients need none."},
    {TLS(OPT_CHOICE, min_version, "min_version", "1.2"), .choices = tls_versions,
     .text = "The oldest version of TLS that is spoken."},
    {TLS(OPT_STRING, ciphers, "ciphers", "ECDHE+AESGCM:ECDHE+CHACHA20"),
     .text = "The ciphers of TLS 1.2, the best first, as `openssl ciphers` takes them. Those of 1.3 are OpenSSL's own."},
    {TLS(OPT_DURATION, handshake_timeout_ms, "handshake_timeout", "10s"), .least = SEC, .most = HOUR,
     .text = "How long a handshake may take, to the second; then the connection is closed."},
    {TLS(OPT_INT, max_handshakes, "max_handshakes", "1000"), .least = 1, .most = 1000000,
     .text = "Handshakes in progress at once, shared out over the I/O threads; more connections are closed at once."},

    {TIER(OPT_STRING, backend, "backend", NULL), .required = true, .restart = true,
     .text = "The backend whose database has the table; PostgreSQL or SQLite."},
    {TIER(OPT_STRING, table, "table", "cache_entry"), .restart = true,
     .text = "The table, as `rtcache tier-sql` makes it."},
    {TIER(OPT_DURATION, timeout_ms, "timeout", "50ms"), .least = 1, .most = MIN, .restart = true,
     .text = "How long a load waits for the tier; then it goes on as if there were no row."},
    {TIER(OPT_SIZE, queue_bytes, "queue", "16mb"), .least = 64 * KB, .most = 16 * GB, .restart = true,
     .text = "What waits to be written, at most; what does not fit is not written."},
    {TIER(OPT_SIZE, size_bytes, "size", "1gb"), .least = MB, .most = 64 * KB * GB, .restart = true,
     .text = "How large the table may become, its indexes included (in SQLite the whole file); past it only as many rows are added as cleaning takes out."},
    {TIER(OPT_INT, preload, "preload", "0"), .least = 0, .most = 100000000, .restart = true,
     .text = "How many rows a start brings into memory, those that are fresh for longest first, each as its loader's `warm` says."},
    {TIER(OPT_INT, slots, "slots", "1048576"), .least = 1024, .most = 1 << 28, .restart = true,
     .text = "Slots that the keys share, of 8 bytes each, which know when a key was changed last; a power of two. A row proves nothing once another key of its slot was changed."},
    {TIER(OPT_DURATION, clean_every_ms, "clean_every", "1min"), .least = 100, .most = DAY, .restart = true,
     .text = "How often rows whose time is over are taken out, and the table's size is looked at."},

    {POLICY(OPT_DURATION, ttl_ms, "ttl", "60s"), .least = 0, .most = LONG,
     .text = "How long a value is fresh; 0: for ever."},
    {POLICY(OPT_DURATION, stale_ttl_ms, "stale_ttl", "0s"), .least = 0, .most = LONG,
     .text = "How long after `ttl` a value is served stale while it is loaded again."},
    {POLICY(OPT_DURATION, negative_ttl_ms, "negative_ttl", "5s"), .least = 0, .most = LONG,
     .text = "How long an absence is believed; 0: not at all."},
    {POLICY(OPT_DURATION, stale_if_error_ms, "stale_if_error", "0s"), .least = 0, .most = LONG,
     .text = "How long after `ttl` a value is served, marked as such, when loading fails."},
    {POLICY(OPT_RATIO, jitter, "jitter", "0.1"), .least = 0, .most = 1,
     .text = "The share by which `ttl` and `stale_ttl` are spread, so that what was stored together does not expire together."},
    {POLICY(OPT_DURATION, stale_wait_ms, "stale_wait", "0s"), .least = 0, .most = OPTIONS_MOST_WAIT_MS,
     .text = "How long a request waits for a fresh value where a stale one is at hand."},
    {POLICY(OPT_DURATION, wait_timeout_ms, "wait_timeout", "5s"), .least = 1, .most = OPTIONS_MOST_WAIT_MS,
     .text = "How long a request waits at all, unless it says otherwise."},
    {POLICY(OPT_DURATION, load_timeout_ms, "load_timeout", "10s"), .least = 1, .most = HOUR,
     .text = "How long a load may take, its retries included; then it is cancelled in the database too."},
    {POLICY(OPT_INT, retries, "retries", "1"), .least = 0, .most = 100,
     .text = "Further attempts within a load, after errors that may pass."},
    {POLICY(OPT_DURATION, retry_base_ms, "retry_base", "50ms"), .least = 1, .most = HOUR,
     .text = "The first wait before a retry; it doubles with every failure."},
    {POLICY(OPT_DURATION, retry_cap_ms, "retry_cap", "1s"), .least = 1, .most = HOUR,
     .text = "The longest wait before a retry."},
    {POLICY(OPT_DURATION, backoff_base_ms, "backoff_base", "200ms"), .least = 1, .most = HOUR,
     .text = "How long a key is left alone after its load failed; it doubles with every failure."},
    {POLICY(OPT_DURATION, backoff_cap_ms, "backoff_cap", "30s"), .least = 1, .most = DAY,
     .text = "The longest time a key is left alone."},
    {POLICY(OPT_INT, max_loads, "max_loads", "1000"), .least = 1, .most = 1000000,
     .text = "Loads in the air at once."},
    {POLICY(OPT_INT, max_queue, "max_queue", "100000"), .least = 0, .most = 10000000,
     .text = "Loads that wait for a place in the air; more are answered OVERLOADED."},
    {POLICY(OPT_INT, max_waiters, "max_waiters", "100000"), .least = 1, .most = 10000000,
     .text = "Requests that wait for one load; more are answered OVERLOADED."},
    {POLICY(OPT_INT, batch_max, "batch_max", "100"), .least = 1, .most = 10000,
     .text = "Keys that one call of the script's `load_many` takes at most; such a call is one load."},
    {POLICY(OPT_MICROS, batch_window_us, "batch_window", "0us"), .least = 0, .most = 1000000,
     .text = "How long a load waits for others to go with it to `load_many`, unless there are `batch_max` before; 0: for what arrives in the same turn of the loop."},
    {POLICY(OPT_INT, prefetch_max_concurrent, "prefetch_max_concurrent", "64"), .least = 1, .most = 1000000,
     .text = "Keys that are loaded ahead of the end of their ttl at once, within `max_loads`."},
    {POLICY(OPT_INT, prefetch_max_queue, "prefetch_max_queue", "1000"), .least = 0, .most = 10000000,
     .text = "Keys that wait to be loaded ahead; of more, the least read ones are left to their end and counted in `prefetch_skipped`."},
    {POLICY(OPT_INT, max_writes, "max_writes", "1000"), .least = 1, .most = 1000000,
     .text = "`put` and `delete` in the air at once."},
    {POLICY(OPT_INT, max_write_queue, "max_write_queue", "100000"), .least = 0, .most = 10000000,
     .text = "`put` and `delete` that wait for a place in the air or for another one of their key; more are answered OVERLOADED."},
    {POLICY(OPT_DURATION, write_timeout_ms, "write_timeout", "10s"), .least = 1, .most = HOUR,
     .text = "How long `save` or `remove` may take; then it is cancelled in the database, and its outcome is unknown."},
    {POLICY(OPT_INT, breaker_failures, "breaker_failures", "50"), .least = 0, .most = 1000000,
     .text = "Loads in a row that find the source unwell and open the breaker; 0: no breaker."},
    {POLICY(OPT_DURATION, breaker_open_ms, "breaker_open", "5s"), .least = 1, .most = DAY,
     .text = "How long an open breaker refuses before it lets one load through."},
    {POLICY(OPT_RATIO, refresh_ahead, "refresh_ahead", "0.9"), .least = 0, .most = 1,
     .text = "The share of `ttl` after which a value that clients read is loaded again ahead of its end, at a time spread over what is left; from half of `ttl` on after a load that was not ahead itself; 0 and 1: never. See [freshness](freshness.md#ahead-of-the-end)."},
    {POLICY(OPT_INT, prefetch_min_reads, "prefetch_min_reads", "3"), .least = 1, .most = 255,
     .text = "Reads since its last load that make a value worth loading ahead; one that was read less is left to its end."},
    {POLICY(OPT_RATIO, early_beta, "early_beta", "0"), .least = 0, .most = 10,
     .text = "Above 0, a read near the end of `ttl` loads the value again in the background with the probability of the XFetch rule, the earlier the longer its load took: 1 is the rule's own, more is earlier. 0: off."},

    {POLICY(OPT_CHOICE, warm, "warm", "revalidate"), .choices = warms,
     .text = "What becomes of an entry from before a restart of which it is not proven that nothing was missed: `off` drops it; `revalidate` never answers with it, but hands it to the load, as `ctx.value` and `ctx.version`; `stale` serves it as stale, which gives up promises 1 and 2 for the time that the server was down. See [restarts](restarts.md)."},

    {POLICY(OPT_DURATION, tier_min_load_ms, "tier_min_load", "20ms"), .least = 0, .most = HOUR,
     .text = "With `tier`: what was loaded in less is not written to the table, for a row of it is read no faster."},

    {USER(OPT_STRING, name, "name", NULL), .required = true,
     .text = "What a client calls itself in `auth`."},
    {USER(OPT_WORDS, rights_list, "rights", NULL), .required = true, .choices = options_rights,
     .text = "What it may do; [protocol](protocol.md#rights) says which method needs which."},
    {USER(OPT_WORDS, keys, "keys", NULL),
     .text = "[Patterns](#patterns) of the keys it may name; without it all."},
    {USER(OPT_STRING, password_hash, "password_hash", NULL), .secret = true,
     .text = "The argon2id hash that `rtcache passwd` prints."},
    {USER(OPT_PATH, password_file, "password_file", NULL),
     .text = "A file whose first line is such a hash, in place of `password_hash`; it is read at the start and at each reload."},
    {USER(OPT_STRING, unix_user, "unix_user", NULL),
     .text = "A user of the system, by name or number: its connections over a Unix socket are this user's without a password."},
};
/* clang-format on */

const size_t options_count = sizeof options_table / sizeof *options_table;

const struct option *options_row(const struct conf_driver *driver, size_t i)
{
    if (i < options_count)
        return &options_table[i];
    const struct option *o = driver ? driver->options : NULL;
    for (i -= options_count; i > 0 && o && o->name; i--)
        o++;
    return o && o->name ? o : NULL;
}

const struct option *options_find(enum option_group group, const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].group == group && strcmp(options_table[i].name, name) == 0)
            return &options_table[i];
    return NULL;
}

const struct option *options_of_driver(const struct conf_driver *driver, const char *name)
{
    for (const struct option *o = driver->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_words(const struct conf_words *a, const struct conf_words *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_text(a->list[i], b->list[i]))
            return false;
    return true;
}

static bool same_listen(const struct conf *a, const struct conf *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (!same_text(a->listen[i], b->listen[i]))
            return false;
    return true;
}

bool options_equal(const struct option *o, const void *a, const void *b)
{
    const char *left = (const char *)a + o->offset, *right = (const char *)b + o->offset;
    switch (o->type) {
    case OPT_BOOL: return *(const bool *)left == *(const bool *)right;
    case OPT_INT:
    case OPT_SIZE:
    case OPT_MICROS:
    case OPT_DURATION: return *(const int64_t *)left == *(const int64_t *)right;
    case OPT_RATIO: return memcmp(left, right, sizeof(double)) == 0;
    case OPT_STRING:
    case OPT_PATH:
    case OPT_CHOICE: return same_text(*(const char *const *)left, *(const char *const *)right);
    case OPT_DRIVER:
        return *(const struct conf_driver *const *)left ==
               *(const struct conf_driver *const *)right;
    case OPT_LISTEN: return same_listen(a, b);
    case OPT_WORDS: return same_words((const void *)left, (const void *)right);
    case OPT_GROUP:
    case OPT_GROUPS: return true;
    }
    return true;
}
