#include "base/address.h"

#include <stdlib.h>
#include <string.h>

#define UNIX_PREFIX "unix:"
#define TLS_PREFIX  "tls:"

static int read_unix(struct address *a, const char *text, struct err *e)
{
    const char *path = text + strlen(UNIX_PREFIX);
    a->is_unix = true;
    if (path[0] != '/')
        return err_set(e, ERR_CONFIG, "address \"%s\": unix: takes an absolute path", text);
    if (strlen(path) > ADDRESS_PATH_MAX)
        return err_set(e, ERR_CONFIG, "address \"%.140s\": the path is longer than %d bytes", text,
                       ADDRESS_PATH_MAX);
    memcpy(a->path, path, strlen(path) + 1);
    return 0;
}

static bool is_port(const char *s)
{
    size_t digits = strspn(s, "0123456789");
    return digits > 0 && digits <= 5 && s[digits] == '\0' && strtol(s, NULL, 10) <= 65535;
}

/* at: text without "tls:". */
static int read_tcp(struct address *a, const char *text, const char *at, struct err *e)
{
    const char *colon = strrchr(at, ':');
    if (!colon)
        return err_set(e, ERR_CONFIG,
                       "address \"%s\": \"host:port\", \":port\", \"tls:host:port\" or "
                       "\"unix:/path\" is expected",
                       text);
    const char *from = at, *to = colon;
    if (at[0] == '[') {
        if (colon < at + 2 || colon[-1] != ']')
            return err_set(e, ERR_CONFIG, "address \"%s\": \"[IPv6 address]:port\" is expected",
                           text);
        from = at + 1;
        to = colon - 1;
    } else if (memchr(at, ':', (size_t)(colon - at))) {
        return err_set(e, ERR_CONFIG,
                       "address \"%s\": an IPv6 address stands in brackets, \"[::1]:7411\"", text);
    }
    if (!is_port(colon + 1))
        return err_set(e, ERR_CONFIG, "address \"%s\": the port is a number from 0 to 65535", text);
    if (from == to) {
        if (at[0] == '[')
            return err_set(e, ERR_CONFIG, "address \"%s\": the brackets are empty", text);
        from = "127.0.0.1";
        to = from + strlen(from);
    }
    for (const char *c = from; c < to; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return err_set(e, ERR_CONFIG, "address \"%s\": a blank in the host", text);
    memcpy(a->host, from, (size_t)(to - from)); /* the zeros behind it are there already */
    memcpy(a->port, colon + 1, strlen(colon + 1));
    return 0;
}

int address_read(struct address *a, const char *text, struct err *e)
{
    memset(a, 0, sizeof *a);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return read_unix(a, text, e);
    if (strlen(text) >= ADDRESS_TEXT_MAX)
        return err_set(e, ERR_CONFIG, "address \"%.40s...\": longer than %d bytes", text,
                       ADDRESS_TEXT_MAX - 1);
    a->tls = strncmp(text, TLS_PREFIX, strlen(TLS_PREFIX)) == 0;
    return read_tcp(a, text, a->tls ? text + strlen(TLS_PREFIX) : text, e);
}
