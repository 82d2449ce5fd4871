/* address - "host:port" and what is loopback. */
#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void accept_address(const char *text, const char *host, int port, bool loopback)
{
    struct address address;
    struct error err;
    if (address_parse(text, &address, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
    assert_int_equal(address.loopback, loopback);
}

static void refuse(const char *text, const char *sentence)
{
    struct address address;
    struct error err;
    assert_int_equal(address_parse(text, &address, &err), -1);
    if (!strstr(err.text, sentence)) {
        fail_msg("%s: expected \"%s\" in \"%s\"", text, sentence, err.text);
    }
}

static void test_accepted(void **state)
{
    (void)state;
    accept_address("127.0.0.1:3002", "127.0.0.1", 3002, true);
    accept_address("127.9.9.9:0", "127.9.9.9", 0, true);
    accept_address("0.0.0.0:80", "0.0.0.0", 80, false);
    accept_address("10.1.2.3:65535", "10.1.2.3", 65535, false);
    accept_address("[::1]:3002", "::1", 3002, true);
    accept_address("[::]:3002", "::", 3002, false);
    accept_address("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, true);
    accept_address("[fe80::1]:1", "fe80::1", 1, false);
    accept_address("localhost:3002", "localhost", 3002, true);
    accept_address("LocalHost:3002", "LocalHost", 3002, true);
    accept_address("localhost.example.com:3002", "localhost.example.com", 3002, false);
    accept_address("127.0.0.1.example.com:3002", "127.0.0.1.example.com", 3002, false);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("", "expected host:port");
    refuse("3002", "expected host:port");
    refuse("localhost", "expected host:port");
    refuse(":3002", "the host is missing");
    refuse("::1:3002", "an IPv6 address is written");
    refuse("[::1]", "an IPv6 address is written");
    refuse("[::1:3002", "an IPv6 address is written");
    refuse("[::1]3002", "an IPv6 address is written");
    refuse("[]:1", "neither");
    refuse("[127.0.0.1]:1", "neither");
    refuse("[::g]:1", "neither");
    refuse("127.0.0.256:1", "neither");
    refuse("127.1:1", "neither");
    refuse("1:1", "neither");
    refuse("a b:1", "neither");
    refuse("-a:1", "neither");
    refuse("*:1", "neither");
    refuse("u@h:1", "neither");
    refuse("h:", "the port");
    refuse("h:65536", "the port");
    refuse("h:-1", "the port");
    refuse("h:+1", "the port");
    refuse("h:1x", "the port");
    refuse("h:000001", "the port");
    refuse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
           "aaaa"
           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
           "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
