#include "serve/source_write.h"

#include "base/show.h"
#include "load/route.h"

#include <string.h>

int source_write_admit(const struct source_writer *by, struct source_wish *wish, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    int loader;
    const struct policy *policy = snapshot_policy(by->snapshot, wish->key, &loader);
    if (route_is_misfit(loader))
        return snapshot_refuse(by->snapshot, wish->key, loader, e);
    if (loader < 0)
        return err_set(e, ERR_NO_LOADER, "%s: no loader's pattern matches",
                       show_key(text, wish->key));
    if (by->waiting >= (uint64_t)by->snapshot->conf->max_parked) {
        metrics_inc(by->metrics, M_PARKED_REFUSED);
        return err_set(e, ERR_OVERLOADED, "%s: this connection has max_parked requests waiting",
                       show_key(text, wish->key));
    }
    /* Its turn may take a while to come; then the write has a time of its own. */
    if (wish->timeout_ms < 0)
        wish->timeout_ms = policy->wait_timeout_ms + policy->write_timeout_ms;
    return 0;
}

static struct slice copy_to(char *room, struct slice from)
{
    if (from.size > 0)
        memcpy(room, from.data, from.size);
    return slice_of(room, from.size);
}

void source_write_begin(struct source_write *s, const struct source_wish *wish, uint64_t hash,
                        char *room)
{
    s->wait_ms = wish->timeout_ms;
    s->write.what = wish->what;
    s->write.hash = hash;
    s->write.key = copy_to(room, wish->key);
    s->write.value = copy_to(room + wish->key.size, wish->value);
    s->write.has_seen = wish->has_seen;
    s->write.seen = wish->seen;
}

void source_write_time(struct source_write *s, struct metrics *metrics)
{
    metrics_inc(metrics, M_TIMEOUTS);
    s->state = SOURCE_WRITE_ASKED;
}

int source_write_heard(struct source_write *s, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    if (s->state == SOURCE_WRITE_ENDED) {
        s->state = SOURCE_WRITE_OVER;
        return 0;
    }
    s->state = SOURCE_WRITE_LATE;
    return err_set(e, ERR_WRITE_UNKNOWN, "%s: no word of the write within %lld ms; it goes on",
                   show_key(text, s->write.key), (long long)s->wait_ms);
}

void source_write_ended(struct source_write *s)
{
    s->state = s->state == SOURCE_WRITE_ASKED ? SOURCE_WRITE_ENDED : SOURCE_WRITE_OVER;
}

const char *source_write_left(const struct source_write *s)
{
    static const char *const left[] = {
        [LEFT_UNTAGGED] = "save said nothing of tags, and loads give some",
        [LEFT_TOO_LARGE] = "the entry is too large for the memory",
    };
    return left[s->write.left];
}
