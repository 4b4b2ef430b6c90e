#include "conf/conf.h"

#include "base/list.h"
#include "conf/checks.h"
#include "conf/reader.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* What a struct conf of this file is part of. */
struct snapshot {
    struct conf conf;
    struct arena arena;
};

static void snapshot_drop(struct snapshot *s)
{
    arena_fini(&s->arena);
    free(s);
}

struct conf *conf_ref(struct conf *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void conf_unref(struct conf *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        snapshot_drop(container_of(c, struct snapshot, conf));
}

/* Links are kept: a path may be switched to another file by one. NULL: no memory, or no folder. */
static const char *absolute(struct arena *a, const char *path)
{
    char dir[PATH_MAX];
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (path[0] == '/')
        return arena_copy(a, slice_str(path));
    if (!getcwd(dir, sizeof dir))
        return NULL;
    return arena_printf(a, "%s/%s", strcmp(dir, "/") ? dir : "", path);
}

static const char *folder_of(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? "/" : arena_copy(a, slice_of(path, (size_t)(slash - path)));
}

static bool names(struct slice line, const char *name)
{
    return line.size && memmem(line.data, line.size, name, strlen(name));
}

/* Whether the line may hold a password, or what a driver keeps secret. */
static bool is_secret(struct slice line, const struct conf_driver *const *drivers)
{
    bool secret = names(line, "password");
    for (; *drivers; drivers++)
        for (const struct option *o = (*drivers)->options; o && o->name; o++)
            secret = secret || (o->secret && names(line, o->name));
    return secret;
}

/* A line that may hold a secret is told up to its first quote. */
static struct slice told_of(struct slice line, const struct conf_driver *const *drivers)
{
    const char *quote = line.size ? memchr(line.data, '"', line.size) : NULL;
    if (quote && is_secret(line, drivers))
        return slice_of(line.data, (size_t)(quote - line.data));
    return line;
}

/* libconfig says where it stumbled, which is at or after the mistake. */
static void tell_syntax(const struct reading *r, const config_t *tree)
{
    const struct source *source = r->source;
    size_t line = config_error_line(tree) > 0 ? (size_t)config_error_line(tree) : 1;
    struct source_place place = source_place(source, line);
    struct slice whole = source_line(source, line), text = told_of(whole, r->drivers);
    const char *what = config_error_text(tree) ? config_error_text(tree) : "cannot be read";
    if (strcmp(what, "duplicate setting name") == 0)
        what = "a name is given twice";
    problems_add(r->problems, place.file, place.line, line, "%s, at or before: %.*s%s", what,
                 SLICE_ARG(text), text.size < whole.size ? "\"...\"" : "");
}

static void read_tree(struct reading *r)
{
    config_t tree;
    config_init(&tree);
    if (config_read_string(&tree, r->source->text.data)) {
        const config_setting_t *root = config_root_setting(&tree);
        reader_read(r, root);
        if (!r->problems->nomem) /* else there are gaps in what was read */
            checks_run(r, root);
    } else {
        tell_syntax(r, &tree);
    }
    config_destroy(&tree);
}

static int read_snapshot(struct snapshot *s, const char *path,
                         const struct conf_driver *const *drivers, struct problems *problems)
{
    struct source source;
    source_init(&source, &s->arena, problems);
    struct reading r = {.conf = &s->conf,
                        .arena = &s->arena,
                        .source = &source,
                        .problems = problems,
                        .drivers = drivers};
    int rc = ERR_NOMEM;
    s->conf.file = absolute(&s->arena, path);
    r.dir = s->conf.file ? folder_of(&s->arena, s->conf.file) : NULL;
    if (!r.dir)
        goto out;
    rc = source_read(&source, s->conf.file);
    if (rc != 0)
        goto out;
    const char **files = arena_alloc(&s->arena, source.file_count * sizeof *files);
    if (!files) {
        rc = ERR_NOMEM;
        goto out;
    }
    memcpy(files, source.files, source.file_count * sizeof *files);
    s->conf.files = files;
    s->conf.file_count = source.file_count;
    read_tree(&r);

out:
    if (rc == ERR_NOMEM)
        problems->nomem = true;
    source_fini(&source);
    return rc;
}

int conf_load(const char *path, const struct conf_driver *const *drivers, struct conf **out,
              struct buf *report, struct err *e)
{
    *out = NULL;
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory to read the configuration");
    atomic_init(&s->conf.refs, 1);
    struct problems problems;
    problems_init(&problems);
    int rc = read_snapshot(s, path, drivers, &problems);
    int told = problems_tell(&problems, report, e);
    problems_fini(&problems);
    if (rc == 0 && told == 0) {
        *out = &s->conf;
        return 0;
    }
    snapshot_drop(s);
    return told ? told : err_set(e, rc, "%s: the configuration cannot be read", path);
}
