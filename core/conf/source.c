#include "conf/source.h"

#include "base/bom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SHOWN 60

/* One file while it is read. */
struct scan {
    struct source *source;
    const char *file;
    const char *at, *end;
    int line;
    unsigned depth;
    bool fresh; /* nothing but blanks on this line so far */
};

void source_init(struct source *s, struct arena *arena, struct problems *problems)
{
    *s = (struct source){.arena = arena, .problems = problems};
    buf_init(&s->text, 2 * SOURCE_BYTES_MAX);
}

void source_fini(struct source *s)
{
    buf_fini(&s->text);
    free(s->places);
}

static int wrong(const struct scan *c, int line, const char *what)
{
    problems_add(c->source->problems, c->file, line, c->source->place_count, "%s", what);
    return ERR_CONFIG;
}

/* ---- lines and their places ---- */

/* The line of text that begins now is line `line` of that file. */
static int begin_line(struct source *s, const char *file, int line)
{
    if (s->place_count == s->place_capacity) {
        size_t capacity = s->place_capacity ? s->place_capacity * 2 : 256;
        struct source_place *places = realloc(s->places, capacity * sizeof *places);
        if (!places)
            return ERR_NOMEM;
        s->places = places;
        s->place_capacity = capacity;
    }
    s->places[s->place_count++] = (struct source_place){.file = file, .line = line};
    return 0;
}

static int next_line(struct scan *c)
{
    c->line++;
    c->fresh = true;
    int rc = buf_append(&c->source->text, "\n", 1);
    return rc ? rc : begin_line(c->source, c->file, c->line);
}

struct source_place source_place(const struct source *s, size_t n)
{
    if (s->place_count == 0)
        return (struct source_place){.file = s->file_count ? s->files[0] : "", .line = 0};
    if (n == 0 || n > s->place_count)
        n = s->place_count;
    return s->places[n - 1];
}

struct slice source_line(const struct source *s, size_t n)
{
    const char *at = s->text.data, *end = at + s->text.size;
    for (size_t i = 1; i < n; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            break;
        at = newline + 1;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline)
        end = newline;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (end - at > LINE_SHOWN)
        end = at + LINE_SHOWN;
    return slice_of(at, (size_t)(end - at));
}

/* ---- what a text is made of ---- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '*';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return is_name(c) && !is_digit(c) && c != '-' && c != '*';
}

/* -1 for what is no digit. */
static int digit_value(char c, bool hex)
{
    if (is_digit(c))
        return c - '0';
    int letter = c | 0x20;
    return hex && letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool starts(const struct scan *c, const char *with)
{
    size_t size = strlen(with);
    return (size_t)(c->end - c->at) >= size && memcmp(c->at, with, size) == 0;
}

static int copy_to(struct scan *c, const char *to)
{
    int rc = buf_append(&c->source->text, c->at, (size_t)(to - c->at));
    c->at = to;
    return rc;
}

/* From "#" or "//" to the end of the line, which stays. */
static void skip_comment(struct scan *c)
{
    const char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
    c->at = newline ? newline : c->end;
}

/* A comment becomes its newlines, so that what stands behind it keeps its line. */
static int skip_block(struct scan *c)
{
    int line = c->line;
    for (c->at += 2; c->at < c->end; c->at++) {
        if (starts(c, "*/")) {
            c->at += 2;
            return buf_append(&c->source->text, " ", 1);
        }
        int rc = *c->at == '\n' ? next_line(c) : 0;
        if (rc != 0)
            return rc;
    }
    return wrong(c, line, "the comment that begins here has no end");
}

static int copy_string(struct scan *c)
{
    const char *at = c->at + 1;
    while (at < c->end && *at != '"' && *at != '\n') {
        if (*at == '\0' || (c->end - at >= 4 && memcmp(at, "\\x00", 4) == 0))
            return wrong(c, c->line, "a string holds a NUL byte");
        at += *at == '\\' && at + 1 < c->end && at[1] != '\n' ? 2 : 1;
    }
    if (at >= c->end || *at == '\n')
        return wrong(c, c->line, "a string has no closing quote on its line");
    return copy_to(c, at + 1);
}

/* libconfig cuts an integer without L to 32 bits. */
static int copy_number(struct scan *c)
{
    bool hex = starts(c, "0x") || starts(c, "0X");
    const char *at = c->at + (hex ? 2 : 0);
    uint64_t value = 0;
    bool too_large = false;
    for (int digit; at < c->end && (digit = digit_value(*at, hex)) >= 0; at++) {
        too_large |= value > (uint64_t)INT64_MAX / 16;
        value = value * (hex ? 16 : 10) + (unsigned)digit;
    }
    char next = at < c->end ? *at : ' ';
    bool real = !hex && (next == '.' || next == 'e' || next == 'E');
    if (real) {
        while (at < c->end && (is_digit(*at) || memchr(".eE+-", *at, 5)))
            at++;
        next = at < c->end ? *at : ' ';
    }
    if (is_letter(next) && next != 'L')
        return wrong(c, c->line,
                     "a number is followed by letters; durations and sizes are written in quotes: "
                     "\"60s\", \"256mb\"");
    if (!real && too_large)
        return wrong(c, c->line, "a number is too large");
    int rc = copy_to(c, at);
    if (rc == 0 && !real && next != 'L' && value > INT32_MAX)
        rc = buf_append(&c->source->text, "L", 1);
    if (rc == 0 && next == 'L')
        rc = copy_to(c, at + 1);
    return rc;
}

static int copy_name(struct scan *c)
{
    const char *at = c->at;
    while (at < c->end && is_name(*at))
        at++;
    return copy_to(c, at);
}

static int copy_other(struct scan *c)
{
    struct source *s = c->source;
    char byte = *c->at;
    if (byte == '\0')
        return wrong(c, c->line, "there is a NUL byte; is this a text file?");
    if (byte == '@')
        return wrong(c, c->line, "'@' begins nothing but a line of the form @include \"file\"");
    if (strchr("{[(", byte) && ++s->nesting > SOURCE_NESTING_MAX)
        return wrong(c, c->line, "groups and lists are nested too deep");
    if (strchr("}])", byte) && s->nesting > 0)
        s->nesting--;
    return copy_to(c, c->at + 1);
}

/* ---- files ---- */

static int read_file(struct source *s, const char *path, struct scan *from, unsigned depth);

/* name is relative to the file of c. */
static const char *path_beside(struct scan *c, struct slice name)
{
    const char *slash = strrchr(c->file, '/');
    if (name.data[0] == '/' || !slash)
        return arena_copy(c->source->arena, name);
    return arena_printf(c->source->arena, "%.*s/%.*s", (int)(slash - c->file), c->file,
                        SLICE_ARG(name));
}

/* c stands at the '@'. The line is replaced by the file's text. */
static int include(struct scan *c)
{
    const char *at = c->at + strlen("@include");
    while (at < c->end && (*at == ' ' || *at == '\t'))
        at++;
    if (at >= c->end || *at != '"')
        return wrong(c, c->line, "expected @include \"file\"");
    struct slice name = {.data = ++at};
    while (at < c->end && *at != '"' && *at != '\n' && *at != '\0')
        at++;
    name.size = (size_t)(at - name.data);
    if (at >= c->end || *at != '"' || name.size == 0)
        return wrong(c, c->line, "expected @include \"file\"");
    for (at++; at < c->end && (*at == ' ' || *at == '\t' || *at == '\r');)
        at++;
    if (at < c->end && *at != '\n' && *at != '#' && *at != '/')
        return wrong(c, c->line, "@include stands alone on its line");
    const char *path = path_beside(c, name);
    if (!path)
        return ERR_NOMEM;
    c->at = at;
    int rc = buf_append(&c->source->text, "\n", 1);
    if (rc == 0)
        rc = read_file(c->source, path, c, c->depth + 1);
    /* The rest of the include's line, if only its end. */
    return rc ? rc : begin_line(c->source, c->file, c->line);
}

static int scan_step(struct scan *c)
{
    char byte = *c->at;
    if (byte == '\n') {
        c->at++;
        return next_line(c);
    }
    if (byte == ' ' || byte == '\t' || byte == '\r')
        return copy_to(c, c->at + 1);
    if (c->fresh && starts(c, "@include"))
        return include(c);
    c->fresh = false;
    if (byte == '#' || starts(c, "//")) {
        skip_comment(c);
        return 0;
    }
    if (starts(c, "/*"))
        return skip_block(c);
    if (byte == '"')
        return copy_string(c);
    if (is_digit(byte))
        return copy_number(c);
    if (is_name(byte) && byte != '-')
        return copy_name(c);
    return copy_other(c);
}

/* The lines of a file begin on a line of their own and end with a newline. */
static int scan_file(struct source *s, const char *path, struct slice text, unsigned depth)
{
    struct scan c = {.source = s,
                     .file = path,
                     .at = text.data,
                     .end = text.data + text.size,
                     .line = 1,
                     .depth = depth,
                     .fresh = true};
    int rc = begin_line(s, path, 1);
    const char *mark = bom_of(text);
    bool bad = false;
    if (rc == 0 && mark)
        return wrong(&c, 1, mark);
    while (rc == 0 && c.at < c.end) {
        rc = scan_step(&c);
        if (rc == ERR_CONFIG) {
            /* Go on with the next line: there may be more to tell. */
            bad = true;
            skip_comment(&c);
            rc = 0;
        }
    }
    if (rc == 0)
        rc = buf_append(&s->text, "\n", 1);
    return rc ? rc : bad ? ERR_CONFIG : 0;
}

/* Reads all of a regular file of at most `most` bytes; the reason for a failure goes to why. */
static int slurp(const char *path, size_t most, struct buf *out, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        *why = strerror(errno);
        if (fd >= 0)
            close(fd);
        return ERR_CONFIG;
    }
    *why = S_ISREG(st.st_mode) ? NULL : S_ISDIR(st.st_mode) ? "it is a folder" : "it is no file";
    int rc = *why ? ERR_CONFIG : 0;
    while (rc == 0) {
        char *room = buf_room(out, 16384);
        if (!room) {
            rc = ERR_NOMEM;
            break;
        }
        ssize_t n = read(fd, room, 16384);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            out->size += (size_t)n;
        if (n < 0 || out->size > most) {
            *why = n < 0 ? strerror(errno) : "the configuration is too large";
            rc = ERR_CONFIG;
        }
    }
    close(fd);
    return rc;
}

/* from: where the include stands; NULL for the first file. */
static int read_file(struct source *s, const char *path, struct scan *from, unsigned depth)
{
    const char *why = NULL;
    bool known = false;
    for (size_t i = 0; i < s->file_count && !known; i++)
        known = strcmp(s->files[i], path) == 0;
    struct buf text;
    buf_init(&text, 0);
    int rc = ERR_CONFIG;
    if (depth > SOURCE_DEPTH_MAX)
        why = "included too deep; does it include itself?";
    else if ((!known && s->file_count == SOURCE_FILES_MAX) || ++s->includes > SOURCE_INCLUDES_MAX)
        why = "too many files are included";
    else
        rc = slurp(path, s->text.size < SOURCE_BYTES_MAX ? SOURCE_BYTES_MAX - s->text.size : 0,
                   &text, &why);
    if (why && from)
        problems_add(s->problems, from->file, from->line, s->place_count, "cannot include %s: %s",
                     path, why);
    else if (why)
        problems_add(s->problems, path, 0, 0, "cannot read the configuration: %s", why);
    if (rc == 0) {
        if (!known)
            s->files[s->file_count++] = path;
        rc = scan_file(s, path, buf_slice(&text), depth);
    }
    buf_fini(&text);
    return rc;
}

int source_read(struct source *s, const char *path)
{
    int rc = read_file(s, path, NULL, 0);
    if (rc == 0)
        rc = buf_append(&s->text, "", 1);
    if (rc != 0)
        return rc == ERR_CONFIG ? rc : ERR_NOMEM;
    s->text.size--;
    return 0;
}
