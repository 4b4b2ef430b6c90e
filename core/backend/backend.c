#include "backend/backend.h"

int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e)
{
    *out = NULL;
    switch (conf->driver) {
    case DRIVER_POSTGRES: return postgres_new(out, loop, conf, share, e);
    case DRIVER_SQLITE: return sqlite_new(out, loop, conf, share, e);
    }
    return err_set(e, ERR_CONFIG, "backend '%s': there is no driver %d", conf->name,
                   (int)conf->driver);
}

void backend_unref(struct backend *b)
{
    if (b && --b->refs == 0)
        b->ops->free(b);
}

void query_reset(struct query *q, size_t max_result)
{
    q->code = 0;
    q->fate = QUERY_UNSENT;
    err_clear(&q->err);
    q->found = false;
    buf_init(&q->result, max_result);
    list_init(&q->link);
    q->driver = NULL;
}
