/* `rtcached --check`: the configuration and all scripts, without starting anything. */
#include "server/server.h"

#include "base/clock.h"
#include "bind/runtime.h"
#include "state/state_dir.h"

#include <pwd.h>

/* One problem, whether or not there is room left to say so. */
static int report(struct buf *out, const char *text)
{
    int rc = buf_printf(out, "%s\n", text);
    (void)rc;
    return 1;
}

static int check_scripts(const struct conf *conf, struct buf *out)
{
    struct err e;
    int problems = 0;
    struct runtime_options o = {
        .scripts_dir = conf->scripts_dir,
        .lua_dir = conf->lua_dir,
        .memory_max = (size_t)conf->script_memory,
        .run_cpu_ms = conf->script_cpu_ms,
        .run_calls = conf->script_calls,
        .value_max = (size_t)conf->max_value,
        .backend_confs = conf->backends,
        .backend_count = conf->backend_count,
    };
    struct runtime *rt;
    if (runtime_new(&rt, &o, &e) != 0)
        return report(out, e.text);
    for (size_t i = 0; i < conf->loader_count; i++) {
        int script;
        if (runtime_add_loader(rt, &conf->loaders[i], &script, &e) != 0)
            problems += report(out, e.text);
    }
    runtime_unref(rt);
    return problems;
}

/* As a loader thread opens them; no database is asked. */
static int check_backends(const struct conf *conf, struct buf *out)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    int problems = loop ? 0 : report(out, "no memory");
    for (size_t i = 0; loop && i < conf->backend_count; i++) {
        const struct conf_backend *b = &conf->backends[i];
        struct backend *opened;
        struct err e;
        if (backend_new(&opened, loop, b, 1, &e) != 0) {
            err_prefix(&e, "%s:%d", b->file, b->line);
            problems += report(out, e.text);
        }
        backend_unref(opened);
    }
    if (loop)
        ev_loop_destroy(loop);
    return problems;
}

/* The addresses, the user and the log's file, as far as they can be looked at beside a server that
 * runs already. */
static int check_start(const struct conf *conf, struct buf *out)
{
    struct account account = {.name = NULL};
    struct err e;
    int problems = 0;
    if (listen_check(conf, &e) != 0)
        problems += report(out, e.text);
    if (listen_check_group(conf, &e) != 0)
        problems += report(out, e.text);
    if (conf->user && !getpwnam(conf->user)) {
        err_set(&e, ERR_CONFIG, "%s: user: there is no user \"%s\"", conf->file, conf->user);
        problems += report(out, e.text);
    } else if (account_of(conf, &account, &e) != 0) {
        problems += report(out, e.text);
    }
    if (conf->state && state_dir_check(conf->state, &e) != 0)
        problems += report(out, e.text);
    if (conf->log_file && logfile_check(conf->log_file, &account, &e) != 0)
        problems += report(out, e.text);
    return problems;
}

/* No problem: the server would take it. */
static void warn_certificate(const struct snapshot *s, struct buf *out)
{
    char doubt[64] = "";
    if (s->tls)
        tls_context_doubt(s->tls, clock_wall_ms() / 1000, doubt, sizeof doubt);
    if (doubt[0] == '\0')
        return;
    int rc = buf_printf(out, "%s:%d: warning: tls: certificate: %s: %s\n", s->conf->tls.file,
                        s->conf->tls.line, s->conf->tls.certificate, doubt);
    (void)rc;
}

int check_file(const char *path, struct buf *out)
{
    struct conf *conf = NULL;
    struct snapshot *snapshot = NULL;
    struct err e;
    if (conf_load(path, backend_drivers, &conf, out, &e) != 0)
        return 1;
    int problems = check_start(conf, out) + check_backends(conf, out) + check_scripts(conf, out);
    if (snapshot_new(&snapshot, conf, 1, NULL, &e) != 0) {
        problems += report(out, e.text);
        conf_unref(conf);
    } else {
        warn_certificate(snapshot, out);
    }
    snapshot_unref(snapshot);
    return problems > 0 ? 1 : 0;
}
