/* Who is there, over passwords and configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/rights.h"
#include "serve/session.h"
#include "user.h"

#define UID 1000

/* Two users: one by a password, one by a uid. */
struct some {
    struct one by_hash, by_uid;
    struct conf_user users[2];
    struct conf conf;
};

static void some_init(struct some *s, const char *hash, unsigned rights)
{
    *s = (struct some){.conf = {.users = s->users, .user_count = 2}};
    s->users[0] = *user_of(&s->by_hash, rights, NULL, NULL);
    s->users[0].name = "app";
    s->users[0].password_hash = hash;
    s->users[0].uid = -1;
    s->users[1] = *user_of(&s->by_uid, RIGHT_ADMIN, NULL, NULL);
    s->users[1].name = "ops";
    s->users[1].uid = UID;
}

static const struct conf nobody_is_asked = {.user_count = 0};

static void is(const struct session *s, const struct conf_user *u, bool known, unsigned may)
{
    assert_ptr_equal(s->user, u);
    assert_int_equal(s->known, known);
    assert_int_equal(s->may, may);
}

static void begins_as_anybody_as_a_user_or_as_nobody(void **state)
{
    (void)state;
    struct some c;
    struct session s = {0};
    some_init(&c, "hash", RIGHT_READ);
    session_begin(&s, &nobody_is_asked, -1);
    is(&s, NULL, true, RIGHTS_ALL);
    session_begin(&s, &c.conf, UID);
    is(&s, &c.users[1], true, RIGHT_ANYBODY | RIGHT_ADMIN);
    session_begin(&s, &c.conf, UID + 1);
    is(&s, NULL, false, RIGHT_ANYBODY);
    session_begin(&s, &c.conf, -1);
    is(&s, NULL, false, RIGHT_ANYBODY);
    session_become(&s, &c.conf, &c.users[0]);
    is(&s, &c.users[0], true, RIGHT_ANYBODY | RIGHT_READ);
}

static void a_password_counts_for_the_user_as_it_is_now(void **state)
{
    (void)state;
    struct some c;
    struct err e;
    some_init(&c, "hash", RIGHT_READ);
    assert_ptr_equal(session_user(&c.conf, slice_str("app"), "hash", &e), &c.users[0]);
    assert_null(session_user(&c.conf, slice_str("app"), "older hash", &e));
    assert_int_equal(e.code, ERR_AUTH_FAILED);
    assert_string_equal(e.text, "auth: the user was changed meanwhile");
    err_clear(&e);
    assert_null(session_user(&c.conf, slice_str("gone"), "hash", &e));
    assert_int_equal(e.code, ERR_AUTH_FAILED);
    assert_null(session_user(&c.conf, slice_str("ops"), "hash", &e)); /* has no password */
}

static void another_is_who_has_other_rights(void **state)
{
    (void)state;
    struct some c;
    struct session s = {0};
    some_init(&c, "hash", RIGHT_READ);
    session_begin(&s, &c.conf, -1);
    assert_false(session_is_another(&s, &c.users[0])); /* nobody was there */
    session_become(&s, &c.conf, &c.users[0]);
    assert_false(session_is_another(&s, &c.users[0]));
    assert_true(session_is_another(&s, &c.users[1]));
}

static void stays_over_a_configuration_as_far_as_that_says_nothing_else(void **state)
{
    (void)state;
    struct some before, same, other_hash, other_rights;
    struct session s = {0};
    some_init(&before, "hash", RIGHT_READ);
    some_init(&same, "hash", RIGHT_READ);
    some_init(&other_hash, "other", RIGHT_READ);
    some_init(&other_rights, "hash", RIGHT_WRITE);

    session_become(&s, &before.conf, &before.users[0]);
    assert_true(session_stays(&s, &before.conf, &same.conf, -1, true));
    is(&s, &same.users[0], true, RIGHT_ANYBODY | RIGHT_READ);
    session_become(&s, &before.conf, &before.users[0]);
    assert_true(session_stays(&s, &before.conf, &other_rights.conf, -1, false));
    is(&s, &other_rights.users[0], true, RIGHT_ANYBODY | RIGHT_WRITE);
    session_become(&s, &before.conf, &before.users[0]);
    assert_false(session_stays(&s, &before.conf, &other_rights.conf, -1, true)); /* it subscribes */
    is(&s, NULL, false, RIGHT_ANYBODY);
    session_become(&s, &before.conf, &before.users[0]);
    assert_false(session_stays(&s, &before.conf, &other_hash.conf, -1, false));

    /* It has moved, or is gone. */
    struct conf_user moved[2] = {same.users[1], same.users[0]};
    same.conf.users = moved;
    session_become(&s, &before.conf, &before.users[0]);
    assert_true(session_stays(&s, &before.conf, &same.conf, -1, true));
    is(&s, &moved[1], true, RIGHT_ANYBODY | RIGHT_READ);
    same.conf.user_count = 1;
    session_become(&s, &before.conf, &before.users[0]);
    assert_false(session_stays(&s, &before.conf, &same.conf, -1, false));
    is(&s, NULL, false, RIGHT_ANYBODY);
}

static void stays_where_users_come_or_go(void **state)
{
    (void)state;
    struct some users;
    struct session s = {0};
    some_init(&users, "hash", RIGHT_READ);
    session_become(&s, &users.conf, &users.users[0]);
    assert_true(session_stays(&s, &users.conf, &nobody_is_asked, -1, true));
    is(&s, NULL, true, RIGHTS_ALL);
    assert_true(session_stays(&s, &nobody_is_asked, &nobody_is_asked, -1, true));
    is(&s, NULL, true, RIGHTS_ALL);
    assert_true(session_stays(&s, &nobody_is_asked, &users.conf, UID, false));
    is(&s, &users.users[1], true, RIGHT_ANYBODY | RIGHT_ADMIN);

    session_begin(&s, &nobody_is_asked, -1); /* could do everything */
    assert_false(session_stays(&s, &nobody_is_asked, &users.conf, -1, false));
    session_begin(&s, &users.conf, -1); /* has not said yet who it is */
    assert_true(session_stays(&s, &users.conf, &users.conf, -1, false));
    is(&s, NULL, false, RIGHT_ANYBODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_as_anybody_as_a_user_or_as_nobody),
        cmocka_unit_test(a_password_counts_for_the_user_as_it_is_now),
        cmocka_unit_test(another_is_who_has_other_rights),
        cmocka_unit_test(stays_over_a_configuration_as_far_as_that_says_nothing_else),
        cmocka_unit_test(stays_where_users_come_or_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
