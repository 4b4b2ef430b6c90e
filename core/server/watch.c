#include "server/watch.h"

#include "base/hash.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_DEPTH_MAX  8
#define WATCH_FILES_MAX  10000
#define WATCH_EVENT_MASK (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)

struct watch {
    struct ev_loop *loop;
    void (*changed)(void *arg);
    void *arg;
    ev_io readable;
    ev_timer settle;
    int fd;
    int dirs[WATCH_DIRS_MAX]; /* watch descriptors */
    size_t dir_count;
    struct conf *conf; /* the names of its files are looked for in events; shared */
};

static bool is_script(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".lua") == 0;
}

/* ---- walking ---- */

/* Calls on_file for every script below dir, on_dir for every folder, dir included. Bounded in
 * depth. */
struct walk {
    void (*on_dir)(struct walk *w, const char *path);
    void (*on_file)(struct walk *w, const char *path);
    struct watch *watch;
    uint64_t hash;
    size_t files;
};

static void walk_dir(struct walk *w, const char *path, int depth)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        return;
    if (w->on_dir)
        w->on_dir(w, path);
    for (int i = 0; i < count; i++) {
        char child[PATH_MAX];
        struct stat st;
        int n = snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name);
        bool fits = names[i]->d_name[0] != '.' && n > 0 && n < (int)sizeof child;
        if (fits && stat(child, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < WATCH_DEPTH_MAX)
                walk_dir(w, child, depth + 1);
            else if (S_ISREG(st.st_mode) && is_script(child) && w->on_file &&
                     w->files++ < WATCH_FILES_MAX)
                w->on_file(w, child);
        }
        free(names[i]);
    }
    free(names);
}

static void hash_file(struct walk *w, const char *path)
{
    char room[16 * 1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    w->hash = hash_slice(slice_str(path), w->hash);
    if (fd < 0)
        return;
    ssize_t n;
    while ((n = read(fd, room, sizeof room)) > 0)
        w->hash = hash_bytes(room, (size_t)n, w->hash);
    close(fd);
}

/* The n-th file that the configuration is made of: its own, then those of TLS, then those of
 * passwords. NULL: no more. */
static const char *file_of(const struct conf *conf, size_t n)
{
    const char *tls[] = {conf->tls.certificate, conf->tls.key, conf->tls.client_ca};
    size_t k = conf->file_count;
    if (n < k)
        return conf->files[n];
    for (size_t i = 0; i < sizeof tls / sizeof *tls; i++)
        if (tls[i] && k++ == n)
            return tls[i];
    for (size_t i = 0; i < conf->user_count; i++)
        if (conf->users[i].password_file && k++ == n)
            return conf->users[i].password_file;
    return NULL;
}

uint64_t watch_fingerprint(const struct conf *conf)
{
    struct walk w = {.on_file = hash_file};
    const char *file;
    for (size_t i = 0; (file = file_of(conf, i)); i++)
        hash_file(&w, file);
    walk_dir(&w, conf->scripts_dir, 0);
    walk_dir(&w, conf->lua_dir, 0);
    return w.hash;
}

/* ---- watching ---- */

static void add_dir(struct walk *w, const char *path)
{
    struct watch *watch = w->watch;
    if (watch->dir_count == WATCH_DIRS_MAX) {
        log_warn("watch.too_many", "limit=%d path=%s", WATCH_DIRS_MAX, log_q(path));
        return;
    }
    int wd = inotify_add_watch(watch->fd, path, WATCH_EVENT_MASK);
    if (wd < 0)
        log_warn("watch.failed", "path=%s error=%s", log_q(path), log_q(strerror(errno)));
    else
        watch->dirs[watch->dir_count++] = wd;
}

/* The folder of a configuration file; inotify gives one that is there already the same descriptor.
 */
static void add_parent(struct walk *w, const char *file)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", file);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    add_dir(w, slash && slash != dir ? dir : "/");
}

static bool is_conf_file(const struct conf *conf, const char *name)
{
    const char *file;
    for (size_t i = 0; conf && (file = file_of(conf, i)); i++) {
        const char *slash = strrchr(file, '/');
        if (strcmp(name, slash ? slash + 1 : file) == 0)
            return true;
    }
    return false;
}

static bool matters(const struct watch *w, const struct inotify_event *event)
{
    if (event->mask & (IN_Q_OVERFLOW | IN_ISDIR))
        return true;
    return event->len > 0 && (is_script(event->name) || is_conf_file(w->conf, event->name));
}

static void watch_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct watch *w = watcher->data;
    _Alignas(struct inotify_event) char room[4096];
    bool any = false;
    ssize_t n;
    while ((n = read(w->fd, room, sizeof room)) > 0) {
        for (char *at = room; at < room + n;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            any |= matters(w, event);
            at += sizeof *event + event->len;
        }
    }
    if (!any)
        return;
    ev_timer_stop(loop, &w->settle);
    ev_timer_set(&w->settle, WATCH_SETTLE_MS / 1e3, 0.);
    ev_timer_start(loop, &w->settle);
}

static void watch_on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct watch *w = timer->data;
    w->changed(w->arg);
}

int watch_new(struct watch **out, struct ev_loop *loop, void (*changed)(void *arg), void *arg,
              struct err *e)
{
    *out = NULL;
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to watch files");
    w->loop = loop;
    w->changed = changed;
    w->arg = arg;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0)
        log_warn("watch.failed", "error=%s", log_q(strerror(errno)));
    ev_io_init(&w->readable, watch_on_readable, w->fd, EV_READ);
    ev_timer_init(&w->settle, watch_on_settled, 0., 0.);
    w->readable.data = w->settle.data = w;
    if (w->fd >= 0)
        ev_io_start(loop, &w->readable);
    *out = w;
    return 0;
}

void watch_set(struct watch *w, struct conf *conf)
{
    if (w->fd < 0)
        return;
    for (size_t i = 0; i < w->dir_count; i++)
        (void)inotify_rm_watch(w->fd, w->dirs[i]);
    w->dir_count = 0;
    conf_unref(w->conf);
    w->conf = conf_ref(conf);
    if (!conf->watch)
        return;
    struct walk walk = {.on_dir = add_dir, .watch = w};
    const char *file;
    for (size_t i = 0; (file = file_of(conf, i)); i++)
        add_parent(&walk, file);
    walk_dir(&walk, conf->scripts_dir, 0);
    walk_dir(&walk, conf->lua_dir, 0);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    ev_timer_stop(w->loop, &w->settle);
    if (w->fd >= 0) {
        ev_io_stop(w->loop, &w->readable);
        close(w->fd);
    }
    conf_unref(w->conf);
    free(w);
}
