#include "server/watch_files.h"

#include "base/hash.h"
#include "base/list.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool watch_is_script(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".lua") == 0;
}

const char *watch_file_of(const struct conf *conf, size_t n)
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

/* ---- scripts ---- */

static void walk_folder(struct watch_visitor *v, const char *path, int depth)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        return;
    if (v->on_folder)
        v->on_folder(v, path);
    for (int i = 0; i < count; i++) {
        char child[PATH_MAX];
        struct stat st;
        int n = snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name);
        bool fits = names[i]->d_name[0] != '.' && n > 0 && n < (int)sizeof child;
        if (fits && stat(child, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth < WATCH_DEPTH_MAX)
                walk_folder(v, child, depth + 1);
            else if (S_ISREG(st.st_mode) && watch_is_script(child) && v->on_file &&
                     v->files++ < WATCH_FILES_MAX)
                v->on_file(v, child);
        }
        free(names[i]);
    }
    free(names);
}

void watch_files_walk(struct watch_visitor *v, const struct conf *conf)
{
    walk_folder(v, conf->scripts_dir, 0);
    walk_folder(v, conf->lua_dir, 0);
}

/* ---- the way to a file ---- */

/* "/a/b" becomes "/a"; "/a" becomes "", which stands for the root. */
static void go_up(char *folder)
{
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
}

/* The path that a link stands for: its target, seen from its folder, and what is left behind it. */
static bool follow(const char *link, const char *folder, const char *rest, char out[PATH_MAX])
{
    char target[PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    int size = target[0] == '/' ? snprintf(path, sizeof path, "%s/%s", target, rest)
                                : snprintf(path, sizeof path, "%s/%s/%s", folder, target, rest);
    if (size <= 0 || size >= (int)sizeof path)
        return false;
    memcpy(out, path, (size_t)size + 1);
    return true;
}

void watch_way(const char *path,
               void (*on_step)(const char *folder, const char *name, bool last, void *arg),
               void *arg)
{
    char way[PATH_MAX], folder[PATH_MAX] = "", next[PATH_MAX + NAME_MAX + 2], name[NAME_MAX + 1];
    unsigned links = 0;
    int size = snprintf(way, sizeof way, "%s", path);
    if (size <= 0 || size >= (int)sizeof way)
        return;
    for (const char *at = way; *(at += strspn(at, "/"));) {
        size_t n = strcspn(at, "/");
        const char *rest = at + n + strspn(at + n, "/");
        if (n > NAME_MAX)
            return;
        memcpy(name, at, n);
        name[n] = '\0';
        at = rest;
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            go_up(folder);
            continue;
        }
        struct stat st;
        size = snprintf(next, sizeof next, "%s/%s", folder, name);
        if (size >= PATH_MAX)
            return;
        on_step(folder[0] ? folder : "/", name, *rest == '\0', arg);
        if (lstat(next, &st) != 0)
            return; /* it may come later, which that step shows */
        if (!S_ISLNK(st.st_mode)) {
            memcpy(folder, next, (size_t)size + 1);
            continue;
        }
        if (++links > WATCH_LINKS_MAX || !follow(next, folder, rest, way))
            return;
        folder[0] = '\0';
        at = way;
    }
}

/* ---- fingerprint ---- */

struct hashing {
    struct watch_visitor visitor;
    uint64_t hash;
};

static void hash_file(struct hashing *h, const char *path)
{
    char room[16 * 1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    h->hash = hash_slice(slice_str(path), h->hash);
    if (fd < 0)
        return;
    ssize_t n;
    while ((n = read(fd, room, sizeof room)) > 0)
        h->hash = hash_bytes(room, (size_t)n, h->hash);
    close(fd);
}

static void hash_script(struct watch_visitor *v, const char *path)
{
    hash_file(container_of(v, struct hashing, visitor), path);
}

uint64_t watch_fingerprint(const struct conf *conf)
{
    struct hashing h = {.visitor.on_file = hash_script};
    const char *file;
    for (size_t i = 0; (file = watch_file_of(conf, i)); i++)
        hash_file(&h, file);
    watch_files_walk(&h.visitor, conf);
    return h.hash;
}
