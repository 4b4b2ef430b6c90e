/* The feed of the primary, in place of load/feeds.h: its database keeps a log of what has become
 * visible, and a server that begins goes on where the one before was, unless the log was purged. */
#include "lives.h"

#include "state/journal.h"

#include <stdlib.h>

struct feeds {
    feeds_caught_up *caught_up;
    void *arg;
};

static struct feeds the_feeds;

bool feed_has(const struct sim *s, int key)
{
    return s->k.fed && s->rows[key].kind != SOURCE_LONE;
}

/* What is visible from now on is in force here, and told. */
static void take(struct sim *s, const struct told *t)
{
    bool dropped;
    int64_t version = t->version;
    bool gone = s->rows[t->key].states[version].absent, versioned = s->rows[t->key].versioned;
    const struct invalidation i = {
        .key = sim_key(s, t->key),
        .hash = s->hashes[t->key],
        .now_ms = s->now_ms,
        .version = versioned ? &version : NULL,
        .floor_ttl_ms = s->k.floor_ttl_ms,
        .gone = gone,
    };
    bool deaf = s->plant == PLANT_UNHEARD && s->lives->opening;
    if (!deaf && change_invalidate(&s->changes, &i, CAUSE_FEED, &dropped, NULL) != 0)
        abort();
    sim_note_dropped(s);
    sim_note(s, (struct event){
                    .kind = DID_INVALIDATE,
                    .key = t->key,
                    .version = versioned ? version : 0,
                    .flags = (versioned ? F_HAS_VERSION : 0) | (gone ? F_GONE : 0),
                });
}

static void go_on(struct sim *s, void *arg, uint32_t stamp)
{
    struct lives *l = s->lives;
    (void)arg, (void)stamp;
    while (l->fed < l->log_count)
        take(s, &l->log[l->fed++]);
}

void feed_log(struct sim *s, int key, int version)
{
    struct lives *l = s->lives;
    if (!feed_has(s, key) || l->log_count == LIVES_LOG)
        return;
    l->log[l->log_count++] = (struct told){key, version};
    if (l->open)
        task_in(s, s->healing ? 0 : sim_up_to(s, 10), go_on, NULL, 0);
}

void feeds_tell(struct feeds *fs, feeds_caught_up *caught_up, void *arg)
{
    (void)fs;
    the_feeds = (struct feeds){caught_up, arg};
}

int feeds_resume(struct feeds *fs, const char *name, struct slice text, struct err *e)
{
    char digits[16] = "";
    (void)fs, (void)name, (void)e;
    memcpy(digits, text.data, text.size < sizeof digits - 1 ? text.size : sizeof digits - 1);
    the_sim->lives->resumes_at = atoi(digits);
    return 0;
}

static void catch_up(struct sim *s, void *arg, uint32_t stamp)
{
    struct lives *l = s->lives;
    (void)arg, (void)stamp;
    l->resumed = l->resumes_at >= 0 && l->resumes_at >= l->purged;
    l->fed = l->resumed ? l->resumes_at : l->log_count;
    go_on(s, NULL, 0);
    the_feeds.caught_up(the_feeds.arg, s->backends[0].name, l->resumed);
}

int feeds_start(struct feeds *fs, struct err *e)
{
    (void)fs, (void)e;
    if (the_sim->k.fed)
        task_in(the_sim, sim_up_to(the_sim, 5), catch_up, NULL, 0);
    return 0;
}

bool feeds_position(struct feeds *fs, const char *name, struct buf *out)
{
    char text[16];
    (void)fs, (void)name;
    int n = snprintf(text, sizeof text, "%d", the_sim->lives->fed);
    return buf_append(out, text, (size_t)n) == 0;
}
