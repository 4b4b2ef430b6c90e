/* Where a url leads: its hosts and ports, what is handed to libpq, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make(struct pg_target *t, const char *url, int64_t connect_timeout_ms)
{
    struct err e;
    if (pg_target_init(t, url, connect_timeout_ms, &e) != 0)
        fail_msg("%s: %s", url ? url : "no url", e.text);
}

/* The last one of a keyword counts; NULL: it is not there. */
static const char *value_of(const struct pg_target *t, const char *keyword)
{
    const char *found = NULL;
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->keywords[i], keyword) == 0)
            found = t->values[i];
    return found;
}

static void is(const char *text, const char *want)
{
    if (want)
        assert_string_equal(text, want);
    else
        assert_null(text);
}

static void hosts_and_ports_are_kept_as_written(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *port;
        bool has_names;
    } cases[] = {
        {"postgresql://", NULL, NULL, false},
        {"postgresql://db.example/shop", "db.example", NULL, true},
        {"postgresql://db.example:6432/shop", "db.example", "6432", true},
        {"postgresql://127.0.0.1,10.0.0.1/shop", "127.0.0.1,10.0.0.1", ",", false},
        {"postgresql://127.0.0.1:1,b:65535/shop", "127.0.0.1,b", "1,65535", true},
        {"postgresql://[::1]:5432/shop", "::1", "5432", false},
        {"host=/run/postgresql", "/run/postgresql", NULL, false},
        {"host=@abstract", "@abstract", NULL, false},
        {"host=/run/postgresql,name port=5432", "/run/postgresql,name", "5432", true},
        {"host=name,/run/postgresql", "name,/run/postgresql", NULL, true},
        {"host=1.2.3.4,5.6.7.8 port=5432,5433", "1.2.3.4,5.6.7.8", "5432,5433", false},
        {"host=255.255.255.255,1.2.3.4", "255.255.255.255,1.2.3.4", NULL, false},
        {"host=256.1.1.1", "256.1.1.1", NULL, true},
        {"host=name hostaddr=127.0.0.1", "name", NULL, false}, /* libpq asks nobody */
        {"hostaddr=127.0.0.1", NULL, NULL, false},
        {"host=a,b hostaddr=1.1.1.1,2.2.2.2 port=1,2,3", "a,b", "1,2,3", false}, /* libpq's */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pg_target t;
        make(&t, cases[i].url, 5000);
        is(t.host, cases[i].host);
        is(t.port, cases[i].port);
        if (t.has_names != cases[i].has_names)
            fail_msg("%s: names: %d", cases[i].url, t.has_names);
        assert_null(value_of(&t, "host")); /* they are added with the addresses */
        assert_null(value_of(&t, "port"));
        pg_target_fini(&t);
        assert_null(t.host);
        assert_null(t.options);
        assert_int_equal(t.count, 0);
    }
}

static void what_libpq_is_told_beside(void **state)
{
    (void)state;
    struct pg_target t;
    make(&t, "postgresql://ann:secret@db/shop?options=-cwork_mem%3D1MB&client_encoding=LATIN1",
         5000);
    is(value_of(&t, "user"), "ann");
    is(value_of(&t, "password"), "secret");
    is(value_of(&t, "dbname"), "shop");
    is(value_of(&t, "options"), "-cwork_mem=1MB");
    is(value_of(&t, "client_encoding"), "UTF8"); /* whatever the url says */
    is(value_of(&t, "fallback_application_name"), "rtcache");
    is(value_of(&t, "application_name"), NULL);
    pg_target_fini(&t);
}

/* It bounds how long a peer that vanished is waited for: no less than five seconds. */
static void a_vanished_peer_is_found_by_a_timeout(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int64_t connect_timeout_ms;
        const char *want;
    } cases[] = {
        {"postgresql://db", 1, "5000"},
        {"postgresql://db", 5000, "5000"},
        {"postgresql://db", 5001, "5001"},
        {"postgresql://db", 3600000, "3600000"},
        {"postgresql://db?tcp_user_timeout=7", 10000, "7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pg_target t;
        make(&t, cases[i].url, cases[i].connect_timeout_ms);
        is(value_of(&t, "tcp_user_timeout"), cases[i].want);
        pg_target_fini(&t);
    }
}

static void the_environment_names_the_host_where_the_url_does_not(void **state)
{
    (void)state;
    struct pg_target t;
    assert_int_equal(setenv("PGHOST", "from.environment", 1), 0);
    make(&t, "postgresql:///shop", 5000);
    is(t.host, "from.environment");
    assert_true(t.has_names);
    pg_target_fini(&t);
    make(&t, "postgresql://url/shop", 5000);
    is(t.host, "url");
    pg_target_fini(&t);
    make(&t, "hostaddr=127.0.0.1", 5000);
    is(t.host, NULL);
    pg_target_fini(&t);
    assert_int_equal(unsetenv("PGHOST"), 0);
}

#define UNREADABLE "the url cannot be read: "

static void what_cannot_be_read_is_said_without_a_secret(void **state)
{
    (void)state;
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"host=db port=0", UNREADABLE "the port \"0\" is no number from 1 to 65535"},
        {"host=db port=65536", UNREADABLE "the port \"65536\" is no number from 1 to 65535"},
        {"host=db port=005432", UNREADABLE "the port \"005432\" is no number from 1 to 65535"},
        {"host=db port=54a2", UNREADABLE "the port \"54a2\" is no number from 1 to 65535"},
        {"host=db port=/5", UNREADABLE "the port \"/5\" is no number from 1 to 65535"},
        {"host=db port=5:", UNREADABLE "the port \"5:\" is no number from 1 to 65535"},
        {"host=a,b port=5432,x", UNREADABLE "the port \"x\" is no number from 1 to 65535"},
        {"host=a,b,c port=1,2", UNREADABLE "it has 2 ports for 3 hosts"},
        {"host=a port=1,2", UNREADABLE "it has 2 ports for 1 host"},
        {"port=1,2", UNREADABLE "it has 2 ports for 1 host"},
        {"sslmodel=require", UNREADABLE "invalid connection option \"sslmodel\""},
        {"postgresql://db?sslmodel=1", UNREADABLE "invalid URI query parameter: \"sslmodel\""},
        {"postgresql://ann:se%zzcret@db", UNREADABLE "invalid percent-encoded token:"},
        {"password=se'cret", NULL},
        {"secret", UNREADABLE "missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pg_target t;
        struct err e;
        assert_int_equal(pg_target_init(&t, cases[i].url, 5000, &e),
                         cases[i].says ? ERR_CONFIG : 0);
        if (cases[i].says && strncmp(e.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].url, e.text);
        if (cases[i].says && strstr(e.text, "cret"))
            fail_msg("%s", e.text);
        pg_target_fini(&t);
    }
    struct pg_target t;
    make(&t, "host=db port=", 5000); /* none is given */
    pg_target_fini(&t);
    make(&t, "host=a,b port=,65535", 5000); /* the first has libpq's own */
    pg_target_fini(&t);
    make(&t, NULL, 5000);
    pg_target_fini(&t);
}

static void resolves_to(const char *url, const char *host, const char *hostaddr, const char *port)
{
    struct pg_target t;
    struct pg_hosts h;
    struct err e;
    make(&t, url, 5000);
    if (pg_target_resolve(&t, &h, &e) != 0)
        fail_msg("%s: %s", url, e.text);
    assert_string_equal(h.host.data, host);
    assert_string_equal(h.hostaddr.data, hostaddr);
    assert_string_equal(h.port.data, port);
    pg_target_hosts_fini(&h);
    pg_target_fini(&t);
}

/* Three lists of one length, with a name beside each of its addresses. */
static void names_become_addresses_and_the_rest_stays(void **state)
{
    (void)state;
    resolves_to("host=/run/postgresql,10.0.0.1,@a", "/run/postgresql,10.0.0.1,@a", ",10.0.0.1,",
                ",,");
    resolves_to("host=1.1.1.1,2.2.2.2 port=5432", "1.1.1.1,2.2.2.2", "1.1.1.1,2.2.2.2",
                "5432,5432");
    resolves_to("host=1.1.1.1,2.2.2.2 port=1,2", "1.1.1.1,2.2.2.2", "1.1.1.1,2.2.2.2", "1,2");
    resolves_to("host=::1,,/s port=1,2,3", "::1,,/s", "::1,,", "1,2,3");
}

static void names_that_nobody_knows_are_an_error_where_nothing_else_is_left(void **state)
{
    (void)state;
    struct pg_target t;
    struct pg_hosts h;
    struct err e;
    char url[400] = "host=";
    memset(url + 5, 'n', 256);
    make(&t, url, 5000);
    assert_true(t.has_names);
    assert_int_equal(pg_target_resolve(&t, &h, &e), ERR_BACKEND_DOWN);
    assert_string_equal(e.text, "a host name of 256 characters");
    pg_target_hosts_fini(&h);
    pg_target_fini(&t);
    strcpy(url + 5 + 256, ",1.2.3.4");
    resolves_to(url, "1.2.3.4", "1.2.3.4", "");
    url[5 + 255] = '\0'; /* one that is looked up */
    make(&t, url, 5000);
    assert_int_equal(pg_target_resolve(&t, &h, &e), ERR_BACKEND_DOWN);
    assert_int_equal(strncmp(e.text, "host name nnn", 13), 0);
    assert_non_null(strstr(e.text, "nnn: "));
    pg_target_hosts_fini(&h);
    pg_target_fini(&t);
}

static void so_many_addresses_are_handed_over_and_no_more(void **state)
{
    (void)state;
    for (int count = PG_TARGET_HOSTS - 1; count <= PG_TARGET_HOSTS + 1; count++) {
        struct pg_target t;
        struct pg_hosts h;
        struct err e;
        char url[600] = "host=1.1.1.1";
        for (int i = 1; i < count; i++)
            strcat(url, ",1.1.1.1");
        make(&t, url, 5000);
        assert_int_equal(pg_target_resolve(&t, &h, &e), 0);
        int want = count < PG_TARGET_HOSTS ? count : PG_TARGET_HOSTS;
        assert_int_equal(h.count, want);
        assert_int_equal(h.host.size, want * 8); /* with commas between, and a NUL */
        assert_int_equal(h.hostaddr.size, want * 8);
        assert_int_equal(h.port.size, want);
        pg_target_hosts_fini(&h);
        pg_target_fini(&t);
    }
}

/* What libpq has been given, as it tells it. */
static void given(PGconn *pg, const char *keyword, const char *want)
{
    PQconninfoOption *all = PQconninfo(pg);
    for (PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            is(o->val, want);
    PQconninfoFree(all);
}

static void a_connect_begins_with_all_of_it(void **state)
{
    (void)state;
    struct pg_target t;
    struct pg_hosts h;
    struct err e;
    make(&t, "postgresql://ann@127.0.0.1:1/shop", 5000);
    PGconn *pg = pg_target_connect(&t, NULL);
    assert_non_null(pg);
    given(pg, "host", "127.0.0.1");
    given(pg, "port", "1");
    given(pg, "user", "ann");
    given(pg, "dbname", "shop");
    given(pg, "client_encoding", "UTF8");
    given(pg, "fallback_application_name", "rtcache");
    given(pg, "tcp_user_timeout", "5000");
    PQfinish(pg);
    assert_int_equal(pg_target_resolve(&t, &h, &e), 0);
    pg = pg_target_connect(&t, &h);
    given(pg, "host", "127.0.0.1");
    given(pg, "hostaddr", "127.0.0.1");
    given(pg, "port", "1");
    PQfinish(pg);
    pg_target_hosts_fini(&h);
    pg_target_fini(&t);
}

int main(void)
{
    unsetenv("PGHOST");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_kept_as_written),
        cmocka_unit_test(what_libpq_is_told_beside),
        cmocka_unit_test(a_vanished_peer_is_found_by_a_timeout),
        cmocka_unit_test(the_environment_names_the_host_where_the_url_does_not),
        cmocka_unit_test(what_cannot_be_read_is_said_without_a_secret),
        cmocka_unit_test(names_become_addresses_and_the_rest_stays),
        cmocka_unit_test(names_that_nobody_knows_are_an_error_where_nothing_else_is_left),
        cmocka_unit_test(so_many_addresses_are_handed_over_and_no_more),
        cmocka_unit_test(a_connect_begins_with_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
