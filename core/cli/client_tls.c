#include "cli/client_tls.h"

#include <errno.h>
#include <sys/socket.h>

int client_tls_init(struct client_tls *t, const struct tls_client_options *o, const char *server,
                    struct err *e)
{
    *t = (struct client_tls){0};
    buf_init(&t->sealed, 0);
    int rc = tls_context_client(&t->context, o, e);
    if (rc == 0)
        rc = tls_new(&t->session, t->context, server, e);
    return rc;
}

void client_tls_fini(struct client_tls *t)
{
    tls_free(t->session);
    tls_context_free(t->context);
    buf_fini(&t->sealed);
}

int client_tls_take(struct client_tls *t, struct slice wire, struct buf *in, struct err *e)
{
    tls_feed(t->session, wire);
    for (;;) {
        size_t n = 0;
        char *room = buf_room(in, CLIENT_SEAL_BYTES);
        if (!room)
            return err_set(e, ERR_NOMEM, "no memory to read an answer");
        int answer = tls_read(t->session, &t->sealed, room, CLIENT_SEAL_BYTES, &n, e);
        in->size += n;
        if (answer < 0)
            return answer;
        if (answer != TLS_DATA)
            return answer == TLS_END;
    }
}

int client_tls_send(struct client_tls *t, int fd, struct slice *rest)
{
    size_t n = rest->size < CLIENT_SEAL_BYTES ? rest->size : CLIENT_SEAL_BYTES;
    if (t->sealed.size == 0 && n > 0) {
        int rc = tls_write(t->session, &t->sealed, slice_of(rest->data, n), NULL);
        if (rc != 0)
            return rc;
        *rest = slice_of(rest->data + n, rest->size - n);
    }
    ssize_t sent = t->sealed.size > 0 ? send(fd, t->sealed.data, t->sealed.size, MSG_NOSIGNAL) : 0;
    if (sent > 0)
        buf_consume(&t->sealed, (size_t)sent);
    return sent < 0 && errno != EAGAIN && errno != EINTR ? ERR_IO : 0;
}
