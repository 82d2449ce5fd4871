/* resume_id - plain ids, vectors of several sources, and times that cannot be. */
#include "resume_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define ID1 "6b0169cd00000001-5f3a9c1e0011"
#define ID2 "6b0169cd00000002"

static void add_source(struct http_context *context, char tag)
{
    struct source_options options = {.name = "s", .tag = tag, .journal = {.max_bytes = 1000}};
    context->sources[context->source_count++] = source_new(&options);
}

static int set_up(void **state)
{
    struct http_context *context = calloc(1, sizeof *context);
    assert_non_null(context);
    add_source(context, 'a');
    add_source(context, 'b');
    *state = context;
    return 0;
}

static int tear_down(void **state)
{
    struct http_context *context = *state;
    source_free(context->sources[0]);
    source_free(context->sources[1]);
    free(context);
    return 0;
}

static void expect(struct http_context *context, const char *text, uint64_t first, uint64_t second, bool unknown)
{
    struct resume_id id;
    assert_int_equal(resume_id_parse(text, context, &id), 0);
    assert_int_equal(id.points[0].cluster_time, first);
    assert_int_equal(id.points[1].cluster_time, second);
    assert_int_equal(id.unknown, unknown);
}

static void test_parse(void **state)
{
    struct http_context *context = *state;
    const uint64_t t1 = 0x6b0169cd00000001, t2 = 0x6b0169cd00000002;
    expect(context, ID1, t1, 0, true); /* a plain one is the first source's */
    expect(context, "a" ID1 "~b" ID2, t1, t2, false);
    expect(context, "b" ID2 "~a" ID1, t1, t2, false);
    expect(context, "b" ID2, 0, t2, true);
    expect(context, "a" ID1 "~b" ID2 "~c" ID2, t1, t2, true);
    expect(context, "826B0169CD000000012B0229296E04", t1, 0, true);
    context->source_count = 1;
    expect(context, ID1, t1, 0, false);
    context->source_count = 2;
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"~", "a", "x", "a~b", ID1 "~", ID1 "~" ID2, "A" ID1, "a" ID1 "~~b" ID2,
                                      "a" ID1 "b" ID2, "a" ID1 "~b", "a0000000000000000", "1" ID1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct resume_id id;
        if (resume_id_parse(bad[i], *state, &id) != -1) {
            fail_msg("%s", bad[i]);
        }
    }
}

static void test_plausible(void **state)
{
    struct http_context *context = *state;
    struct source *source = context->sources[0];
    const uint64_t now = (uint64_t)1000000 << 32;
    assert_true(resume_id_is_plausible(event_id_position(UINT64_MAX), source)); /* nothing is known yet */
    source_note_cluster_time(source, now);
    assert_true(resume_id_is_plausible(event_id_position(1), source));
    assert_true(resume_id_is_plausible(event_id_position(now), source));
    assert_true(resume_id_is_plausible(event_id_position(now + ((uint64_t)60 << 32) + 5), source));
    assert_false(resume_id_is_plausible(event_id_position(now + ((uint64_t)70 << 32)), source));
    assert_false(resume_id_is_plausible(event_id_position(UINT64_MAX), source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plausible, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("resume_id", tests, NULL, NULL);
}
