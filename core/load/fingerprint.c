#include "load/fingerprint.h"

#include "base/hash.h"
#include "conf/conf_driver.h"

#define FORMAT                                                                                     \
    "1" /* the next one where a newer rtcache packs the values of a loader in another way */

/* Each with its end, so that two neighbours never read as two others. NULL: none. */
static int add_text(struct buf *b, const char *text)
{
    return text ? buf_append(b, text, strlen(text) + 1) : buf_append(b, "\1", 2);
}

static int add_source(struct buf *b, const struct conf *conf, int backend)
{
    if (backend < 0)
        return add_text(b, NULL);
    const struct conf_backend *c = &conf->backends[backend];
    int rc = add_text(b, c->driver->name);
    if (rc == 0)
        rc = c->driver->name_source ? c->driver->name_source(c, b) : add_text(b, c->name);
    return rc != 0 ? rc : add_text(b, "");
}

static int done(struct buf *b, int rc, uint64_t *out, struct err *e)
{
    if (rc == 0)
        *out = hash_bytes(b->data, b->size, 0);
    buf_fini(b);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory for a fingerprint");
}

int fingerprint_of(const struct snapshot *s, size_t loader, uint64_t *out, struct err *e)
{
    const struct conf_loader *l = &s->conf->loaders[loader];
    uint64_t script = loader_facts_print(&s->facts[loader]);
    int backend = l->backend ? conf_backend_index(s->conf, l->backend) : -1;
    const char *primary = backend >= 0 ? s->conf->backends[backend].primary : NULL;
    struct buf b;
    buf_init(&b, 0);
    int rc = add_text(&b, FORMAT);
    if (rc == 0)
        rc = buf_append(&b, &script, sizeof script);
    if (rc == 0)
        rc = add_text(&b, l->sql);
    if (rc == 0)
        rc = add_text(&b, l->version);
    if (rc == 0)
        rc = add_source(&b, s->conf, backend);
    if (rc == 0)
        rc = add_source(&b, s->conf, primary ? conf_backend_index(s->conf, primary) : -1);
    return done(&b, rc, out, e);
}

int fingerprint_of_source(const struct conf *conf, size_t backend, uint64_t *out, struct err *e)
{
    struct buf b;
    buf_init(&b, 0);
    return done(&b, add_source(&b, conf, (int)backend), out, e);
}
