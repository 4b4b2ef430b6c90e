#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/near_list.h"
#include "base/rng.h"

#define LINKS 50

static struct near_list heads[2], links[LINKS];
static int order[2][LINKS], count[2]; /* what is in each, from the front */
static int in[LINKS];                 /* which list a link is in; -1: none */

static void check(int which)
{
    const struct near_list *at = &heads[which];
    for (int i = 0; i < count[which]; i++) {
        assert_ptr_equal(near_list_next(at), &links[order[which][i]]);
        assert_ptr_equal(near_list_prev(near_list_next(at)), at);
        at = near_list_next(at);
    }
    assert_ptr_equal(near_list_next(at), &heads[which]);
    assert_ptr_equal(near_list_prev(&heads[which]), at);
    assert_int_equal(near_list_empty(&heads[which]), count[which] == 0);
}

static int forget(int link)
{
    int which = in[link], i = 0;
    if (which < 0)
        return -1;
    while (order[which][i] != link)
        i++;
    for (count[which]--; i < count[which]; i++)
        order[which][i] = order[which][i + 1];
    in[link] = -1;
    return which;
}

static void note(int which, int at, int link)
{
    for (int i = count[which]++; i > at; i--)
        order[which][i] = order[which][i - 1];
    order[which][at] = link;
    in[link] = which;
}

static void keeps_the_order_of_an_array(void **state)
{
    (void)state;
    struct rng r = {.state = 5};
    for (int i = 0; i < LINKS; i++)
        in[i] = -1;
    for (int n = 0; n < 20000; n++) {
        int link = (int)rng_below(&r, LINKS), which = (int)rng_below(&r, 2);
        near_list_remove(&links[link]);
        forget(link);
        int after = count[which] ? (int)rng_below(&r, (uint64_t)count[which]) : 0;
        switch (rng_below(&r, 5)) {
        case 0:
            near_list_push_back(&heads[which], &links[link]);
            note(which, count[which], link);
            break;
        case 1:
            near_list_push_front(&heads[which], &links[link]);
            note(which, 0, link);
            break;
        case 2:
            if (!count[which])
                break;
            near_list_insert(&links[order[which][after]], &links[link]);
            note(which, after + 1, link);
            break;
        case 3:
            if (count[which]) {
                assert_ptr_equal(near_list_pop_front(&heads[which]), &links[order[which][0]]);
                forget(order[which][0]);
            } else {
                assert_null(near_list_pop_front(&heads[which]));
            }
            break;
        default: break;
        }
        check(0);
        check(1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
