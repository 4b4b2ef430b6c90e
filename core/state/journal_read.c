#include "state/journal_read.h"

#include "state/journal_file.h"
#include "state/journal_record.h"
#include "state/le.h"
#include "state/stream.h"

#include <stdarg.h>
#include <stdio.h>

/* One reading, from file to file. */
struct reading {
    struct state_dir *dir;
    const char *boot_id;
    const struct journal_position *from;
    int (*each)(const struct journal_record *r, void *arg);
    void *arg;
    struct journal_reading *out;
    uint64_t seq; /* of the batch that has to come next */
    bool began;   /* a file's begin was read, so seq is known */
    bool closed;  /* the last file says that there is a next one */
    char path[ERR_TEXT_MAX / 2];
};

/* Ends the reading. */
static __attribute__((format(printf, 3, 4))) bool stop(struct reading *r, enum journal_verdict v,
                                                       const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->out->verdict = v;
    err_set(&r->out->why, v == JOURNAL_UNREAD ? ERR_IO : ERR_BAD_VALUE, "%s: %s", r->path, text);
    return false;
}

/* What a stream or the folder said: its text has the name. */
static bool stop_with(struct reading *r, enum journal_verdict v, const struct err *e)
{
    r->out->verdict = v;
    r->out->why = *e;
    return false;
}

static bool stop_at(struct reading *r, const struct stream *s, const char *what)
{
    return stop(r, JOURNAL_DAMAGED, "block %llu, before byte %llu: %s",
                (unsigned long long)s->blocks - 1, (unsigned long long)s->at, what);
}

/* ---- one batch ---- */

static bool take_records(struct reading *r, const struct stream *s, const struct block *b)
{
    struct slice in = b->body;
    struct journal_record record;
    if (in.size < 8)
        return stop_at(r, s, "a batch without its time");
    int64_t at_ms = (int64_t)le_get64(in.data);
    in = slice_of(in.data + 8, in.size - 8);
    for (uint32_t i = 0; i < b->count; i++) {
        const char *wrong = journal_record_read(&in, &record);
        if (wrong)
            return stop_at(r, s, wrong);
        record.at_ms = at_ms;
        if (r->each(&record, r->arg) != 0)
            return stop(r, JOURNAL_UNREAD, "batch %llu could not be applied",
                        (unsigned long long)b->seq);
        r->out->records++;
    }
    if (in.size > 0)
        return stop_at(r, s, "a batch with more than its records");
    r->out->batches++;
    return true;
}

static bool take_block(struct reading *r, const struct stream *s, const struct block *b)
{
    if (r->closed)
        return stop_at(r, s, "there is more behind the end of this file");
    if (b->type != BLOCK_BATCH && b->type != BLOCK_NEXT)
        return stop_at(r, s, "a block of a type that is none of a journal's");
    if (b->seq != r->seq)
        return stop(r, JOURNAL_HOLE, "batch %llu stands where %llu has to",
                    (unsigned long long)b->seq, (unsigned long long)r->seq);
    r->closed = b->type == BLOCK_NEXT;
    if (!r->closed) {
        if (b->seq >= r->from->seq && !take_records(r, s, b))
            return false;
        r->seq++;
    }
    r->out->end.seq = r->seq;
    r->out->end_byte = s->at;
    return true;
}

/* ---- one file ---- */

/* Whether this file goes on where the one before it, or the position, says. */
static bool judge_begin(struct reading *r, const struct stream *s, const struct journal_begin *b,
                        uint64_t number)
{
    const struct journal_position *from = r->from;
    if (b->number != number)
        return stop_at(r, s, "it was begun under another name");
    bool other = strncmp(b->boot_id, r->boot_id, JOURNAL_BOOT_ID) != 0;
    if (other && !b->sync)
        return stop(r, JOURNAL_OTHER_BOOT, "it was written before this machine was started last");
    if (r->began && b->seq != r->seq)
        return stop(r, JOURNAL_HOLE,
                    "it begins with batch %llu, and the one before it ends with "
                    "%llu",
                    (unsigned long long)b->seq, (unsigned long long)r->seq - 1);
    uint64_t chain = r->began ? r->out->end.chain : from->chain;
    if ((r->began || from->number != 0) && b->chain != chain)
        return stop(r, JOURNAL_GONE, "it belongs to another journal than what leads to it");
    if (!r->began && from->number != 0 && b->seq > from->seq)
        return stop(r, JOURNAL_GONE, "it begins with batch %llu, behind the position",
                    (unsigned long long)b->seq);
    if (r->began && other != r->out->other_boot)
        return stop(r, JOURNAL_OTHER_BOOT,
                    "the files before it are of another start of the machine");
    if (!r->began) {
        r->out->since_ms = b->now_ms;
        r->out->since_wall_ms = b->wall_ms;
        r->out->other_boot = other;
    }
    r->began = true;
    r->closed = false;
    r->seq = b->seq;
    r->out->end = (struct journal_position){.chain = b->chain, .number = number, .seq = b->seq};
    r->out->end_byte = s->at;
    return true;
}

/* A file that ends before its begin does was never written to: a server ended just then, unless the
 * file before it says that it goes on. */
static bool take_nothing(struct reading *r)
{
    if (r->began && !r->closed)
        return true;
    return stop(r, JOURNAL_GONE, "it is empty");
}

static bool take_begin(struct reading *r, struct stream *s, uint64_t number, bool *empty)
{
    struct block block;
    struct journal_begin begin;
    struct err e;
    const char *wrong;
    switch (stream_next(s, &block, &e)) {
    case STREAM_BLOCK:
        wrong = journal_file_read_begin(&block, &begin);
        return wrong ? stop_at(r, s, wrong) : judge_begin(r, s, &begin, number);
    case STREAM_END:
    case STREAM_TORN: *empty = true; return take_nothing(r);
    case STREAM_BAD: return stop_with(r, JOURNAL_DAMAGED, &e);
    default: return stop_with(r, JOURNAL_UNREAD, &e);
    }
}

static bool take_stream(struct reading *r, struct stream *s, uint64_t number)
{
    struct block block;
    struct err e;
    bool empty = false;
    bool goes_on = take_begin(r, s, number, &empty);
    if (!goes_on || empty)
        return goes_on;
    for (;;) {
        switch (stream_next(s, &block, &e)) {
        case STREAM_BLOCK:
            if (!take_block(r, s, &block))
                return false;
            break;
        case STREAM_END: return true;
        case STREAM_TORN: /* its answers have never left */
            return r->closed ? stop_with(r, JOURNAL_DAMAGED, &e) : true;
        case STREAM_BAD: return stop_with(r, JOURNAL_DAMAGED, &e);
        default: return stop_with(r, JOURNAL_UNREAD, &e);
        }
    }
}

static bool take_file(struct reading *r, uint64_t number)
{
    char name[JOURNAL_NAME_SIZE];
    struct stream s;
    struct err e;
    int fd;
    journal_file_name(name, number);
    snprintf(r->path, sizeof r->path, "%s/%s", state_dir_path(r->dir), name);
    if (state_dir_read(r->dir, name, &fd, &e) != 0)
        return stop_with(r, JOURNAL_UNREAD, &e);
    if (fd < 0)
        return stop(r, JOURNAL_GONE, "it is not there");
    if (stream_init(&s, fd, r->path, &e) != 0)
        return stop_with(r, JOURNAL_UNREAD, &e);
    bool goes_on = take_stream(r, &s, number);
    stream_fini(&s);
    return goes_on;
}

/* ---- all ---- */

/* The files from the position on, one after the other. */
static bool take_files(struct reading *r, const struct journal_files *files)
{
    uint64_t number = r->from->number != 0 ? r->from->number : files->number[0];
    for (; number <= files->number[files->count - 1]; number++)
        if (!take_file(r, number))
            return false;
    if (r->closed)
        return stop(r, JOURNAL_GONE, "it goes on in a file that is not there");
    if (!r->began || r->from->seq > r->seq)
        return stop(r, JOURNAL_GONE, "it ends before batch %llu, where it is to be read from",
                    (unsigned long long)r->from->seq);
    return true;
}

void journal_read(struct state_dir *d, const char *boot_id, const struct journal_position *from,
                  int (*each)(const struct journal_record *r, void *arg), void *arg,
                  struct journal_reading *out)
{
    struct reading r = {
        .dir = d, .boot_id = boot_id, .from = from, .each = each, .arg = arg, .out = out};
    struct journal_files files;
    struct err e;
    *out = (struct journal_reading){.verdict = JOURNAL_COMPLETE};
    err_clear(&out->why);
    snprintf(r.path, sizeof r.path, "%s", state_dir_path(d));
    if (journal_file_list(d, &files, &e) != 0)
        stop_with(&r, JOURNAL_UNREAD, &e);
    else if (files.count > JOURNAL_FILES_MOST)
        stop(&r, JOURNAL_DAMAGED, "there are more than %d files of a journal", JOURNAL_FILES_MOST);
    else if (files.count == 0 && from->number == 0)
        stop(&r, JOURNAL_NONE, "there is no journal");
    else if (files.count == 0 || from->number > files.number[files.count - 1])
        stop(&r, JOURNAL_GONE, "file %llu of the journal is not there",
             (unsigned long long)from->number);
    else
        take_files(&r, &files);
}

const char *journal_verdict_name(enum journal_verdict v)
{
    static const char *const names[] = {
        [JOURNAL_COMPLETE] = "complete",     [JOURNAL_NONE] = "none", [JOURNAL_GONE] = "gone",
        [JOURNAL_OTHER_BOOT] = "other boot", [JOURNAL_HOLE] = "hole", [JOURNAL_DAMAGED] = "damaged",
        [JOURNAL_UNREAD] = "unread",
    };
    return names[v];
}
