#include "state/journal_file.h"

#include "state/le.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "journal."

enum { AT_CHAIN = 0, AT_NUMBER = 8, AT_NOW = 16, AT_WALL = 24, AT_FLAGS = 32, AT_BOOT = 36 };
enum { BEGIN_SIZE = AT_BOOT + JOURNAL_BOOT_ID, FLAG_SYNC = 1 };

void journal_file_name(char name[JOURNAL_NAME_SIZE], uint64_t number)
{
    snprintf(name, JOURNAL_NAME_SIZE, PREFIX "%08" PRIu64, number);
}

/* 0: it is none of ours. */
static uint64_t number_of(const char *name)
{
    char again[JOURNAL_NAME_SIZE];
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0)
        return 0;
    uint64_t number = strtoull(name + sizeof PREFIX - 1, NULL, 10);
    journal_file_name(again, number);
    return strcmp(name, again) == 0 ? number : 0;
}

static void add_name(const char *name, void *arg)
{
    struct journal_files *files = arg;
    uint64_t number = number_of(name);
    if (number == 0)
        return;
    if (files->count < JOURNAL_FILES_MOST)
        files->number[files->count] = number;
    if (files->count <= JOURNAL_FILES_MOST)
        files->count++;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int journal_file_list(struct state_dir *d, struct journal_files *out, struct err *e)
{
    out->count = 0;
    int rc = state_dir_each(d, add_name, out, e);
    size_t count = out->count < JOURNAL_FILES_MOST ? out->count : JOURNAL_FILES_MOST;
    qsort(out->number, count, sizeof out->number[0], by_number);
    return rc;
}

int journal_file_begin(struct buf *out, const struct journal_begin *b)
{
    char body[BEGIN_SIZE] = {0};
    le_put64(body + AT_CHAIN, b->chain);
    le_put64(body + AT_NUMBER, b->number);
    le_put64(body + AT_NOW, (uint64_t)b->now_ms);
    le_put64(body + AT_WALL, (uint64_t)b->wall_ms);
    le_put32(body + AT_FLAGS, b->sync ? FLAG_SYNC : 0);
    snprintf(body + AT_BOOT, JOURNAL_BOOT_ID, "%s", b->boot_id);
    struct block block = {
        .type = BLOCK_JOURNAL, .seq = b->seq, .body = slice_of(body, sizeof body)};
    return block_append(out, &block);
}

const char *journal_file_read_begin(const struct block *block, struct journal_begin *b)
{
    const char *body = block->body.data;
    if (block->type != BLOCK_JOURNAL)
        return "it does not begin as a file of the journal does";
    if (block->body.size < BEGIN_SIZE || memchr(body + AT_BOOT, '\0', JOURNAL_BOOT_ID) == NULL)
        return "its begin does not say all that it has to";
    *b = (struct journal_begin){
        .chain = le_get64(body + AT_CHAIN),
        .number = le_get64(body + AT_NUMBER),
        .seq = block->seq,
        .now_ms = (int64_t)le_get64(body + AT_NOW),
        .wall_ms = (int64_t)le_get64(body + AT_WALL),
        .sync = le_get32(body + AT_FLAGS) & FLAG_SYNC,
    };
    memcpy(b->boot_id, body + AT_BOOT, JOURNAL_BOOT_ID);
    return NULL;
}

int journal_file_end(struct buf *out, uint64_t seq)
{
    struct block block = {.type = BLOCK_NEXT, .seq = seq};
    return block_append(out, &block);
}
