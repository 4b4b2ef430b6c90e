/* What a configuration has, by its name. */
#include "conf/conf.h"

#include <string.h>

int conf_backend_index(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->backend_count; i++)
        if (strcmp(c->backends[i].name, name) == 0)
            return (int)i;
    return -1;
}
