/* ip_address - texts, ranges, and IPv4 in its two spellings. */
#include "ip_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

static struct ip_address address(const char *text)
{
    struct ip_address out;
    if (ip_address_parse(text, strlen(text), &out) != 0) {
        fail_msg("%s is not understood", text);
    }
    return out;
}

static bool has(const char *range_text, const char *address_text)
{
    struct ip_range range;
    struct error err;
    struct ip_address a = address(address_text);
    if (ip_range_parse(range_text, &range, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return ip_range_has(&range, &a);
}

static void expect_text(const char *text, const char *expected)
{
    char out[IP_ADDRESS_TEXT_MAX];
    struct ip_address a = address(text);
    ip_address_format(&a, out);
    assert_string_equal(out, expected);
}

static void test_texts(void **state)
{
    (void)state;
    expect_text("127.0.0.1", "127.0.0.1");
    expect_text("::ffff:10.1.2.3", "10.1.2.3");
    expect_text("[2001:DB8::1]", "2001:db8::1");
    expect_text("::", "::");
    expect_text("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888");
}

static void test_what_is_no_address(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:80", "01.2.3.4",
                                        "1.2.3.4 ", " 1.2.3.4", "::1%lo", "[::1", "::1]", "[]", ":::", "unknown", "1,2",
                                        "0x7f.1"};
    struct ip_address out;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (ip_address_parse(texts[i], strlen(texts[i]), &out) == 0) {
            fail_msg("\"%s\" was taken for an address", texts[i]);
        }
    }
    assert_int_equal(ip_address_parse("1.2.3.4\0x", 9, &out), -1);
    assert_int_equal(ip_address_parse("1.2.3.45", 7, &out), 0); /* as long as it is said to be */
    char longest[200];
    memset(longest, '1', sizeof longest);
    assert_int_equal(ip_address_parse(longest, sizeof longest, &out), -1);
}

static void test_ranges(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.1.2"));
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_false(has("10.0.0.0/8", "::10.0.0.1"));
    assert_true(has("192.168.4.0/22", "192.168.7.255"));
    assert_false(has("192.168.4.0/22", "192.168.8.0"));
    assert_true(has("127.0.0.1", "127.0.0.1"));
    assert_false(has("127.0.0.1", "127.0.0.2"));
    assert_true(has("127.0.0.1/32", "127.0.0.1"));
    assert_true(has("0.0.0.0/0", "1.2.3.4"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("::ffff:10.0.0.0/104", "10.9.9.9"));
}

static void test_what_is_no_range(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                                        "10.0.0.0/ 8", "::/129", "10.0.0.0/0008", "10.0.0.1/8", "192.168.5.0/22",
                                        "2001:db8::1/64", "fd00::/8/8", "10.0.0.0/99999999999999999999"};
    struct ip_range range;
    struct error err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (ip_range_parse(texts[i], &range, &err) == 0) {
            fail_msg("\"%s\" was taken for a range", texts[i]);
        }
        assert_non_null(strstr(err.text, texts[i]));
    }
}

static void test_peers(void **state)
{
    (void)state;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010203)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_un other = {.sun_family = AF_UNIX};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &six.sin6_addr), 1);
    struct ip_address a = ip_address_of((const struct sockaddr *)&four);
    struct ip_address b = ip_address_of((const struct sockaddr *)&six);
    struct ip_address none = ip_address_of((const struct sockaddr *)&other);
    struct ip_address zero = address("::");
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&none, &zero, sizeof none);
}

static void test_loopback(void **state)
{
    (void)state;
    static const char *const inside[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.9.9.9"};
    static const char *const outside[] = {"128.0.0.1", "10.0.0.1", "::2", "::", "0.0.0.0", "::127.0.0.1"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        struct ip_address a = address(inside[i]);
        assert_true(ip_address_is_loopback(&a));
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct ip_address a = address(outside[i]);
        assert_false(ip_address_is_loopback(&a));
    }
}

static bool same_site(const char *one, const char *other)
{
    struct ip_address a = address(one), b = address(other);
    a = ip_address_site(&a);
    b = ip_address_site(&b);
    return memcmp(&a, &b, sizeof a) == 0;
}

static void test_sites(void **state)
{
    (void)state;
    assert_true(same_site("2001:db8:1:2::1", "2001:db8:1:2:ffff::"));
    assert_false(same_site("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_true(same_site("10.0.0.1", "::ffff:10.0.0.1"));
    assert_false(same_site("10.0.0.1", "10.0.0.2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_what_is_no_range),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
