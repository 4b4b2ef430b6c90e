#include "protocol.h"

#include <string.h>

static const struct protocol *const protocols[] = {
    &protocol_rtcache,
    &protocol_redis,
    &protocol_memcached,
    &protocol_tarantool,
};

const struct protocol *protocol_find(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (!strcmp(protocols[i]->name, name))
            return protocols[i];
    }
    return NULL;
}
