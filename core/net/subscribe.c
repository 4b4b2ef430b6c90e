#include "net/subscribe.h"

void subscribe_recv_news(struct message *m, void *owner)
{
    struct io *io = owner;
    news_done(io->options.changes->news, m);
}
