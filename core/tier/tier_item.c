#include "tier/tier_item.h"

#include "wire/mp.h"

#include <stdlib.h>

bool tier_item_can_have(struct slice key)
{
    return key.size > 0 && key.size <= TIER_KEY_MAX && !memchr(key.data, '\0', key.size) &&
           mp_utf8_valid(key);
}

static struct slice put(char **to, struct slice s)
{
    struct slice copy = slice_of(*to, s.size);
    if (s.size > 0)
        memcpy(*to, s.data, s.size);
    *to += s.size;
    return copy;
}

struct tier_item *tier_item_new(const struct tier_value *v)
{
    size_t size = sizeof(struct tier_item) + v->key.size + v->packed.size + v->tags.size;
    struct tier_item *i = malloc(size);
    if (!i)
        return NULL;
    *i = (struct tier_item){.size = size, .v = *v};
    char *to = i->data;
    i->v.key = put(&to, v->key);
    i->v.packed = put(&to, v->packed);
    i->v.tags = put(&to, v->tags);
    list_init(&i->link);
    list_init(&i->chain);
    return i;
}

void tier_item_free(struct tier_item *i)
{
    free(i);
}
