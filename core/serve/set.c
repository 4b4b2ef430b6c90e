#include "serve/set.h"

#include "load/jitter.h"

static void find_loader(struct set *s, const struct setter *by)
{
    s->policy = snapshot_policy(by->snapshot, s->put.key, &s->loader);
}

void set_begin(struct set *s, const struct setter *by, struct slice key, uint64_t hash)
{
    s->put = (struct put){
        .key = key, .hash = hash, .tags = s->slots, .since = marks_now(by->changes->marks)};
    s->has_tags = false;
    find_loader(s, by);
    s->put.ttl_ms = s->policy->ttl_ms;
    s->put.stale_ttl_ms = s->policy->stale_ttl_ms;
    s->put.keep_ms = s->policy->stale_if_error_ms;
}

void set_tags(struct set *s, struct slice packed)
{
    s->put.tag_texts = packed;
}

void set_tag(struct set *s, const struct setter *by, struct slice tag)
{
    s->slots[s->put.tag_count++] = marks_slot(by->changes->marks, tag);
}

int set_check(struct set *s, const struct setter *by, struct err *e)
{
    if (route_is_misfit(s->loader)) {
        int rc = snapshot_refuse(by->snapshot, s->put.key, s->loader, e);
        if (rc != 0)
            return rc;
    }
    /* Its client has not said which tags this value has: every one is taken for one of them. */
    if (!s->has_tags && s->put.tag_count == 0 && snapshot_gives_tags(by->snapshot, s->loader)) {
        s->slots[0] = marks_any_tag(by->changes->marks);
        s->put.tag_count = 1;
    }
    return 0;
}

/* Spreads them; what a client brings is as little fresh as a load while the key's feed is cut. */
static void settle_times(struct set *s, const struct setter *by)
{
    struct put *p = &s->put;
    p->ttl_ms = jitter_ms(p->ttl_ms, s->policy->jitter, by->rng);
    p->stale_ttl_ms = jitter_ms(p->stale_ttl_ms, s->policy->jitter, by->rng);
    if (snapshot_is_cut(by->snapshot, s->loader))
        p->ttl_ms = TTL_OVER;
    p->refresh = snapshot_refresh(by->snapshot, s->loader, p->ttl_ms, 0, 0, by->rng);
}

int set_store(struct set *s, const struct setter *by, struct err *e)
{
    settle_times(s, by);
    return change_set(by->changes, &s->put, by->now_ms, e);
}

int set_store_later(struct set *s, const struct setter *by, struct err *e)
{
    s->put.tags = s->slots;
    find_loader(s, by);
    int rc = set_check(s, by, e);
    return rc != 0 ? rc : set_store(s, by, e);
}

bool set_touch(struct set *s, const struct setter *by)
{
    settle_times(s, by);
    return store_touch(by->changes->store, &s->put, by->now_ms);
}
