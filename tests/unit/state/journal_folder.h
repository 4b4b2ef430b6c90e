/*
 * journal_folder: a journal in a test's folder, and what a reading of it says.
 *
 * Thread: the test's only one.
 */
#ifndef RTCACHE_TESTS_UNIT_JOURNAL_FOLDER_H
#define RTCACHE_TESTS_UNIT_JOURNAL_FOLDER_H

#include "state/journal_read.h"
#include "state/state_folder.h"

#define MB ((uint64_t)1 << 20)

static const struct journal_position from_the_begin;

/* What was read: "KEY a 5 | TAG t soft | ..". */
static char journal_text[1 << 20];
static size_t journal_size;
static int journal_refuse; /* each record is refused with that */

static inline int journal_collect(const struct journal_record *r, void *arg)
{
    static const char *const names[] = {"",        "KEY",  "TAG",          "ALL_TAGS",
                                        "PATTERN", "LIFT", "LIFT_PATTERN", "DOUBT"};
    (void)arg;
    assert_true(r->at_ms > 0);
    char *at = journal_text + journal_size;
    size_t room = sizeof journal_text - journal_size;
    int n = snprintf(at, room, "%s%s %.*s", journal_size ? " | " : "", names[r->kind],
                     SLICE_ARG(r->text));
    if (r->has_version)
        n += snprintf(at + n, room - (size_t)n, " v%lld", (long long)r->version);
    if (r->left_ms)
        n += snprintf(at + n, room - (size_t)n, " %lldms", (long long)r->left_ms);
    n += snprintf(at + n, room - (size_t)n, "%s%s%s", r->soft ? " soft" : "",
                  r->gone ? " gone" : "", r->misfits ? " misfits" : "");
    journal_size += (size_t)n;
    return journal_refuse;
}

static inline void journal_read_from(struct state_dir *d, const struct journal_position *from,
                                     const char *boot_id, struct journal_reading *out)
{
    journal_size = 0;
    journal_text[0] = '\0';
    journal_read(d, boot_id, from, journal_collect, NULL, out);
    if (out->verdict == JOURNAL_COMPLETE)
        assert_int_equal(out->why.code, 0);
    else
        assert_true(out->why.code != 0 && out->why.text[0] != '\0');
}

/* Reads all; the verdict has to be that. */
static inline const char *journal_all(struct state_dir *d, enum journal_verdict verdict,
                                      struct journal_reading *out)
{
    journal_read_from(d, &from_the_begin, "boot", out);
    if (out->verdict != verdict)
        fail_msg("%s: %s", journal_verdict_name(out->verdict), out->why.text);
    return journal_text;
}

static inline struct journal_options journal_defaults(struct state_dir *d)
{
    return (struct journal_options){
        .dir = d,
        .boot_id = "boot",
        .incarnation = 7,
        .now_ms = 1000,
        .wall_ms = 5000,
        .keep_ms = 8000,
        .max_bytes = 4 * MB,
        .relies = "snapshot",
    };
}

static inline struct journal *journal_opened(const struct journal_options *o)
{
    struct journal *j;
    struct err e;
    err_clear(&e);
    if (journal_open(&j, o, &e) != 0)
        fail_msg("%s", e.text);
    return j;
}

/* One record of a key, without a flush. */
static inline void journal_key(struct journal_lane *l, const char *key)
{
    struct journal_record r = {.kind = JOURNAL_KEY, .text = slice_str(key)};
    journal_note(l, &r);
}

static inline void journal_write_key(struct journal_lane *l, const char *key)
{
    journal_key(l, key);
    journal_flush(l);
}

static inline struct journal_stats journal_stats_of(struct journal *j)
{
    struct journal_stats s;
    journal_read_stats(j, &s);
    return s;
}

/* What is said behind the last "/" of an error's text. */
static inline const char *journal_why(const struct journal_reading *r)
{
    const char *at = strrchr(r->why.text, '/');
    return at ? at + 1 : r->why.text;
}

/* A journal of three files with `batches` batches, k0 k1 k2 .., of one key each, and closed as a
 * crash does. *mark: before the batch `at`. */
static inline void journal_of(struct state_dir *d, int batches, int at,
                              struct journal_position *mark)
{
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane l;
    struct err e;
    char key[20];
    journal_lane_init(&l, j);
    for (int i = 0; i < batches; i++) {
        if (i == at)
            assert_int_equal(journal_mark(j, 1000, 5000, mark, &e), 0);
        if (i == batches / 3)
            journal_tick(j, 3000, 7000);
        if (i == 2 * batches / 3)
            journal_tick(j, 5000, 9000);
        snprintf(key, sizeof key, "k%d", i);
        journal_write_key(&l, key);
    }
    journal_lane_fini(&l);
    journal_close(j);
}

#endif
