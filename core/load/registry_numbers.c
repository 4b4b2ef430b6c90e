#include "load/registry_numbers.h"

void registry_numbers_init(struct registry_numbers *n)
{
    pthread_mutex_init(&n->lock, NULL);
    n->counts = (struct registry_counts){.state = REGISTRY_OK};
}

void registry_numbers_fini(struct registry_numbers *n)
{
    pthread_mutex_destroy(&n->lock);
}

void registry_numbers_set(struct registry_numbers *n, const struct registry_counts *counts)
{
    pthread_mutex_lock(&n->lock);
    n->counts = *counts;
    pthread_mutex_unlock(&n->lock);
}

void registry_numbers_read(struct registry_numbers *n, struct registry_counts *out)
{
    pthread_mutex_lock(&n->lock);
    *out = n->counts;
    pthread_mutex_unlock(&n->lock);
}

const char *registry_state_name(enum registry_state state)
{
    switch (state) {
    case REGISTRY_OK: return "ok";
    case REGISTRY_UNREAD: return "unread";
    case REGISTRY_KEPT: return "kept";
    case REGISTRY_DOWN: return "down";
    case REGISTRY_REFUSED: return "refused";
    }
    return "";
}
