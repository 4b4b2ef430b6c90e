#include "backend/backend.h"

#include "backend/postgres/postgres.h"
#include "backend/sqlite/sqlite.h"

static const struct backend_driver *const drivers[] = {
    [DRIVER_POSTGRES] = &postgres_driver,
    [DRIVER_SQLITE] = &sqlite_driver,
};

#define DRIVER_COUNT (sizeof drivers / sizeof *drivers)

/* NULL, with the reason in e. */
static const struct backend_driver *driver_of(const struct conf_backend *conf, struct err *e)
{
    if ((size_t)conf->driver < DRIVER_COUNT)
        return drivers[conf->driver];
    err_set(e, ERR_CONFIG, "backend '%s': there is no driver %d", conf->name, (int)conf->driver);
    return NULL;
}

int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e)
{
    const struct backend_driver *driver = driver_of(conf, e);
    *out = NULL;
    return driver ? driver->open(out, loop, conf, share, e) : ERR_CONFIG;
}

int backend_listen(struct listen **out, struct ev_loop *loop, const struct conf_backend *conf,
                   const struct listen_events *events, struct err *e)
{
    const struct backend_driver *driver = driver_of(conf, e);
    *out = NULL;
    if (driver && driver->listen)
        return driver->listen(out, loop, conf, events, e);
    return driver ? err_set(e, ERR_CONFIG, "backend '%s': its driver has no feed", conf->name)
                  : ERR_CONFIG;
}
