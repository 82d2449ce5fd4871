/* hardening - what counts as a secret, and what a process has given up after it. */
#include "hardening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[] = "x";

/* Has a configuration with this connection string, and nothing else, a secret? */
static bool uri_is_secret(const char *uri)
{
    char copy[200];
    snprintf(copy, sizeof copy, "%s", uri);
    struct config config = {.mongodb_uri = copy, .source_count = 1};
    return hardening_has_secrets(&config);
}

static void test_secrets(void **state)
{
    (void)state;
    struct config config = {.source_count = 0};
    assert_false(hardening_has_secrets(&config));
    assert_false(uri_is_secret("mongodb://h:1/db?replicaSet=rs"));
    assert_false(uri_is_secret("mongodb://h:1/?appName=a@b"));
    assert_true(uri_is_secret("mongodb://user:p%40ss@h:1/db"));
    assert_true(uri_is_secret("mongodb+srv://user:pass@cluster.example/"));
    char **const places[] = {&config.auth_jwt_secret, &config.auth_jwt_secret_file, &config.auth_ticket_secret,
                             &config.auth_ticket_secret_file, &config.tls_key_file};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        *places[i] = text;
        assert_true(hardening_has_secrets(&config));
        *places[i] = NULL;
    }
}

/* In a process of its own, for none of it can be taken back: a bit for each thing that is not as it should be. */
static int wrong_after(bool secrets)
{
    struct rlimit limit = {1000, RLIM_INFINITY};
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &limit);
        hardening_apply(secrets);
        getrlimit(RLIMIT_CORE, &limit);
        int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
        _exit((prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) | (secrets != (limit.rlim_cur == 0)) << 1 |
              (secrets != (limit.rlim_max == 0)) << 2 | (HARDENING_ENDS_TRACING && secrets != !dumpable) << 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_applied(void **state)
{
    (void)state;
    assert_int_equal(wrong_after(false), 0);
    assert_int_equal(wrong_after(true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_secrets), cmocka_unit_test(test_applied)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
