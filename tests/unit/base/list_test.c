#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"
#include "base/rng.h"

#include <string.h>

#define ITEMS 40
#define LISTS 3

/* Numbered items in lists, and the same in arrays. */
struct item {
    unsigned number;
    struct list link;
};

struct model {
    unsigned at[ITEMS];
    size_t count;
};

struct world {
    struct item items[ITEMS];
    int in[ITEMS]; /* the list that an item is in, or -1 */
    struct list heads[LISTS];
    struct model models[LISTS];
};

static void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    for (unsigned i = 0; i < ITEMS; i++) {
        w->items[i].number = i;
        w->in[i] = -1;
        list_init(&w->items[i].link);
    }
    for (unsigned l = 0; l < LISTS; l++)
        list_init(&w->heads[l]);
}

static unsigned number_of(const struct list *link)
{
    return container_of(link, const struct item, link)->number;
}

static void model_insert(struct model *m, size_t place, unsigned number)
{
    memmove(m->at + place + 1, m->at + place, (m->count - place) * sizeof *m->at);
    m->at[place] = number;
    m->count++;
}

static size_t model_find(const struct model *m, unsigned number)
{
    size_t place = 0;
    while (m->at[place] != number)
        place++;
    return place;
}

static void model_remove(struct model *m, unsigned number)
{
    size_t place = model_find(m, number);
    m->count--;
    memmove(m->at + place, m->at + place + 1, (m->count - place) * sizeof *m->at);
}

/* Both ways round. */
static void is_as_the_model(const struct list *head, const struct model *m)
{
    size_t i = 0;
    assert_int_equal(list_empty(head), m->count == 0);
    list_for_each (it, head) {
        assert_true(i < m->count);
        assert_int_equal(number_of(it), m->at[i]);
        assert_ptr_equal(it->next->prev, it);
        i++;
    }
    assert_int_equal(i, m->count);
    for (const struct list *it = head->prev; it != head; it = it->prev)
        assert_int_equal(number_of(it), m->at[--i]);
    assert_int_equal(i, 0);
}

static void put_somewhere(struct world *w, struct rng *r, unsigned number, unsigned l)
{
    struct list *link = &w->items[number].link;
    struct model *m = &w->models[l];
    size_t place = 0;
    switch (rng_below(r, 3)) {
    case 0: list_push_front(&w->heads[l], link); break;
    case 1:
        place = m->count;
        list_push_back(&w->heads[l], link);
        break;
    case 2: /* behind one that is there */
        place = m->count ? 1 + rng_below(r, m->count) : 0;
        list_insert(place ? &w->items[m->at[place - 1]].link : &w->heads[l], link);
        break;
    }
    model_insert(m, place, number);
    w->in[number] = (int)l;
}

static void take_the_first(struct world *w, unsigned l)
{
    struct list *link = list_pop_front(&w->heads[l]);
    struct model *m = &w->models[l];
    if (m->count == 0) {
        assert_null(link);
        return;
    }
    assert_non_null(link);
    assert_int_equal(number_of(link), m->at[0]);
    assert_true(list_empty(link));
    w->in[m->at[0]] = -1;
    model_remove(m, m->at[0]);
}

static void take_all(struct world *w, unsigned to, unsigned from)
{
    struct model *m = &w->models[from];
    list_splice(&w->heads[to], &w->heads[from]);
    for (size_t i = 0; i < m->count; i++) {
        w->in[m->at[i]] = (int)to;
        model_insert(&w->models[to], w->models[to].count, m->at[i]);
    }
    m->count = 0;
}

static void any_operations_give_what_an_array_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng r = {.state = seed};
        struct world w;
        world_init(&w);
        for (int step = 0; step < 2000; step++) {
            unsigned number = (unsigned)rng_below(&r, ITEMS), l = (unsigned)rng_below(&r, LISTS);
            uint64_t what = rng_below(&r, 20);
            if (what == 0)
                take_all(&w, l, (l + 1) % LISTS);
            else if (what < 4)
                take_the_first(&w, l);
            else if (w.in[number] < 0)
                put_somewhere(&w, &r, number, l);
            else {
                list_remove(&w.items[number].link);
                list_remove(&w.items[number].link); /* the second does nothing */
                model_remove(&w.models[w.in[number]], number);
                w.in[number] = -1;
            }
            for (l = 0; l < LISTS; l++)
                is_as_the_model(&w.heads[l], &w.models[l]);
        }
    }
}

static void a_walk_may_remove_what_it_stands_on(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (unsigned i = 0; i < ITEMS; i++)
        list_push_back(&w.heads[0], &w.items[i].link);
    unsigned seen = 0;
    list_for_each_safe (it, next, &w.heads[0]) {
        assert_int_equal(number_of(it), seen++);
        if (number_of(it) % 3 == 0)
            list_remove(it);
        else
            model_insert(&w.models[0], w.models[0].count, number_of(it));
    }
    assert_int_equal(seen, ITEMS);
    is_as_the_model(&w.heads[0], &w.models[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_operations_give_what_an_array_gives),
        cmocka_unit_test(a_walk_may_remove_what_it_stands_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
