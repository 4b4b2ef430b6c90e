/* What a client sets: its times and tags, whose key it is, and by which configuration. */
#include "load/flight_world.h"

#include "serve/set.h"

#include <string.h>

#define LOADERS 2
#define HELD    1000 /* references: so many that no test ends a configuration */

struct scene {
    struct world *w;
    struct conf conf;
    struct conf_loader loaders[LOADERS];
    struct conf_backend backend;
    struct snapshot *snapshot;
    struct changes changes;
    struct rng rng;
};

/* "user:*", of a backend with a feed, and "team:*:int", whose star takes integers alone. */
static int scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct err e;
    s->w = world_new(100);
    atomic_init(&s->conf.refs, HELD);
    s->conf.loader_threads = 1;
    s->conf.max_key = 100;
    s->conf.defaults.ttl_ms = 50;
    s->backend = (struct conf_backend){.name = "main", .feed = "changes"};
    s->conf.backends = &s->backend;
    s->conf.backend_count = 1;
    s->conf.loaders = s->loaders;
    s->conf.loader_count = LOADERS;
    s->loaders[0] = (struct conf_loader){
        .pattern = "user:*", .backend = "main", .policy = {.ttl_ms = 1000, .stale_ttl_ms = 5000}};
    s->loaders[1] = (struct conf_loader){.pattern = "team:{id:int}", .policy = {.ttl_ms = 100}};
    if (snapshot_new(&s->snapshot, &s->conf, 1, NULL, &e) != 0)
        fail_msg("%s", e.text);
    s->changes =
        (struct changes){.store = s->w->store, .flights = s->w->flights, .marks = s->w->marks};
    *state = s;
    return 0;
}

static int scene_teardown(void **state)
{
    struct scene *s = *state;
    snapshot_unref(s->snapshot);
    world_free(s->w);
    free(s);
    return 0;
}

static struct setter setter_of(struct scene *s)
{
    return (struct setter){
        .changes = &s->changes, .snapshot = s->snapshot, .rng = &s->rng, .now_ms = s->w->now_ms};
}

static void set_for(struct scene *s, struct set *set, const char *key)
{
    struct setter by = setter_of(s);
    memset(set->slots, 0xff, sizeof set->slots);
    set_begin(set, &by, slice_str(key), store_hash(s->w->store, slice_str(key)));
    set->put.value = slice_of(value_a, 2);
}

static int stored(struct scene *s, struct set *set)
{
    struct setter by = setter_of(s);
    struct err e;
    int rc = set_check(set, &by, &e);
    return rc != 0 ? rc : set_store(set, &by, &e);
}

static void invalidate_tag(struct scene *s, const char *tag)
{
    struct err e;
    assert_int_equal(change_tag(&s->changes, slice_str(tag), false, CAUSE_INVALIDATE, &e), 0);
}

static void has_the_times_of_its_loader_or_its_clients_own(void **state)
{
    struct scene *s = *state;
    struct set set;
    set_for(s, &set, "user:1");
    assert_int_equal(stored(s, &set), 0);
    set_for(s, &set, "other"); /* of no loader */
    assert_int_equal(set.loader, ROUTE_NONE);
    assert_int_equal(stored(s, &set), 0);
    set_for(s, &set, "user:2");
    set.put.ttl_ms = 20;
    set.put.stale_ttl_ms = 0;
    assert_int_equal(stored(s, &set), 0);
    s->w->now_ms += 40;
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_FRESH);
    assert_int_equal(lookup(s->w, "other"), LOOKUP_FRESH);
    assert_int_equal(lookup(s->w, "user:2"), LOOKUP_MISS);
    s->w->now_ms += 40;
    assert_int_equal(lookup(s->w, "other"), LOOKUP_MISS);
    s->w->now_ms += 1000;
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_STALE);
}

static void is_not_fresh_while_its_feed_is_cut(void **state)
{
    struct scene *s = *state;
    struct set set;
    atomic_store(&s->snapshot->backends[0]->feed.cut, true);
    set_for(s, &set, "user:1");
    assert_int_equal(stored(s, &set), 0);
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_STALE);
    set_for(s, &set, "other");
    assert_int_equal(stored(s, &set), 0);
    assert_int_equal(lookup(s->w, "other"), LOOKUP_FRESH);
    atomic_store(&s->snapshot->backends[0]->feed.cut, false);
    set_for(s, &set, "user:1");
    assert_int_equal(stored(s, &set), 0);
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_FRESH);
}

static void a_key_that_types_do_not_fit_is_refused(void **state)
{
    struct scene *s = *state;
    struct setter by = setter_of(s);
    struct set set;
    struct err e;
    set_for(s, &set, "team:red");
    assert_int_equal(set_check(&set, &by, &e), ERR_BAD_KEY);
    assert_non_null(strstr(e.text, "team:red"));
    set_for(s, &set, "team:7");
    assert_int_equal(set_check(&set, &by, &e), 0);
}

static void what_nobody_tagged_is_found_by_every_tag_where_loads_give_some(void **state)
{
    struct scene *s = *state;
    struct setter by = setter_of(s);
    struct set set;
    set_for(s, &set, "user:before");
    assert_int_equal(stored(s, &set), 0);
    atomic_store(&s->snapshot->facts[0].gives_tags, true);
    set_for(s, &set, "user:untold");
    assert_int_equal(stored(s, &set), 0);
    set_for(s, &set, "user:none"); /* its client has said that it has no tag */
    set.has_tags = true;
    set_tags(&set, slice_of("\x90", 1));
    assert_int_equal(stored(s, &set), 0);
    set_for(s, &set, "user:red");
    set.has_tags = true;
    set_tags(&set, slice_of("\x91\xa3red", 5));
    set_tag(&set, &by, slice_str("red"));
    assert_int_equal(stored(s, &set), 0);
    invalidate_tag(s, "blue");
    assert_int_equal(lookup(s->w, "user:untold"), LOOKUP_MISS);
    assert_int_equal(lookup(s->w, "user:none"), LOOKUP_FRESH);
    assert_int_equal(lookup(s->w, "user:red"), LOOKUP_FRESH);
    assert_int_equal(lookup(s->w, "user:before"), LOOKUP_FRESH);
    invalidate_tag(s, "red");
    assert_int_equal(lookup(s->w, "user:red"), LOOKUP_MISS);
    assert_int_equal(lookup(s->w, "user:none"), LOOKUP_FRESH);
}

/* Its room was made in slices, and a reload came between: it has moved, too. */
static void what_waited_is_stored_by_the_configuration_of_then(void **state)
{
    struct scene *s = *state;
    struct setter by = setter_of(s);
    struct set set, moved;
    struct err e;
    set_for(s, &set, "user:1");
    assert_int_equal(set_check(&set, &by, &e), 0);
    atomic_store(&s->snapshot->facts[0].gives_tags, true);
    moved = set;
    memset(&set, 0xff, sizeof set);
    assert_int_equal(set_store_later(&moved, &by, &e), 0);
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_FRESH);
    invalidate_tag(s, "any");
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_MISS);

    set_for(s, &set, "team:7");
    assert_int_equal(set_check(&set, &by, &e), 0);
    set.put.key = slice_str("team:x"); /* as if the pattern had another type now */
    assert_int_equal(set_store_later(&set, &by, &e), ERR_BAD_KEY);
}

static void touch_gives_new_times_to_what_is_there(void **state)
{
    struct scene *s = *state;
    struct setter by = setter_of(s);
    struct set set;
    set_for(s, &set, "user:1");
    assert_false(set_touch(&set, &by));
    assert_int_equal(stored(s, &set), 0);
    s->w->now_ms += 900;
    set_for(s, &set, "user:1");
    by.now_ms = s->w->now_ms;
    assert_true(set_touch(&set, &by));
    s->w->now_ms += 900;
    assert_int_equal(lookup(s->w, "user:1"), LOOKUP_FRESH);
}

int main(void)
{
#define C(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        C(has_the_times_of_its_loader_or_its_clients_own),
        C(is_not_fresh_while_its_feed_is_cut),
        C(a_key_that_types_do_not_fit_is_refused),
        C(what_nobody_tagged_is_found_by_every_tag_where_loads_give_some),
        C(what_waited_is_stored_by_the_configuration_of_then),
        C(touch_gives_new_times_to_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
