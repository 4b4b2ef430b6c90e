/* rtcached: the command line of the server. */
#include "server/server.h"

#include "base/log.h"
#include "sys/loop_memory.h"
#include "wire/json_read.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Read by jemalloc as it starts (its manual, "TUNING"): a thread keeps up to 2000 freed blocks of a
 * size, not 200. A collector frees in bursts, which else go to the arena and back: a tenth of what
 * a load's memory costs. */
extern const char *malloc_conf;
const char *malloc_conf = "tcache_nslots_small_max:2000,lg_tcache_nslots_mul:5";

static const char usage[] =
    "rtcached " RTCACHE_VERSION ": a read-through cache whose loaders are Lua scripts\n"
    "\n"
    "usage: rtcached [-c FILE] [--check]\n"
    "\n"
    "  -c, --config FILE   the configuration; without it ./rtcache.conf, then\n"
    "                      /etc/rtcache/rtcache.conf\n"
    "      --check         check the configuration and all scripts, name every problem with\n"
    "                      file and line, and exit (0: all well, 1: problems)\n"
    "  -V, --version       print the version\n"
    "  -h, --help          print this\n"
    "\n"
    "Standard output says where it listens, one line `listening on ADDRESS` each, then `ready`.\n"
    "SIGHUP reloads, SIGTERM and SIGINT drain and stop; a second one stops at once.\n"
    "Exit codes: 0 stopped as asked, 1 it could not start or the check failed, 2 wrong usage.\n";

static const char *const defaults[] = {"rtcache.conf", "/etc/rtcache/rtcache.conf"};

static const char *find_config(void)
{
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (access(defaults[i], R_OK) == 0)
            return defaults[i];
    return NULL;
}

static int run_check(const char *config)
{
    struct buf out;
    buf_init(&out, 0);
    int rc = check_file(config, &out);
    fwrite(out.data ? out.data : "", 1, out.size, stderr);
    buf_fini(&out);
    if (rc == 0)
        printf("%s: ok\n", config);
    return rc;
}

static int run_server(const char *config)
{
    struct conf *conf;
    struct server *server;
    struct buf report;
    struct err e;
    buf_init(&report, 0);
    if (conf_load(config, backend_drivers, &conf, &report, &e) != 0) {
        if (report.size > 0)
            fwrite(report.data, 1, report.size, stderr);
        else
            fprintf(stderr, "rtcached: %s\n", e.text);
        buf_fini(&report);
        return 1;
    }
    buf_fini(&report);
    if (server_new(&server, conf, &e) != 0) {
        fprintf(stderr, "rtcached: %s\n", e.text);
        return 1;
    }
    int code = server_run(server);
    server_free(server);
    return code;
}

int main(int argc, char **argv)
{
    enum { OPTION_CHECK = 256 };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *config = NULL;
    bool check = false;
    int c;
    while ((c = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
        switch (c) {
        case 'c': config = optarg; break;
        case OPTION_CHECK: check = true; break;
        case 'V': puts("rtcached " RTCACHE_VERSION); return 0;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs("rtcached --help tells the usage\n", stderr); return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "rtcached: \"%s\" was not expected; rtcached --help tells the usage\n",
                argv[optind]);
        return 2;
    }
    if (!config)
        config = find_config();
    if (!config) {
        fprintf(stderr,
                "rtcached: no configuration: neither ./%s nor %s is there; name one with -c\n",
                defaults[0], defaults[1]);
        return 1;
    }
    loop_memory_install();
    json_read_install();
    return check ? run_check(config) : run_server(config);
}
