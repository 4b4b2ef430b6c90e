#include "net/auth_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The first byte is the family's, so that no two are alike by chance. */
static void keep(struct auth_peer *p, char family, const void *bytes, size_t address,
                 size_t network)
{
    p->bytes[0] = family;
    memcpy(p->bytes + 1, bytes, address);
    p->address_size = (unsigned char)(1 + address);
    p->network_size = (unsigned char)(1 + network);
}

void auth_peer_of(struct auth_peer *p, const struct sockaddr_storage *sa, int64_t uid)
{
    char host[INET6_ADDRSTRLEN] = "";
    *p = (struct auth_peer){.address_size = 0};
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;
        keep(p, '4', &in->sin_addr, 4, 3);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(p->text, sizeof p->text, "%s:%u", host, ntohs(in->sin_port));
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)sa;
        keep(p, '6', &in->sin6_addr, 8, 6);
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        snprintf(p->text, sizeof p->text, "[%s]:%u", host, ntohs(in->sin6_port));
    } else {
        keep(p, 'u', &uid, sizeof uid, sizeof uid);
        snprintf(p->text, sizeof p->text, "unix:uid=%lld", (long long)uid);
    }
}
