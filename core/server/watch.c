#include "server/watch.h"

#include "base/list.h"
#include "base/log.h"
#include "server/watch_files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a folder on the way to a file: who bears the name. Of one with files also: what is in them. */
#define STEP_MASK   (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)
#define FOLDER_MASK (STEP_MASK | IN_CLOSE_WRITE)

/* A folder, by its watch descriptor. */
struct watched {
    int descriptor;
    bool scripts; /* each script and folder in it matters, else only its steps */
};

struct step {
    int descriptor;
    char *name; /* owned */
};

struct watch {
    struct ev_loop *loop;
    void (*changed)(void *arg);
    void *arg;
    ev_io readable;
    ev_timer settle;
    int fd;
    struct watched dirs[WATCH_DIRS_MAX];
    size_t dir_count;
    struct step *steps; /* owned */
    size_t step_count, step_room;
    bool full;         /* told already */
    struct conf *conf; /* shared */
};

static void settle(struct watch *w)
{
    ev_timer_stop(w->loop, &w->settle);
    ev_timer_set(&w->settle, WATCH_SETTLE_MS / 1e3, 0.);
    ev_timer_start(w->loop, &w->settle);
}

/* ---- what is watched ---- */

static void tell_full(struct watch *w, const char *path)
{
    if (!w->full)
        log_warn("watch.too_many", "folders=%d names=%d path=%s", WATCH_DIRS_MAX, WATCH_NAMES_MAX,
                 log_q(path));
    w->full = true;
}

/* The folder's place, or NULL. inotify gives a folder that is watched already the same
 * descriptor. */
static struct watched *add_folder(struct watch *w, const char *path, uint32_t mask)
{
    int descriptor = inotify_add_watch(w->fd, path, mask | IN_MASK_ADD);
    if (descriptor < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            log_debug("watch.failed", "path=%s error=%s", log_q(path), log_q(strerror(errno)));
        return NULL;
    }
    for (size_t i = 0; i < w->dir_count; i++)
        if (w->dirs[i].descriptor == descriptor)
            return &w->dirs[i];
    if (w->dir_count == WATCH_DIRS_MAX) {
        (void)inotify_rm_watch(w->fd, descriptor);
        tell_full(w, path);
        return NULL;
    }
    w->dirs[w->dir_count] = (struct watched){.descriptor = descriptor};
    return &w->dirs[w->dir_count++];
}

static bool has_step(const struct watch *w, int descriptor, const char *name)
{
    for (size_t i = 0; i < w->step_count; i++)
        if (w->steps[i].descriptor == descriptor && strcmp(w->steps[i].name, name) == 0)
            return true;
    return false;
}

static bool make_room(struct watch *w)
{
    if (w->step_count < w->step_room)
        return true;
    size_t room = w->step_room > 0 ? w->step_room * 2 : 64;
    struct step *steps = realloc(w->steps, room * sizeof *steps);
    if (!steps)
        return false;
    w->steps = steps;
    w->step_room = room;
    return true;
}

static void on_step(const char *folder, const char *name, bool last, void *arg)
{
    struct watch *w = arg;
    struct watched *dir = add_folder(w, folder, last ? FOLDER_MASK : STEP_MASK);
    if (!dir || has_step(w, dir->descriptor, name))
        return;
    char *copy = w->step_count < WATCH_NAMES_MAX && make_room(w) ? strdup(name) : NULL;
    if (copy)
        w->steps[w->step_count++] = (struct step){.descriptor = dir->descriptor, .name = copy};
    else
        tell_full(w, folder);
}

struct adding {
    struct watch_visitor visitor;
    struct watch *watch;
};

static void add_way_of_link(struct watch *w, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        watch_way(path, on_step, w);
}

static void on_script(struct watch_visitor *v, const char *path)
{
    add_way_of_link(container_of(v, struct adding, visitor)->watch, path);
}

static void on_folder(struct watch_visitor *v, const char *path)
{
    struct watch *w = container_of(v, struct adding, visitor)->watch;
    add_way_of_link(w, path);
    struct watched *dir = add_folder(w, path, FOLDER_MASK);
    if (dir)
        dir->scripts = true;
}

static void drop_all(struct watch *w)
{
    for (size_t i = 0; i < w->dir_count; i++)
        (void)inotify_rm_watch(w->fd, w->dirs[i].descriptor);
    for (size_t i = 0; i < w->step_count; i++)
        free(w->steps[i].name);
    w->dir_count = w->step_count = 0;
}

static void add_all(struct watch *w)
{
    struct adding adding = {.visitor = {.on_folder = on_folder, .on_file = on_script}, .watch = w};
    const char *file;
    for (size_t i = 0; (file = watch_file_of(w->conf, i)); i++)
        watch_way(file, on_step, w);
    watch_way(w->conf->scripts_dir, on_step, w);
    watch_way(w->conf->lua_dir, on_step, w);
    watch_files_walk(&adding.visitor, w->conf);
}

/* ---- events ---- */

static bool matters(const struct watch *w, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true;
    if (event->len == 0)
        return false;
    for (size_t i = 0; i < w->dir_count; i++)
        if (w->dirs[i].descriptor == event->wd && w->dirs[i].scripts &&
            ((event->mask & IN_ISDIR) || watch_is_script(event->name)))
            return true;
    return has_step(w, event->wd, event->name);
}

static void watch_on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop, (void)events;
    struct watch *w = watcher->data;
    _Alignas(struct inotify_event) char room[4096];
    bool any = false;
    ssize_t n;
    while ((n = read(w->fd, room, sizeof room)) > 0) {
        for (char *at = room; at < room + n;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            any = any || matters(w, event);
            at += sizeof *event + event->len;
        }
    }
    if (any)
        settle(w);
}

/* The ways may lead elsewhere by now: they are watched before the files are looked at, so that no
 * change falls between the two. */
static void watch_on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct watch *w = timer->data;
    drop_all(w);
    add_all(w);
    w->changed(w->arg);
}

/* ---- life ---- */

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
    drop_all(w);
    conf_unref(w->conf);
    w->conf = conf_ref(conf);
    w->full = false;
    ev_timer_stop(w->loop, &w->settle);
    if (!conf->watch)
        return;
    add_all(w);
    settle(w);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    ev_timer_stop(w->loop, &w->settle);
    if (w->fd >= 0) {
        ev_io_stop(w->loop, &w->readable);
        drop_all(w);
        close(w->fd);
    }
    free(w->steps);
    conf_unref(w->conf);
    free(w);
}
