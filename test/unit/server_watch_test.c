/* server_watch - the size of oplog that it advises. */
#include "server_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_oplog_size(void **state)
{
    (void)state;
    const int64_t mb = 1 << 20;
    assert_int_equal(server_watch_oplog_mb(2000 * mb, 1800, 3600), 5001);
    assert_int_equal(server_watch_oplog_mb(2000 * mb, 3599, 3600), 2501);
    assert_int_equal(server_watch_oplog_mb(1 * mb, 1800, 3600), 990); /* the server's minimum */
    assert_int_equal(server_watch_oplog_mb(1000 * mb, 0, 3600), 4500001); /* less than a second */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_oplog_size)};
    return cmocka_run_group_tests_name("server_watch", tests, NULL, NULL);
}
