/* A request: whether it is one, whether its Host is ours, who asks, and the answer. */
#include "admin/pages.h"

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "net/auth.h"
#include "serve/rights.h"
#include "serve/session.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A password that the main thread looks at. */
struct asking {
    struct auth_request request;
    struct list link; /* admin.asking; alone once nobody waits */
    struct asked *by; /* NULL: its client, or the thread, is gone */
};

enum asked_step {
    ASKED_NEW,
    ASKED_WAITS,  /* for the main thread: the connection is suspended */
    ASKED_KNOWN,  /* its user may ask */
    ASKED_DENIED, /* why stands in err */
    ASKED_WRONG   /* why stands in refusal */
};

/* An answer of one line. */
struct refusal {
    unsigned code;
    const char *name, *value; /* a header; or NULL */
    const char *why;
};

/* A request, from its head to its end. */
struct asked {
    struct MHD_Connection *c;
    struct visit *visit;
    const struct page_row *page;
    enum asked_step step;
    struct asking *asking; /* where it waits */
    struct err err;
    struct refusal refusal;
};

/* ---- answers ---- */

static enum MHD_Result answer(struct asked *q, unsigned code, const char *type, struct buf *body,
                              const char *name, const char *value)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        buf_fini(body);
        return MHD_NO;
    }
    body->data = NULL; /* the library's */
    enum MHD_Result rc = MHD_add_response_header(r, "Content-Type", type);
    rc &= MHD_add_response_header(r, "Cache-Control", "no-store");
    rc &= MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (name)
        rc &= MHD_add_response_header(r, name, value);
    if (rc == MHD_YES)
        rc = MHD_queue_response(q->c, code, r);
    MHD_destroy_response(r);
    return rc;
}

/* One line, for people. */
static enum MHD_Result refuse(struct asked *q, unsigned code, const char *name, const char *value,
                              const char *why)
{
    struct buf body;
    buf_init(&body, 0);
    metrics_inc(metrics_mine(), M_ADMIN_REFUSED);
    if (buf_printf(&body, "%s\n", why) != 0)
        return MHD_NO;
    return answer(q, code, "text/plain; charset=utf-8", &body, name, value);
}

static enum MHD_Result refuse_user(struct asked *q)
{
    switch (q->err.code) {
    case ERR_UNAUTHENTICATED:
    case ERR_AUTH_FAILED:
        return refuse(q, MHD_HTTP_UNAUTHORIZED, "WWW-Authenticate",
                      "Basic realm=\"rtcache\", charset=\"UTF-8\"", q->err.text);
    case ERR_DENIED: return refuse(q, MHD_HTTP_FORBIDDEN, NULL, NULL, q->err.text);
    default: return refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "1", q->err.text);
    }
}

static enum MHD_Result send_page(struct admin *a, struct asked *q)
{
    const char *accept = MHD_lookup_connection_value(q->c, MHD_HEADER_KIND, "Accept");
    struct page p = {.code = MHD_HTTP_OK};
    if (!q->page->open && (a->state == ADMIN_STARTING || !a->snapshot))
        return refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "1",
                      "the server is starting");
    buf_init(&p.body, PAGE_MAX);
    if (q->page->make(a, accept ? accept : "", &p) != 0) {
        buf_fini(&p.body);
        return refuse(q, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, NULL, "no memory for the page");
    }
    return answer(q, p.code, p.type, &p.body, NULL, NULL);
}

/* ---- who asks ---- */

static struct slice path_of(const struct asked *q)
{
    return slice_str(q->page->path);
}

/* The user may be another one by now, or gone. */
static void settle(struct admin *a, struct asked *q, const struct auth_request *r)
{
    const struct conf_user *u = NULL;
    q->err = r->err;
    if (r->rc == 0)
        u = session_user(a->snapshot->conf, slice_of(r->name, r->name_size), r->hash, &q->err);
    q->visit->failures += q->err.code == ERR_AUTH_FAILED;
    if (u && rights_group(u, RIGHT_ADMIN, path_of(q), &q->err) != 0)
        u = NULL;
    q->step = u ? ASKED_KNOWN : ASKED_DENIED;
    if (!u)
        log_warn("admin.refused", "address=%s error=%s", log_q(r->peer.text), log_q(q->err.text));
}

static void asking_free(struct asking *k)
{
    list_remove(&k->link);
    sodium_memzero(k, sizeof *k);
    free(k);
}

static void recv_answered(struct message *m, void *owner)
{
    struct admin *a = owner;
    struct asking *k = container_of(m, struct asking, request.message);
    struct asked *q = k->by;
    if (q) {
        settle(a, q, &k->request);
        q->asking = NULL;
        MHD_resume_connection(q->c);
    }
    asking_free(k);
    admin_turn(a);
}

static void read_peer(const struct visit *v, struct auth_peer *peer)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof sa;
    (void)getpeername(v->fd, (struct sockaddr *)&sa, &size);
    auth_peer_of(peer, &sa, auth_peer_uid(v->fd));
}

/* Hands name and password to the main thread, whose verifier gives everybody a fair turn. */
static void ask(struct admin *a, struct asked *q, const char *name, const char *password)
{
    size_t name_size = strlen(name), size = password ? strlen(password) : 0;
    struct asking *k = NULL;
    q->step = ASKED_DENIED;
    if (name_size == 0 || name_size > CONF_NAME_MAX || size == 0 || size > AUTH_PASSWORD_MAX)
        err_set(&q->err, ERR_AUTH_FAILED, "a name has 1 to %d bytes, a password 1 to %d",
                CONF_NAME_MAX, AUTH_PASSWORD_MAX);
    else if (!(k = calloc(1, sizeof *k)))
        err_set(&q->err, ERR_NOMEM, "no memory");
    if (!k)
        return;
    struct auth_request *r = &k->request;
    list_init(&r->link);
    read_peer(q->visit, &r->peer);
    r->failures = q->visit->failures;
    memcpy(r->name, name, name_size);
    r->name_size = name_size;
    memcpy(r->password, password, size);
    r->password_size = size;
    r->answer_to = &a->worker.mailbox;
    r->answered = recv_answered;
    r->message.recv = a->options.recv_auth;
    k->by = q;
    q->asking = k;
    q->step = ASKED_WAITS;
    list_push_back(&a->asking, &k->link);
    MHD_suspend_connection(q->c);
    mailbox_send(a->options.control, &r->message);
}

static void ask_password(struct admin *a, struct asked *q)
{
    char *password = NULL;
    char *name = MHD_basic_auth_get_username_password(q->c, &password);
    if (name) {
        ask(a, q, name, password);
    } else {
        q->step = ASKED_DENIED;
        err_set(&q->err, ERR_UNAUTHENTICATED,
                "name and password of a user with the right \"admin\" are wanted");
    }
    if (password)
        sodium_memzero(password, strlen(password));
    MHD_free(password);
    MHD_free(name);
}

/* Over a Unix socket the uid tells who it is. */
static void find_user(struct admin *a, struct asked *q)
{
    const struct conf *conf = a->snapshot ? a->snapshot->conf : NULL;
    const struct conf_user *u;
    if (q->page->open || !conf || conf->user_count == 0) {
        q->step = ASKED_KNOWN;
        return;
    }
    u = a->options.is_unix ? conf_user_of_uid(conf, auth_peer_uid(q->visit->fd)) : NULL;
    if (!u) {
        ask_password(a, q);
        return;
    }
    q->step = rights_group(u, RIGHT_ADMIN, path_of(q), &q->err) == 0 ? ASKED_KNOWN : ASKED_DENIED;
}

/* ---- the head ---- */

struct head {
    unsigned hosts, bodies;
    const char *host;
};

static enum MHD_Result look_at(void *arg, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    struct head *h = arg;
    (void)kind;
    if (strcasecmp(name, "Host") == 0) {
        h->hosts++;
        h->host = value ? value : "";
    }
    if (strcasecmp(name, "Transfer-Encoding") == 0 ||
        (strcasecmp(name, "Content-Length") == 0 && value && strcmp(value, "0") != 0))
        h->bodies++;
    return MHD_YES;
}

static bool is_ours(const struct admin *a, const struct head *h)
{
    static const struct conf_words none = {.list = NULL, .count = 0};
    return a->options.is_unix ||
           host_is_ours(h->host, a->machine, a->host,
                        a->snapshot ? &a->snapshot->conf->admin_hosts : &none);
}

/* It is answered once its head is taken whole, so that the next request may follow. */
static enum MHD_Result be_wrong(struct asked *q, struct refusal refusal)
{
    q->step = ASKED_WRONG;
    q->refusal = refusal;
    return MHD_YES;
}

static enum MHD_Result refuse_method(struct asked *q, const struct head *h)
{
    const struct refusal r = {MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "GET, HEAD",
                              "GET and HEAD are what may be asked here"};
    return h->bodies == 0 ? be_wrong(q, r) : refuse(q, r.code, r.name, r.value, r.why);
}

/* MHD_NO: the connection is closed without an answer. */
static enum MHD_Result take_head(struct admin *a, struct asked *q, const char *path,
                                 const char *method)
{
    struct head h = {.hosts = 0};
    MHD_get_connection_values(q->c, MHD_HEADER_KIND, look_at, &h);
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool may_end = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0; /* without its body */
    if (h.bodies > 0 && !may_end)
        return MHD_NO;
    if (!is_read)
        return refuse_method(q, &h);
    if (h.hosts != 1)
        return be_wrong(q, (struct refusal){MHD_HTTP_BAD_REQUEST, "Connection", "close",
                                            "a request has one header Host"});
    if (!is_ours(a, &h))
        return be_wrong(q, (struct refusal){MHD_HTTP_MISDIRECTED_REQUEST, NULL, NULL,
                                            "Host is no name of this server; admin_hosts in "
                                            "rtcache.conf names more"});
    q->page = page_find(path);
    if (!q->page)
        return be_wrong(q, (struct refusal){MHD_HTTP_NOT_FOUND, NULL, NULL,
                                            "not found; there are /metrics, /healthz, /readyz and "
                                            "/api/stats"});
    find_user(a, q);
    return MHD_YES;
}

static struct asked *asked_new(struct MHD_Connection *c, void **of)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct asked *q = info && info->socket_context ? calloc(1, sizeof *q) : NULL;
    *of = q;
    if (q) {
        q->c = c;
        q->visit = info->socket_context;
    }
    return q;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the library's type */
enum MHD_Result request_take(void *admin, struct MHD_Connection *c, const char *path,
                             const char *method, const char *version, const char *data,
                             size_t *size, void **of)
{
    struct admin *a = admin;
    struct asked *q = *of;
    (void)version, (void)data;
    if (*size > 0)
        return MHD_NO; /* a body that its head did not tell of */
    if (!q) {
        q = asked_new(c, of);
        if (!q)
            return MHD_NO;
        metrics_inc(metrics_mine(), M_ADMIN_REQUESTS);
        visit_become(a, q->visit, VISIT_ANSWER);
        return take_head(a, q, path, method);
    }
    switch (q->step) {
    case ASKED_KNOWN: return send_page(a, q);
    case ASKED_DENIED: return refuse_user(q);
    case ASKED_WRONG:
        return refuse(q, q->refusal.code, q->refusal.name, q->refusal.value, q->refusal.why);
    case ASKED_NEW:
    case ASKED_WAITS: break;
    }
    return MHD_YES;
}

void request_over(void *admin, struct MHD_Connection *c, void **of,
                  enum MHD_RequestTerminationCode why)
{
    struct admin *a = admin;
    struct asked *q = *of;
    (void)c, (void)why;
    *of = NULL;
    if (!q)
        return;
    if (q->asking)
        q->asking->by = NULL;
    visit_become(a, q->visit, VISIT_IDLE);
    free(q);
}

void request_stop(struct admin *a)
{
    struct list *link;
    while ((link = list_pop_front(&a->asking))) {
        struct asking *k = container_of(link, struct asking, link);
        struct asked *q = k->by;
        k->by = NULL;
        list_init(&k->link);
        if (!q)
            continue;
        q->asking = NULL;
        q->step = ASKED_DENIED;
        err_set(&q->err, ERR_SHUTDOWN, "the server is going down");
        MHD_resume_connection(q->c);
    }
}
