#include "backend/postgres/pg_target.h"

#include "backend/postgres/pg_error.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYWORDS_ADDED         6 /* host, hostaddr, port, and those of init */
#define TCP_USER_TIMEOUT_LEAST 5000

static bool is_name(const char *host, size_t size)
{
    char text[256];
    unsigned char address[16];
    if (size == 0 || host[0] == '/' || host[0] == '@')
        return false;
    if (size >= sizeof text)
        return true;
    memcpy(text, host, size);
    text[size] = '\0';
    return inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1;
}

/* The i-th piece of a comma-separated list; the last one where there are fewer. */
static struct slice piece(const char *list, int i)
{
    const char *from = list ? list : "";
    for (; i > 0 && strchr(from, ','); i--)
        from = strchr(from, ',') + 1;
    return slice_of(from, strcspn(from, ","));
}

static int count_pieces(const char *list)
{
    int n = 1;
    while ((list = strchr(list, ',')) != NULL) {
        list++;
        n++;
    }
    return n;
}

static void add(struct pg_target *t, const char *keyword, const char *value)
{
    t->keywords[t->count] = keyword;
    t->values[t->count] = value;
    t->count++;
}

/* libpq quotes what it could not read, which may be the password. */
static int bad_url(char *text, struct err *e)
{
    char line[ERR_TEXT_MAX];
    static const char *const harmless[] = {"invalid connection option",
                                           "invalid URI query parameter"};
    pg_error_one_line(text, line, sizeof line);
    bool keep = false;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        keep = keep || strncmp(line, harmless[i], strlen(harmless[i])) == 0;
    if (!keep)
        line[strcspn(line, "\"")] = '\0';
    PQfreemem(text);
    return err_set(e, ERR_CONFIG, "the url cannot be read: %s", line[0] ? line : "no memory");
}

/* libpq says so at every connect; the configuration's check is the place to hear it. */
static int check_ports(const struct pg_target *t, struct err *e)
{
    int ports = t->port && t->port[0] ? count_pieces(t->port) : 0;
    int hosts = t->host ? count_pieces(t->host) : 1;
    for (int i = 0; i < ports; i++) {
        struct slice port = piece(t->port, i);
        long number = 0;
        bool digits = port.size <= 5;
        for (size_t k = 0; k < port.size && digits; k++) {
            digits = port.data[k] >= '0' && port.data[k] <= '9';
            number = number * 10 + (port.data[k] - '0');
        }
        if (port.size > 0 && (!digits || number < 1 || number > 65535))
            return err_set(e, ERR_CONFIG,
                           "the url cannot be read: the port \"%.*s\" is no number "
                           "from 1 to 65535",
                           (int)port.size, port.data);
    }
    if (ports > 1 && ports != hosts)
        return err_set(e, ERR_CONFIG, "the url cannot be read: it has %d ports for %d host%s",
                       ports, hosts, hosts == 1 ? "" : "s");
    return 0;
}

int pg_target_init(struct pg_target *t, const char *url, int64_t connect_timeout_ms, struct err *e)
{
    char *text = NULL;
    *t = (struct pg_target){.count = 0};
    t->options = PQconninfoParse(url ? url : "", &text);
    if (!t->options)
        return bad_url(text, e);
    size_t room = KEYWORDS_ADDED + 1;
    for (PQconninfoOption *o = t->options; o->keyword; o++)
        room++;
    t->keywords = calloc(room, sizeof *t->keywords);
    t->values = calloc(room, sizeof *t->values);
    if (!t->keywords || !t->values)
        return err_set(e, ERR_NOMEM, "no memory for the url");
    bool has_addresses = false, has_user_timeout = false;
    const char *host = NULL, *port = NULL;
    for (PQconninfoOption *o = t->options; o->keyword; o++) {
        if (!o->val)
            continue;
        has_addresses = has_addresses || strcmp(o->keyword, "hostaddr") == 0;
        has_user_timeout = has_user_timeout || strcmp(o->keyword, "tcp_user_timeout") == 0;
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        else if (strcmp(o->keyword, "port") == 0)
            port = o->val;
        else
            add(t, o->keyword, o->val);
    }
    if (!host && !has_addresses)
        host = getenv("PGHOST");
    t->host = host ? strdup(host) : NULL;
    t->port = port ? strdup(port) : NULL;
    if ((host && !t->host) || (port && !t->port))
        return err_set(e, ERR_NOMEM, "no memory for the url");
    int rc = has_addresses ? 0 : check_ports(t, e);
    if (rc != 0)
        return rc;
    for (int i = 0; !has_addresses && t->host && i < count_pieces(t->host); i++)
        t->has_names = t->has_names || is_name(piece(t->host, i).data, piece(t->host, i).size);
    add(t, "client_encoding", "UTF8"); /* the last one of a keyword counts */
    add(t, "fallback_application_name", "rtcache");
    if (!has_user_timeout) { /* finds a peer that vanished; bounds a cancel, too */
        snprintf(t->user_timeout, sizeof t->user_timeout, "%lld",
                 (long long)(connect_timeout_ms > TCP_USER_TIMEOUT_LEAST ? connect_timeout_ms
                                                                         : TCP_USER_TIMEOUT_LEAST));
        add(t, "tcp_user_timeout", t->user_timeout);
    }
    return 0;
}

void pg_target_fini(struct pg_target *t)
{
    free(t->keywords);
    free(t->values);
    free(t->host);
    free(t->port);
    if (t->options)
        PQconninfoFree(t->options);
    *t = (struct pg_target){.count = 0};
}

static int append_piece(struct buf *b, bool first, struct slice s)
{
    int rc = first ? 0 : buf_append(b, ",", 1);
    return rc == 0 ? buf_append(b, s.data, s.size) : rc;
}

static int append_host(struct pg_hosts *h, struct slice host, struct slice address,
                       struct slice port)
{
    if (h->count == PG_TARGET_HOSTS)
        return 0;
    bool first = h->count == 0;
    h->count++;
    int rc = append_piece(&h->host, first, host);
    if (rc == 0)
        rc = append_piece(&h->hostaddr, first, address);
    return rc == 0 ? append_piece(&h->port, first, port) : rc;
}

static int look_up(struct pg_hosts *h, struct slice host, struct slice port, struct err *e)
{
    char name[256];
    if (host.size >= sizeof name)
        return err_set(e, ERR_BACKEND_DOWN, "a host name of %zu characters", host.size);
    memcpy(name, host.data, host.size);
    name[host.size] = '\0';
    struct addrinfo want = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(name, NULL, &want, &found);
    if (rc != 0)
        return err_set(e, ERR_BACKEND_DOWN, "host name %s: %s", name, gai_strerror(rc));
    for (struct addrinfo *a = found; rc == 0 && a; a = a->ai_next) {
        char text[64];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            rc = append_host(h, host, slice_str(text), port);
    }
    freeaddrinfo(found);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory for addresses");
}

int pg_target_resolve(const struct pg_target *t, struct pg_hosts *h, struct err *e)
{
    struct err last;
    err_clear(&last);
    buf_init(&h->host, 0);
    buf_init(&h->hostaddr, 0);
    buf_init(&h->port, 0);
    h->count = 0;
    for (int i = 0; i < count_pieces(t->host); i++) {
        struct slice host = piece(t->host, i), port = piece(t->port, i);
        bool name = is_name(host.data, host.size);
        bool socket = !name && (host.size == 0 || host.data[0] == '/' || host.data[0] == '@');
        int rc = name ? look_up(h, host, port, &last)
                      : append_host(h, host, socket ? slice_of("", 0) : host, port);
        if (rc == ERR_NOMEM)
            return err_set(e, rc, "no memory for addresses");
    }
    if (h->count == 0)
        return err_set(e, ERR_BACKEND_DOWN, "%s", last.text);
    if (buf_append(&h->host, "", 1) != 0 || buf_append(&h->hostaddr, "", 1) != 0 ||
        buf_append(&h->port, "", 1) != 0)
        return err_set(e, ERR_NOMEM, "no memory for addresses");
    return 0;
}

void pg_target_hosts_fini(struct pg_hosts *h)
{
    buf_fini(&h->host);
    buf_fini(&h->hostaddr);
    buf_fini(&h->port);
}

PGconn *pg_target_connect(const struct pg_target *t, const struct pg_hosts *h)
{
    const char *keywords[64], *values[64];
    int n = 0;
    while (n < t->count && n < 60) {
        keywords[n] = t->keywords[n];
        values[n] = t->values[n];
        n++;
    }
    keywords[n] = "host";
    values[n++] = h ? h->host.data : t->host;
    keywords[n] = "port";
    values[n++] = h ? h->port.data : t->port;
    if (h) {
        keywords[n] = "hostaddr";
        values[n++] = h->hostaddr.data;
    }
    keywords[n] = NULL;
    values[n] = NULL;
    return PQconnectStartParams(keywords, values, 0);
}
