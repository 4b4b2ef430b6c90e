#include "load/news.h"

#include "base/list.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct notice {
    struct message message;
    struct news news; /* its text lies behind it */
    unsigned slot;
    bool standing; /* slot->lost: not allocated */
    char text[];
};

/* One I/O thread's side. */
struct slot {
    _Atomic bool listening;
    _Atomic bool lost_told; /* `lost` is on its way */
    _Atomic size_t queued;
    struct notice lost;
};

struct news_hub {
    struct mailbox *const *mailboxes;
    void (*recv)(struct message *m, void *owner);
    size_t queue_max;
    unsigned slot_count;
    struct slot slots[];
};

int news_hub_new(struct news_hub **out, struct mailbox *const *slots, unsigned slot_count,
                 size_t queue_max, void (*recv)(struct message *m, void *owner), struct err *e)
{
    struct news_hub *h = calloc(1, sizeof *h + slot_count * sizeof h->slots[0]);
    *out = h;
    if (!h)
        return err_set(e, ERR_NOMEM, "no memory for notifications to %u threads", slot_count);
    h->mailboxes = slots;
    h->recv = recv;
    h->queue_max = queue_max;
    h->slot_count = slot_count;
    for (unsigned i = 0; i < slot_count; i++)
        h->slots[i].lost = (struct notice){
            .message.recv = recv,
            .news = {.what = NEWS_ALL, .cause = CAUSE_LOST},
            .slot = i,
            .standing = true,
        };
    return 0;
}

void news_hub_free(struct news_hub *h)
{
    free(h);
}

void news_listen(struct news_hub *h, unsigned slot, bool listening)
{
    atomic_store(&h->slots[slot].listening, listening);
}

/* Once until it has arrived: what is dropped meanwhile is part of the same loss. */
static void tell_lost(struct news_hub *h, unsigned i)
{
    if (!atomic_exchange(&h->slots[i].lost_told, true))
        mailbox_send(h->mailboxes[i], &h->slots[i].lost.message);
}

static void tell_slot(struct news_hub *h, unsigned i, const struct news *n)
{
    struct slot *slot = &h->slots[i];
    if (atomic_fetch_add(&slot->queued, 1) >= h->queue_max) {
        atomic_fetch_sub(&slot->queued, 1);
        tell_lost(h, i);
        return;
    }
    struct notice *notice = malloc(sizeof *notice + n->text.size);
    if (!notice) {
        atomic_fetch_sub(&slot->queued, 1);
        tell_lost(h, i);
        return;
    }
    *notice = (struct notice){.message.recv = h->recv, .news = *n, .slot = i};
    if (n->text.size)
        memcpy(notice->text, n->text.data, n->text.size);
    notice->news.text = slice_of(notice->text, n->text.size);
    mailbox_send(h->mailboxes[i], &notice->message);
}

void news_tell(struct news_hub *h, const struct news *n)
{
    for (unsigned i = 0; h && i < h->slot_count; i++)
        if (atomic_load(&h->slots[i].listening))
            tell_slot(h, i, n);
}

const struct news *news_of(const struct message *m)
{
    return &container_of(m, struct notice, message)->news;
}

void news_done(struct news_hub *h, struct message *m)
{
    struct notice *notice = container_of(m, struct notice, message);
    struct slot *slot = &h->slots[notice->slot];
    if (notice->standing) {
        /* Before what is told next is looked at: a loss from here on is told anew. */
        atomic_store(&slot->lost_told, false);
        return;
    }
    atomic_fetch_sub(&slot->queued, 1);
    free(notice);
}

const char *news_cause_name(enum news_cause cause)
{
    static const char *const names[] = {
        [CAUSE_INVALIDATE] = "invalidate",
        [CAUSE_EXPIRE] = "expire",
        [CAUSE_SET] = "set",
        [CAUSE_PUT] = "put",
        [CAUSE_DELETE] = "delete",
        [CAUSE_FEED] = "feed",
        [CAUSE_GAP] = "gap",
        [CAUSE_LOST] = "lost",
    };
    return names[cause];
}
