#include "trace.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_ROOM 1024

static void *grown(void *old, size_t count, size_t size)
{
    void *fresh = reallocarray(old, count, size);
    if (!fresh)
        errx(2, "no memory for %zu requests", count);
    return fresh;
}

static size_t place_of(const struct trace *t, uint64_t name)
{
    uint64_t mixed = name * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(mixed ^ mixed >> 32) & (t->index_room - 1);
    while (t->index[at] && t->names[t->index[at] - 1] != name)
        at = (at + 1) & (t->index_room - 1);
    return at;
}

static void grow_index(struct trace *t)
{
    t->index_room = t->index_room ? t->index_room * 2 : FIRST_ROOM;
    free(t->index);
    t->index = calloc(t->index_room, sizeof *t->index);
    if (!t->index)
        errx(2, "no memory for %zu keys", t->index_room);
    for (size_t i = 0; i < t->distinct; i++)
        t->index[place_of(t, t->names[i])] = (uint32_t)i + 1;
}

static void add(struct trace *t, uint64_t name, uint32_t size)
{
    if (t->distinct * 2 >= t->index_room)
        grow_index(t);
    size_t at = place_of(t, name);
    if (!t->index[at]) {
        if (t->distinct == t->sizes_room) {
            t->sizes_room = t->sizes_room ? t->sizes_room * 2 : FIRST_ROOM;
            t->sizes = grown(t->sizes, t->sizes_room, sizeof *t->sizes);
            t->names = grown(t->names, t->sizes_room, sizeof *t->names);
        }
        t->sizes[t->distinct] = size;
        t->names[t->distinct++] = name;
        t->index[at] = (uint32_t)t->distinct;
    }
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : FIRST_ROOM;
        t->requests = grown(t->requests, t->room, sizeof *t->requests);
    }
    t->requests[t->count++] = t->index[at] - 1;
}

#define LINE_NUMBERS 3

/* The numbers that the next line begins with, LINE_NUMBERS at most: how many; -1 at the end. */
static int read_line(FILE *f, uint64_t *numbers)
{
    char line[256], *at = line;
    if (!fgets(line, sizeof line, f))
        return -1;
    for (int n = 0; n < LINE_NUMBERS; n++) {
        char *end;
        numbers[n] = strtoull(at, &end, 10);
        if (end == at)
            return n;
        at = end;
    }
    return LINE_NUMBERS;
}

static void read_arc(struct trace *t, FILE *f)
{
    uint64_t numbers[LINE_NUMBERS];
    for (int n; (n = read_line(f, numbers)) >= 0;)
        for (uint64_t i = 0; n >= 2 && i < numbers[1]; i++)
            add(t, numbers[0] + i, 1);
}

static void read_lirs(struct trace *t, FILE *f)
{
    uint64_t numbers[LINE_NUMBERS];
    for (int n; (n = read_line(f, numbers)) >= 0;)
        if (n >= 1)
            add(t, numbers[0], 1);
}

static void read_sized(struct trace *t, FILE *f)
{
    uint64_t numbers[LINE_NUMBERS];
    for (int n; (n = read_line(f, numbers)) >= 0;)
        if (n == LINE_NUMBERS)
            add(t, numbers[1], numbers[2] < UINT32_MAX ? (uint32_t)numbers[2] : UINT32_MAX);
}

static void read_u32(struct trace *t, FILE *f)
{
    uint32_t key;
    while (fread(&key, sizeof key, 1, f) == 1)
        add(t, key, 1);
}

static void read_u64(struct trace *t, FILE *f)
{
    uint64_t key;
    while (fread(&key, sizeof key, 1, f) == 1)
        add(t, key, 1);
}

static void read_oracle(struct trace *t, FILE *f)
{
    struct __attribute__((packed)) {
        uint32_t time;
        uint64_t key;
        uint32_t size;
        int64_t next;
    } record;
    while (fread(&record, sizeof record, 1, f) == 1)
        add(t, record.key, record.size);
}

static const struct {
    const char *name;
    void (*read)(struct trace *t, FILE *f);
} formats[] = {
    {"arc", read_arc}, {"lirs", read_lirs}, {"sized", read_sized},
    {"u32", read_u32}, {"u64", read_u64},   {"oracle", read_oracle},
};

static const char *tool_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && strcmp(dot, ".zst") == 0)
        return "zstd";
    if (dot && strcmp(dot, ".xz") == 0)
        return "xz";
    return dot && strcmp(dot, ".gz") == 0 ? "gzip" : "cat";
}

static FILE *open_through(const char *tool, const char *path, pid_t *child)
{
    int ends[2];
    if (access(path, R_OK) || pipe(ends))
        err(2, "%s", path);
    *child = fork();
    if (*child < 0)
        err(2, "fork");
    if (*child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp(tool, tool, strcmp(tool, "cat") == 0 ? "--" : "-dc", path, (char *)NULL);
        err(2, "%s", tool);
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "rb");
    if (!f)
        err(2, "%s", path);
    return f;
}

void trace_read(struct trace *t, const char *format, const char *path)
{
    *t = (struct trace){.count = 0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, format) != 0)
            continue;
        pid_t child;
        int status;
        FILE *f = open_through(tool_of(path), path, &child);
        formats[i].read(t, f);
        fclose(f);
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            errx(2, "%s: %s failed", path, tool_of(path));
        if (t->count == 0)
            errx(2, "%s: no requests in the format %s", path, format);
        return;
    }
    errx(2, "no format %s", format);
}

void trace_free(struct trace *t)
{
    free(t->requests);
    free(t->sizes);
    free(t->names);
    free(t->index);
}
