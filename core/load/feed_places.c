#include "load/feed_places.h"

#include <stdlib.h>

struct place {
    struct list link;
    char *name; /* owned */
    struct buf text;
};

void feed_places_init(struct feed_places *p)
{
    pthread_mutex_init(&p->lock, NULL);
    list_init(&p->all);
}

static void place_free(struct place *one)
{
    list_remove(&one->link);
    buf_fini(&one->text);
    free(one->name);
    free(one);
}

void feed_places_fini(struct feed_places *p)
{
    while (!list_empty(&p->all))
        place_free(container_of(p->all.next, struct place, link));
    pthread_mutex_destroy(&p->lock);
}

static struct place *find(struct feed_places *p, const char *name)
{
    list_for_each (link, &p->all) {
        struct place *one = container_of(link, struct place, link);
        if (strcmp(one->name, name) == 0)
            return one;
    }
    return NULL;
}

static struct place *make(struct feed_places *p, const char *name)
{
    struct place *one = calloc(1, sizeof *one);
    char *copy = strdup(name);
    if (!one || !copy) {
        free(one);
        free(copy);
        return NULL;
    }
    one->name = copy;
    buf_init(&one->text, FEED_PLACE_MAX);
    list_push_back(&p->all, &one->link);
    return one;
}

int feed_places_set(struct feed_places *p, const char *name, struct slice text)
{
    pthread_mutex_lock(&p->lock);
    struct place *one = find(p, name);
    if (!one)
        one = make(p, name);
    int rc = ERR_NOMEM;
    if (one) {
        buf_clear(&one->text);
        rc = buf_append(&one->text, text.data, text.size);
    }
    if (rc != 0 && one)
        place_free(one);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

void feed_places_clear(struct feed_places *p, const char *name)
{
    pthread_mutex_lock(&p->lock);
    struct place *one = find(p, name);
    if (one)
        place_free(one);
    pthread_mutex_unlock(&p->lock);
}

bool feed_places_get(struct feed_places *p, const char *name, struct buf *out)
{
    pthread_mutex_lock(&p->lock);
    const struct place *one = find(p, name);
    bool ok = one && buf_append(out, one->text.data, one->text.size) == 0;
    pthread_mutex_unlock(&p->lock);
    return ok;
}
