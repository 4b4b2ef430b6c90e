#include "backend/backend.h"

#include "backend/postgres/postgres.h"
#include "backend/sqlite/sqlite.h"

const struct conf_driver *const backend_drivers[] = {
    &postgres_driver.conf,
    &sqlite_driver.conf,
    NULL,
};

int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e)
{
    *out = NULL;
    return backend_driver_of(conf)->open(out, loop, conf, share, e);
}

int backend_listen(struct listen **out, struct ev_loop *loop, const struct conf_backend *conf,
                   const struct listen_events *events, struct err *e)
{
    const struct backend_driver *driver = backend_driver_of(conf);
    *out = NULL;
    if (driver->listen)
        return driver->listen(out, loop, conf, events, e);
    return err_set(e, ERR_CONFIG, "backend '%s': its driver has no feed", conf->name);
}
