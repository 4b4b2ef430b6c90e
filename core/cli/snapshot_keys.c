#include "cli/snapshot_keys.h"

#include "cli/key_line.h"
#include "cli/table.h"
#include "state/state_reader.h"
#include "wire/mp.h"

#include <errno.h>
#include <string.h>

#define PIECE ((size_t)64 << 10) /* of text that is written at once */

/* ---- which file ---- */

static bool read_field(struct slice map, const char *name, enum mp_type type, struct mp_token *t)
{
    struct slice value;
    if (!table_field(map, name, &value))
        return false;
    struct mp_reader r = mp_reader_of(value);
    return mp_next(&r, t) == MP_OK && t->type == type;
}

/* Errors show it on a terminal, which it must not steer. */
static bool is_path(struct slice path)
{
    for (size_t i = 0; i < path.size; i++)
        if ((unsigned char)path.data[i] < ' ' || path.data[i] == 0x7f)
            return false;
    return path.size > 1 && path.data[0] == '/' && path.size < SNAPSHOT_KEYS_PATH;
}

int snapshot_keys_find(struct snapshot_keys *k, struct slice answer, struct err *e)
{
    struct mp_reader r = mp_reader_of(answer);
    struct mp_token map, file, bytes;
    bool right = mp_next(&r, &map) == MP_OK && map.type == MP_MAP &&
                 read_field(answer, "file", MP_STR, &file) && is_path(file.bytes) &&
                 read_field(answer, "bytes", MP_INT, &bytes) && bytes.i >= 0;
    const char *slash = right ? memrchr(file.bytes.data, '/', file.bytes.size) : NULL;
    size_t folder = slash ? (size_t)(slash - file.bytes.data) : 0;
    size_t name = slash ? file.bytes.size - folder - 1 : 0;
    if (name == 0 || name >= sizeof k->name)
        return err_set(e, ERR_PROTOCOL,
                       "the answer to snapshot is not what the protocol says: it names no file");
    snprintf(k->folder, sizeof k->folder, "%.*s", folder > 0 ? (int)folder : 1, file.bytes.data);
    snprintf(k->name, sizeof k->name, "%.*s", (int)name, slash + 1);
    k->bytes = (uint64_t)bytes.i;
    return 0;
}

/* ---- its keys ---- */

unsigned snapshot_keys_class(const struct record *r)
{
    return (unsigned)r->in_main * 8 + (unsigned)r->frequency * 2 + (r->reads > 0);
}

struct keys {
    const struct snapshot_keys *file;
    struct state_reader *reader;
    FILE *out;
    struct buf text;
    bool there[SNAPSHOT_KEYS_CLASSES];
    int wanted; /* the class of this pass; -1: it looks which there are */
};

static int write_text(struct keys *g, struct err *e)
{
    bool written =
        g->text.size == 0 || fwrite(g->text.data, 1, g->text.size, g->out) == g->text.size;
    buf_clear(&g->text);
    return written ? 0 : err_set(e, ERR_IO, "cannot write the output: %s", strerror(errno));
}

static int take(struct keys *g, const struct record *r, struct err *e)
{
    unsigned class = snapshot_keys_class(r);
    if (r->negative)
        return 0;
    g->there[class] = true;
    if ((int)class != g->wanted)
        return 0;
    int rc = key_line_write(&g->text, r->key);
    if (rc != 0)
        return err_set(e, rc, "no memory for a key");
    return g->text.size < PIECE ? 0 : write_text(g, e);
}

static int take_block(struct keys *g, struct slice body, struct err *e)
{
    struct record r;
    int rc = 0;
    while (body.size > 0 && rc == 0) {
        rc = record_read(&body, &r, e);
        if (rc != 0)
            err_prefix(e, "%.200s/%s", g->file->folder, g->file->name);
        else
            rc = take(g, &r, e);
    }
    return rc;
}

/* Once through the file. ERR_BAD_VALUE: up to where it is damaged. */
static int pass(struct keys *g, int wanted, struct err *e)
{
    struct block b;
    g->wanted = wanted;
    int rc = state_reader_rewind(g->reader, e);
    if (rc != 0)
        return rc;
    while ((rc = state_reader_next(g->reader, &b, e)) == 1) {
        int taken = b.type == BLOCK_ENTRIES ? take_block(g, b.body, e) : 0;
        if (taken != 0)
            return taken;
    }
    return rc;
}

/* The damage stands where it stands in each pass: every class has its keys before it. */
static int write_classes(struct keys *g, struct err *e)
{
    int damaged = pass(g, -1, e);
    if (damaged != 0 && damaged != ERR_BAD_VALUE)
        return damaged;
    for (int class = SNAPSHOT_KEYS_CLASSES - 1; class >= 0; class --) {
        int rc = g->there[class] ? pass(g, class, e) : 0;
        if (rc != 0 && rc != ERR_BAD_VALUE)
            return rc;
    }
    struct err unwritten;
    int rc = write_text(g, &unwritten);
    if (rc == 0 && fflush(g->out) != 0)
        rc = err_set(&unwritten, ERR_IO, "cannot write the output: %s", strerror(errno));
    if (rc != 0)
        *e = unwritten;
    return rc != 0 ? rc : damaged;
}

/* A server elsewhere may name what here is the file of another one. */
static int check_size(const struct snapshot_keys *k, const struct state_reader *r, struct err *e)
{
    uint64_t size = state_reader_size(r);
    if (size == k->bytes)
        return 0;
    return err_set(e, ERR_IO,
                   "%.200s/%s has %llu bytes, and the server has written %llu: it is the file of "
                   "another server, or a newer one",
                   k->folder, k->name, (unsigned long long)size, (unsigned long long)k->bytes);
}

int snapshot_keys_write(const struct snapshot_keys *k, FILE *out, struct err *e)
{
    struct keys g = {.file = k, .out = out};
    struct state_dir *dir = NULL;
    buf_init(&g.text, 0);
    int rc = state_dir_look(&dir, k->folder, e);
    rc = rc != 0 ? rc : state_reader_new(&g.reader, dir, k->name, e);
    rc = rc != 0 ? rc : check_size(k, g.reader, e);
    if (rc != 0)
        err_prefix(e, "the server's snapshot cannot be read here");
    else
        rc = write_classes(&g, e);
    state_reader_free(g.reader);
    state_dir_close(dir);
    buf_fini(&g.text);
    return rc;
}
