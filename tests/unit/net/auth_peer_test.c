/* Where a client comes from: which addresses are one, and which networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/auth_peer.h"

#include <arpa/inet.h>
#include <string.h>

static struct auth_peer of(const char *host)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    struct sockaddr_in *v4 = (void *)&sa;
    struct sockaddr_in6 *v6 = (void *)&sa;
    struct auth_peer p;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(1234);
    } else {
        assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(1234);
    }
    auth_peer_of(&p, &sa, -1);
    return p;
}

static struct auth_peer of_uid(int64_t uid)
{
    const struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    struct auth_peer p;
    auth_peer_of(&p, &sa, uid);
    return p;
}

static void expect(struct auth_peer a, struct auth_peer b, bool one_address, bool one_network)
{
    assert_int_equal(slice_eq(auth_peer_address(&a), auth_peer_address(&b)), one_address);
    assert_int_equal(slice_eq(auth_peer_network(&a), auth_peer_network(&b)), one_network);
}

static void ipv4_is_one_network_by_24_bits(void **state)
{
    (void)state;
    expect(of("192.0.2.1"), of("192.0.2.1"), true, true);
    expect(of("192.0.2.1"), of("192.0.2.254"), false, true);
    expect(of("192.0.2.1"), of("192.0.3.1"), false, false);
    assert_string_equal(of("192.0.2.1").text, "192.0.2.1:1234");
}

static void ipv6_is_one_address_by_64_bits_and_one_network_by_48(void **state)
{
    (void)state;
    expect(of("2001:db8:1:1::1"), of("2001:db8:1:1:ffff::2"), true, true);
    expect(of("2001:db8:1:1::1"), of("2001:db8:1:2::1"), false, true);
    expect(of("2001:db8:1:1::1"), of("2001:db8:1:ffff::1"), false, true);
    expect(of("2001:db8:1:1::1"), of("2001:db8:2:1::1"), false, false);
    assert_string_equal(of("2001:db8::1").text, "[2001:db8::1]:1234");
}

static void a_unix_socket_is_its_user(void **state)
{
    (void)state;
    expect(of_uid(7), of_uid(7), true, true);
    expect(of_uid(7), of_uid(8), false, false);
    assert_string_equal(of_uid(7).text, "unix:uid=7");
}

static void families_are_never_one(void **state)
{
    (void)state;
    expect(of_uid(0), of("::"), false, false);
    expect(of("0.0.0.0"), of("::"), false, false);
    expect(of_uid(0), of("0.0.0.0"), false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_is_one_network_by_24_bits),
        cmocka_unit_test(ipv6_is_one_address_by_64_bits_and_one_network_by_48),
        cmocka_unit_test(a_unix_socket_is_its_user),
        cmocka_unit_test(families_are_never_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
