#include "net/out_values.h"

#include <stdlib.h>

#define FIRST_ROOM 16

int out_values_add(struct out_values *s, size_t at, struct entry *e)
{
    if (s->count == s->room) {
        unsigned room = s->room ? 2 * s->room : FIRST_ROOM;
        struct out_value *all = realloc(s->all, room * sizeof *all);
        if (!all)
            return ERR_NOMEM;
        s->all = all;
        s->room = room;
    }
    s->all[s->count++] = (struct out_value){.entry = e, .at = at};
    s->bytes += entry_value(e).size;
    s->outside += entry_outside_size(e);
    return 0;
}

/* Of value i, what is not sent yet, where all before it is. */
static struct slice rest_of(const struct out_values *s, unsigned i, size_t sent)
{
    struct slice value = entry_value(s->all[i].entry);
    return slice_of(value.data + sent, value.size - sent);
}

static int add_piece(struct iovec *pieces, int count, struct slice bytes)
{
    if (bytes.size > 0)
        pieces[count++] = (struct iovec){.iov_base = (char *)bytes.data, .iov_len = bytes.size};
    return count;
}

int out_values_pieces(const struct out_values *s, struct slice own, size_t from,
                      struct iovec *pieces, int most)
{
    int count = 0;
    size_t done = from;
    for (unsigned i = 0; i < s->count && count + 2 < most; i++) {
        count = add_piece(pieces, count, slice_of(own.data + done, s->all[i].at - done));
        count = add_piece(pieces, count, rest_of(s, i, i == 0 ? s->sent : 0));
        done = s->all[i].at;
        if (i + 1 == s->count)
            count = add_piece(pieces, count, slice_of(own.data + done, own.size - done));
    }
    return count;
}

/* The first n go; with the last one the array, for an idle connection holds none. */
static void drop_first(struct out_values *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        s->outside -= entry_outside_size(s->all[i].entry);
        entry_unref(s->all[i].entry);
    }
    s->count -= n;
    if (s->count > 0) {
        memmove(s->all, s->all + n, s->count * sizeof *s->all);
        return;
    }
    free(s->all);
    *s = (struct out_values){.count = 0};
}

size_t out_values_sent(struct out_values *s, size_t from, size_t own_size, size_t n)
{
    size_t own = from;
    unsigned whole = 0;
    for (bool value = false; n > 0; value = !value) {
        size_t left = value              ? rest_of(s, whole, s->sent).size
                      : whole < s->count ? s->all[whole].at - own
                                         : own_size - own;
        size_t taken = n < left ? n : left;
        n -= taken;
        if (!value) {
            own += taken;
            continue;
        }
        s->bytes -= taken;
        s->sent = taken < left ? s->sent + taken : 0;
        whole += taken == left;
    }
    drop_first(s, whole);
    return own - from;
}

void out_values_own_consumed(struct out_values *s, size_t n)
{
    for (unsigned i = 0; i < s->count; i++)
        s->all[i].at -= n;
}

void out_values_clear(struct out_values *s)
{
    drop_first(s, s->count);
}
