/*
 * journal_record: one record of a batch, as bytes.
 *
 *   | size u32 | kind u8 | flags u8 | text size u16 | version i64 | left i64 | text | ...
 *
 * size counts what stands behind it; a newer version may have more at the end, which is passed
 * over. A kind or a flag that is not known is no such thing: what it says must not be missed.
 * Pure. Thread: any. Limits: JOURNAL_TEXT_MOST bytes of text.
 */
#ifndef RTCACHE_STATE_JOURNAL_RECORD_H
#define RTCACHE_STATE_JOURNAL_RECORD_H

#include "base/buf.h"
#include "state/journal.h"

#define JOURNAL_TEXT_MOST 65535

/* ERR_TOO_LARGE: its text; ERR_NOMEM. Then nothing was appended. */
int journal_record_append(struct buf *out, const struct journal_record *r) MUST_USE;

/* Takes the first one off `in`; *r borrows of it, at_ms is left to the caller. NULL, or what is
 * wrong: static. */
const char *journal_record_read(struct slice *in, struct journal_record *r) MUST_USE;

#endif
