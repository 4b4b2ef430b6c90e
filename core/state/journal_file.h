/*
 * journal_file: the files of a journal: their names, and how one begins and ends.
 *
 *   journal.00000007:  JOURNAL block: chain u64, number u64, times i64 i64, flags u32, boot id
 *                      BATCH block: time i64, records (journal_record.h)          ...
 *                      NEXT block: the file after this one has the rest
 *
 * The seq of the first and the last block is that of the batch that comes next. Thread: any.
 */
#ifndef RTCACHE_STATE_JOURNAL_FILE_H
#define RTCACHE_STATE_JOURNAL_FILE_H

#include "state/block.h"
#include "state/journal.h"

#define JOURNAL_NAME_SIZE  32
#define JOURNAL_FILES_MOST 256

void journal_file_name(char name[JOURNAL_NAME_SIZE], uint64_t number);

/* Of the files in the folder, in ascending order. */
struct journal_files {
    uint64_t number[JOURNAL_FILES_MOST];
    size_t count; /* JOURNAL_FILES_MOST + 1: there are more than that, and these are some of them */
};
int journal_file_list(struct state_dir *d, struct journal_files *out, struct err *e) MUST_USE;

/* How a file begins. */
struct journal_begin {
    uint64_t chain, number, seq;
    int64_t now_ms, wall_ms;
    bool sync;
    char boot_id[JOURNAL_BOOT_ID];
};
int journal_file_begin(struct buf *out, const struct journal_begin *b) MUST_USE;
/* NULL, or what is wrong: static. */
const char *journal_file_read_begin(const struct block *block, struct journal_begin *b) MUST_USE;
int journal_file_end(struct buf *out, uint64_t seq) MUST_USE;

#endif
