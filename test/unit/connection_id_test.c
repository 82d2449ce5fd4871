/* connection_id - its form, and that it leads to the loop it was drawn for. */
#include "connection_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { LOOPS_MAX = 64, DRAWS = 20 };

static void test_leads_to_its_loop(void **state)
{
    (void)state;
    char id[CONNECTION_ID_LEN + 1], copy[CONNECTION_ID_LEN + 1];
    for (unsigned loops = 1; loops <= LOOPS_MAX; loops++) {
        for (unsigned i = 0; i < loops * DRAWS; i++) {
            connection_id_draw(i % loops, loops, id);
            assert_int_equal(connection_id_loop(id, loops), i % loops);
            assert_int_equal(connection_id_parse((struct slice){id, strlen(id)}, copy), 0);
            assert_string_equal(copy, id);
        }
    }
}

/* All the values that the first byte may have for a loop are drawn, and the others at random: no id is like another. */
static void test_is_random(void **state)
{
    (void)state;
    static char ids[1000][CONNECTION_ID_LEN + 1];
    for (unsigned i = 0; i < 1000; i++) {
        connection_id_draw(1, 64, ids[i]);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(ids[i], ids[j]);
            assert_int_not_equal(connection_id_number(ids[i]), connection_id_number(ids[j]));
        }
    }
    for (unsigned byte = 1; byte < 256; byte += 64) {
        unsigned found = 0;
        for (unsigned i = 0; i < 1000; i++) {
            found += connection_id_number(ids[i]) >> 56 == byte;
        }
        assert_in_range(found, 150, 350); /* of 250; ten sigma are 137 */
    }
}

static void test_number(void **state)
{
    (void)state;
    assert_true(connection_id_number("0123456789abcdeffedcba9876543210") == 0x0123456789abcdefULL);
    assert_int_equal(connection_id_loop("0523456789abcdeffedcba9876543210", 3), 2);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba98765432100", "0123456789abcdeffedcba987654321g",
        "0123456789ABCDEFFEDCBA9876543210", "+123456789abcdeffedcba9876543210",
    };
    char out[CONNECTION_ID_LEN + 1];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(connection_id_parse((struct slice){texts[i], strlen(texts[i])}, out), -1);
    }
    char nul[CONNECTION_ID_LEN] = "0123456789abcdef";
    assert_int_equal(connection_id_parse((struct slice){nul, sizeof nul}, out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leads_to_its_loop),
        cmocka_unit_test(test_is_random),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("connection_id", tests, NULL, NULL);
}
