/* Apart from run.c, which calls those that say where a run is. */
#include "bind/runtime_priv.h"

#include <stdio.h>

void run_position(const struct run *r, char *out, size_t size)
{
    const struct script *s = &r->rt->scripts[r->script];
    snprintf(out, size, "%s:%d", s->file, s->line[r->what]);
}
