/*
 * state_journal_fuzz: any bytes as the records of a batch, and as the begin of a journal's file.
 * What is read must lie inside them, and be read again from what its packing gives.
 * Run: ./dev fuzz state_journal
 */
#include "state/journal_file.h"
#include "state/journal_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void read_records(struct slice in)
{
    struct journal_record r, again;
    struct slice rest = in;
    while (!journal_record_read(&rest, &r)) {
        struct buf out;
        buf_init(&out, 0);
        expect(rest.data >= in.data && rest.data + rest.size == in.data + in.size);
        expect(r.text.size == 0 ||
               (r.text.data > in.data && r.text.data + r.text.size <= rest.data));
        expect(journal_record_append(&out, &r) == 0);
        struct slice packed = buf_slice(&out);
        expect(!journal_record_read(&packed, &again) && packed.size == 0);
        expect(again.kind == r.kind && slice_eq(again.text, r.text) && again.soft == r.soft &&
               again.gone == r.gone && again.misfits == r.misfits &&
               again.has_version == r.has_version && again.version == r.version &&
               again.left_ms == r.left_ms);
        buf_fini(&out);
    }
}

static void read_begin(struct slice in)
{
    struct journal_begin b, again;
    struct block block = {.type = BLOCK_JOURNAL, .seq = 7, .body = in};
    if (journal_file_read_begin(&block, &b))
        return;
    struct buf out;
    size_t used;
    buf_init(&out, 0);
    expect(journal_file_begin(&out, &b) == 0);
    expect(block_read(buf_slice(&out), &block, &used, NULL) == BLOCK_READ && used == out.size);
    expect(!journal_file_read_begin(&block, &again));
    expect(again.chain == b.chain && again.number == b.number && again.seq == b.seq &&
           again.now_ms == b.now_ms && again.wall_ms == b.wall_ms && again.sync == b.sync &&
           strcmp(again.boot_id, b.boot_id) == 0);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    read_records(in);
    read_begin(in);
    return 0;
}
