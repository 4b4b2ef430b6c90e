#include "admin/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool is_port(const char *text)
{
    size_t size = strlen(text);
    return size >= 1 && size <= 5 && strspn(text, "0123456789") == size;
}

/* The host without brackets and port; false: it is none. */
static bool split(const char *text, char host[HOST_MAX + 1], bool *bracketed)
{
    const char *from = text, *end;
    *bracketed = text[0] == '[';
    if (*bracketed) {
        from = text + 1;
        end = strchr(from, ']');
        if (!end || (end[1] != '\0' && (end[1] != ':' || !is_port(end + 2))))
            return false;
    } else {
        end = from + strcspn(from, ":");
        if (*end == ':' && !is_port(end + 1))
            return false;
    }
    size_t size = (size_t)(end - from);
    if (size == 0 || size > HOST_MAX)
        return false;
    memcpy(host, from, size);
    host[size] = '\0';
    return true;
}

static bool is_one_of(const char *host, const struct conf_words *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcasecmp(host, names->list[i]) == 0)
            return true;
    return false;
}

bool host_is_ours(const char *text, const char *machine, const char *listen,
                  const struct conf_words *names)
{
    char host[HOST_MAX + 1];
    struct in6_addr room;
    bool bracketed;
    if (!split(text, host, &bracketed))
        return false;
    if (bracketed)
        return inet_pton(AF_INET6, host, &room) == 1;
    return inet_pton(AF_INET, host, &room) == 1 || strcasecmp(host, "localhost") == 0 ||
           (machine[0] && strcasecmp(host, machine) == 0) ||
           (listen[0] && strcasecmp(host, listen) == 0) || is_one_of(host, names);
}
