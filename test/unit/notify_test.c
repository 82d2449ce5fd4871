/* notify - what reaches a service manager's socket, at a path and in the abstract space. */
#include "notify.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A manager: a socket bound to a name, and what it was told last. */
struct manager {
    int fd;
    char name[60];
    char told[400];
};

static struct manager manager;

static void listen_at(bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(manager.name, sizeof manager.name, "%stailwater-notify-%d", abstract ? "@" : "/tmp/", (int)getpid());
    size_t len = strlen(manager.name);
    memcpy(address.sun_path, manager.name, len);
    address.sun_path[0] = abstract ? '\0' : '/';
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(manager.fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", manager.name, 1);
}

static int forget(void **state)
{
    (void)state;
    close(manager.fd);
    if (manager.name[0] == '/') {
        unlink(manager.name);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

/* The next datagram, or "" when there is none. */
static const char *told(void)
{
    ssize_t n = recv(manager.fd, manager.told, sizeof manager.told - 1, 0);
    manager.told[n > 0 ? n : 0] = '\0';
    return manager.told;
}

static void check_life(bool abstract)
{
    struct notify notify;
    listen_at(abstract);
    notify_open(&notify);
    notify_ready(&notify);
    assert_string_equal(told(), "READY=1");
    notify_status(&notify, "%d connections", 3);
    assert_string_equal(told(), "STATUS=3 connections");
    notify_status(&notify, "%d connections", 3);
    assert_string_equal(told(), "");
    int64_t before = clock_mono_us();
    notify_reloading(&notify);
    assert_int_equal(strncmp(told(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    int64_t at = strtoll(manager.told + 27, NULL, 10);
    assert_true(at >= before && at <= clock_mono_us());
    notify_stopping(&notify, 35);
    assert_string_equal(told(), "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=35000000");
    notify_close(&notify);
}

static void test_path(void **state)
{
    (void)state;
    check_life(false);
}

static void test_abstract(void **state)
{
    (void)state;
    check_life(true);
}

/* Is WATCHDOG=1 sent with this environment? */
static bool reports(const char *period, const char *pid)
{
    struct notify notify;
    setenv("WATCHDOG_USEC", period, 1);
    setenv("WATCHDOG_PID", pid, 1);
    notify_open(&notify);
    notify_alive(&notify);
    notify_close(&notify);
    return strcmp(told(), "WATCHDOG=1") == 0;
}

static void test_watchdog(void **state)
{
    (void)state;
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    listen_at(true);
    assert_true(reports("30000000", pid));
    assert_false(reports("30000000", "1"));
    assert_false(reports("0", pid));
    assert_false(reports("", pid));
}

/* No socket, a name that is none, one that is too long, one on which nobody listens: nothing happens. */
static void test_nobody(void **state)
{
    (void)state;
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[0] = '/';
    long_name[sizeof long_name - 1] = '\0';
    const char *const names[] = {NULL, "", "@", "relative", long_name, "@tailwater-nobody-listens", "/nowhere/at/all"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct notify notify;
        if (names[i]) {
            setenv("NOTIFY_SOCKET", names[i], 1);
        } else {
            unsetenv("NOTIFY_SOCKET");
        }
        notify_open(&notify);
        assert_int_equal(notify.fd >= 0, i >= 5);
        notify_ready(&notify);
        notify_alive(&notify);
        notify_close(&notify);
    }
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_path, forget),
        cmocka_unit_test_teardown(test_abstract, forget),
        cmocka_unit_test_teardown(test_watchdog, forget),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
