/*
 * conf_fuzz: any bytes as rtcache.conf, in a folder where a script and a file to include are there.
 * What is taken must be whole, what is refused must say why; a duration or size that is taken must
 * read the same after it was shown. Run: ./dev fuzz conf
 */
#include "backend/backend.h"
#include "conf/conf.h"
#include "conf/conf_units.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

static char folder[] = "/tmp/rtcache-conf-fuzz-XXXXXX";
static char path[sizeof folder + 16];
static int fd;

/* libconfig 1.5 forgets the string at hand when it meets a syntax error. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static int drop_one(const char *name, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(name);
}

static void drop_folder(void)
{
    nftw(folder, drop_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    expect(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    expect(mkdtemp(folder) != NULL);
    atexit(drop_folder);
    snprintf(path, sizeof path, "%s/scripts", folder);
    expect(mkdir(path, 0700) == 0);
    put("scripts/a.lua", "return {}\n");
    put("part.conf", "failed_keys = 5\n");
    snprintf(path, sizeof path, "%s/rtcache.conf", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    expect(fd >= 0);
    return 0;
}

static void expect_whole(const struct conf *c)
{
    expect(c->listen_count > 0 && c->file_count > 0 && strcmp(c->file, path) == 0);
    expect(c->scripts_dir && c->lua_dir && c->log_level);
    expect(c->max_key >= 1 && c->max_key <= 65535 && c->max_frame >= c->max_value + c->max_key);
    for (size_t i = 0; i < c->loader_count; i++) {
        const struct conf_loader *l = &c->loaders[i];
        expect(l->pattern && l->script && l->file && l->line > 0);
        expect(!l->backend || conf_backend_index(c, l->backend) >= 0);
        expect(l->policy.retry_base_ms <= l->policy.retry_cap_ms);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct conf_backend *b = &c->backends[i];
        expect(conf_backend_same(b, b) && b->pool >= 1);
        expect(b->driver && b->own);
    }
    expect(conf_needs_restart(c, c) == NULL);
}

static void try_units(const char *text)
{
    char shown[CONF_SHOWN_MAX];
    struct err e;
    int64_t value, again;
    if (conf_parse_duration(text, &value, &e) == 0) {
        conf_units_show_duration(value, shown);
        expect(value >= 0 && conf_parse_duration(shown, &again, &e) == 0 && again == value);
    }
    if (conf_parse_size(text, &value, &e) == 0) {
        conf_units_show_size(value, shown);
        expect(value >= 0 && conf_parse_size(shown, &again, &e) == 0 && again == value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    expect(pwrite(fd, data, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0);
    struct conf *c;
    struct err e;
    struct buf report;
    buf_init(&report, 0);
    err_clear(&e);
    int rc = conf_load(path, backend_drivers, &c, &report, &e);
    expect((rc == 0) == (c != NULL) && (rc == 0 || rc == ERR_CONFIG));
    expect((rc == 0) == (report.size == 0) && (rc == 0) == (e.code == 0));
    if (c)
        expect_whole(c);
    conf_unref(c);
    buf_fini(&report);

    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(size < 60 ? size : 60), (const char *)data);
    try_units(text);
    return 0;
}
