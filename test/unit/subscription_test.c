/* subscription - validation, widening as CONTRACT section 1 has it, and what is wanted. */
#include "subscription.h"

#include "tailwater/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One source that produces logs:etl:{w}:{f} (the last optional) and logs:api:{w}:{f}. */
static int set_up(void **state)
{
    static struct http_context context;
    struct source_options options = {.name = "logs", .tag = 'a', .journal = {.max_bytes = 1000}};
    memset(&context, 0, sizeof context);
    context.settings.channels_max = 5;
    context.sources[0] = source_new(&options);
    context.source_count = 1;
    catalog_add_service(context.sources[0]->catalog, "etl");
    catalog_add_service(context.sources[0]->catalog, "api");
    catalog_add_shape(context.sources[0]->catalog, "logs:etl:*:*", true);
    catalog_add_shape(context.sources[0]->catalog, "logs:api:*:*", false);
    *state = &context;
    return 0;
}

static int tear_down(void **state)
{
    struct http_context *context = *state;
    source_free(context->sources[0]);
    return 0;
}

/* Grant what is asked for as far as this list of patterns, joined by commas, goes. */
static int grant(const struct http_context *context, struct subscription *s, const char *patterns, const char **code)
{
    char copy[2000], *list[64], *rest = copy, *pattern;
    unsigned count = 0;
    struct error err;
    snprintf(copy, sizeof copy, "%s", patterns);
    while ((pattern = strsep(&rest, ",")) != NULL && count < 64) {
        if (*pattern) {
            list[count++] = pattern;
        }
    }
    return subscription_grant(s, context, list, count, code, &err);
}

static int make(struct http_context *context, const char *query, const char *template, struct subscription **s,
                const char **code)
{
    struct error err = {0};
    struct http_alias alias = {"/x", template};
    struct params *params = params_from_query((struct slice){query, strlen(query)}, &err);
    assert_non_null(params);
    int rc = subscription_new(params, template ? &alias : NULL, context, s, code, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    params_free(params);
    return rc == 0 ? grant(context, *s, "*", code) : rc;
}

/* The list and what is unmatched, joined by spaces: "a b | c". */
static void write_list(const struct subscription *s, char *text, size_t size)
{
    for (unsigned i = 0; i < s->count; i++) {
        snprintf(text + strlen(text), size - strlen(text), "%s%s", i ? " " : "", s->list[i].text);
    }
    for (unsigned i = 0; i < s->unmatched_count; i++) {
        snprintf(text + strlen(text), size - strlen(text), "%s%s", i ? " " : " | ", s->unmatched[i]);
    }
}

static void expect_alias(struct http_context *context, const char *query, const char *template, const char *want)
{
    struct subscription *s;
    const char *code = NULL;
    char text[2000] = "";
    assert_int_equal(make(context, query, template, &s, &code), 0);
    write_list(s, text, sizeof text);
    assert_string_equal(text, want);
    subscription_free(s);
}

static void expect(struct http_context *context, const char *query, const char *want)
{
    expect_alias(context, query, NULL, want);
}

static void refuse(struct http_context *context, const char *query, const char *template, const char *want)
{
    struct subscription *s;
    const char *code = NULL;
    assert_int_equal(make(context, query, template, &s, &code), -1);
    assert_string_equal(code, want);
}

static void test_lists(void **state)
{
    expect(*state, "channels=logs:etl:w1:f1", "logs:etl:w1:f1");
    expect(*state, "channels=logs:etl:w2:f1,logs:etl:w1:f1,logs:*", "logs:etl:w1:f1 logs:etl:w2:f1 logs:*");
    expect(*state, "channels=+logs:etl:w1:f1+,+,,logs:etl:w1:f1", "logs:etl:w1:f1");
    expect(*state, "channels=metrics:w1", "metrics:w1 | metrics:w1");
    expect(*state, "channels=logs:api:w1", "logs:api:w1 | logs:api:w1"); /* the api's last segment is never missing */
}

static void test_widening(void **state)
{
    expect(*state, "channels=logs:w1:f1", "logs:w1:f1 logs:*:w1:f1");
    expect(*state, "channels=logs:etl:w1", "logs:etl:w1");
    expect(*state, "channels=logs:*:w1", "logs:*:w1"); /* the etl's service-level channel */
    expect(*state, "channels=logs:w1:*", "logs:*:w1:* logs:w1:*");
    expect(*state, "channels=logs:w1", "logs:w1 | logs:w1");
}

static void test_keys(void **state)
{
    expect(*state, "service=etl&workspace_id=w1&workflow_id=f1", "logs:etl:w1:f1");
    expect(*state, "service=etl&workspace_id=w1&function_id=f1", "logs:etl:w1:f1");
    expect(*state, "service=etl&workspace_id=w1&resource_id=f1", "logs:etl:w1:f1");
    expect(*state, "service=etl&workspace_id=w1", "logs:etl:w1 logs:etl:w1:*");
    expect(*state, "service=api&workspace_id=w1", "logs:api:w1 logs:api:w1:*"); /* one half of it can be produced */
    expect(*state, "workspace_id=w1&workflow_id=f1", "logs:*:w1:f1");
    expect(*state, "service=etl", "logs:etl:*");
    expect(*state, "service=etl&workflow_id=f1", "logs:etl:*:f1");
    expect(*state, "workspace_id=w1", "logs:*:w1 logs:*:w1:*");
    /* A value is never a pattern, and never two segments. */
    expect(*state, "service=etl&workspace_id=*&workflow_id=a:b", "logs:etl:%2A:a%3Ab");
}

static void test_aliases(void **state)
{
    const char *template = "logs:etl:{workspace_id}:{workflow_id}";
    expect_alias(*state, "workspace_id=w1&workflow_id=f1", template, "logs:etl:w1:f1");
    expect_alias(*state, "workspace_id=w1", template, "logs:etl:w1 logs:etl:w1:*");
    expect_alias(*state, "workspace_id=*&workflow_id=f1", template, "logs:etl:%2A:f1");
    expect_alias(*state, "", "logs:*", "logs:*");
    refuse(*state, "workflow_id=f1", template, "missing_parameter");
    refuse(*state, "", template, "missing_parameter");
}

static void test_refused(void **state)
{
    refuse(*state, "", NULL, "missing_channels");
    refuse(*state, "channels=,", NULL, "missing_channels");
    refuse(*state, "channels=logs:a*", NULL, "invalid_channel");
    refuse(*state, "channels=logs::x", NULL, "invalid_channel");
    refuse(*state, "channels=a,b,c,d,e,f", NULL, "too_many_channels");
    char query[200] = "workspace_id=";
    memset(query + strlen(query), 'a', TAILWATER_SEGMENT_MAX + 1); /* one byte too long */
    refuse(*state, query, NULL, "invalid_parameter");
}

static bool wants(const struct subscription *s, const char *channel)
{
    return subscription_wants(s, (struct slice){channel, strlen(channel)});
}

static void test_wants(void **state)
{
    struct subscription *s;
    const char *code;
    assert_int_equal(make(*state, "channels=logs:etl:w1:f1,logs:etl:w1,logs:api:w2:*,a,b", NULL, &s, &code), 0);
    assert_true(wants(s, "a"));
    assert_true(wants(s, "b"));
    assert_true(wants(s, "logs:etl:w1"));
    assert_true(wants(s, "logs:etl:w1:f1"));
    assert_true(wants(s, "logs:api:w2:f9"));
    assert_false(wants(s, "logs:api:w2"));
    assert_false(wants(s, "logs:etl:w1:f2"));
    assert_false(wants(s, "ab"));
    assert_false(wants(s, "logs:etl"));
    subscription_free(s);
    subscription_free(NULL);
}

/* The names of a list, joined by commas. */
static unsigned split(char *list, char *out[8])
{
    unsigned count = 0;
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        out[count++] = name;
    }
    return count;
}

/* Make a subscription of a query, then of that another. */
static int change(struct http_context *context, const char *query, const char *add, const char *remove,
                  struct subscription **s, const char **code)
{
    struct error err = {0};
    struct subscription *old;
    char adds[200], removes[200], *add_list[8], *remove_list[8];
    snprintf(adds, sizeof adds, "%s", add);
    snprintf(removes, sizeof removes, "%s", remove);
    struct subscription_change wanted = {.add = add_list, .remove = remove_list};
    wanted.add_count = split(adds, add_list);
    wanted.remove_count = split(removes, remove_list);
    assert_int_equal(make(context, query, NULL, &old, code), 0);
    int rc = subscription_changed(old, &wanted, context, s, code, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    subscription_free(old);
    return rc == 0 ? grant(context, *s, "*", code) : rc;
}

static void expect_change(struct http_context *context, const char *query, const char *add, const char *remove,
                          const char *want)
{
    struct subscription *s;
    const char *code = NULL;
    char text[2000] = "";
    assert_int_equal(change(context, query, add, remove, &s, &code), 0);
    write_list(s, text, sizeof text);
    assert_string_equal(text, want);
    subscription_free(s);
}

static void refuse_change(struct http_context *context, const char *query, const char *add, const char *remove,
                          const char *want)
{
    struct subscription *s;
    const char *code = NULL;
    assert_int_equal(change(context, query, add, remove, &s, &code), -1);
    assert_string_equal(code, want);
}

static void test_change(void **state)
{
    expect_change(*state, "channels=logs:etl:w1:f1", "logs:api:*", "", "logs:etl:w1:f1 logs:api:*");
    expect_change(*state, "channels=logs:etl:w1:f1,logs:*", "", "logs:*", "logs:etl:w1:f1");
    expect_change(*state, "channels=logs:etl:w1:f1", "logs:etl:w1:f1", "", "logs:etl:w1:f1");
    expect_change(*state, "channels=logs:etl:w1:f1", "", "logs:etl:w9:f9", "logs:etl:w1:f1");
    expect_change(*state, "channels=logs:etl:w1:f1", "logs:etl:w1:f1", "logs:etl:w1:f1", "logs:etl:w1:f1");
    expect_change(*state, "channels=a", "b", "", "a b | a b");
    expect_change(*state, "channels=a,logs:etl:w1", "", "a", "logs:etl:w1");
}

static void test_change_of_widened_channels(void **state)
{
    expect_change(*state, "channels=logs:etl:*", "logs:w1:f1", "", "logs:w1:f1 logs:*:w1:f1 logs:etl:*");
    expect_change(*state, "channels=logs:w1:f1,logs:etl:*", "", "logs:w1:f1", "logs:etl:*");
    expect_change(*state, "service=etl&workspace_id=w1&channels=a", "", "logs:etl:w1", "a | a");
    /* The wider one can go alone, and stays when it was asked for as well. */
    expect_change(*state, "channels=logs:w1:f1,logs:etl:*", "", "logs:*:w1:f1", "logs:w1:f1 logs:etl:* | logs:w1:f1");
    expect_change(*state, "channels=logs:w1:f1,logs:*:w1:f1", "", "logs:w1:f1", "logs:*:w1:f1");
    expect_change(*state, "channels=logs:w1:f1,logs:*:w1:f1,a", "", "logs:*:w1:f1",
                  "a logs:w1:f1 | logs:w1:f1 a");
    /* Asked for in two ways: what is below belongs to itself. */
    expect_change(*state, "channels=logs:etl:w1,a&service=etl&workspace_id=w1", "", "a", "logs:etl:w1 logs:etl:w1:*");
}

static void test_change_refused(void **state)
{
    refuse_change(*state, "channels=a", "", "a", "missing_channels");
    refuse_change(*state, "channels=logs:w1:f1", "", "logs:w1:f1,logs:*:w1:f1", "missing_channels");
    refuse_change(*state, "channels=a", "b c", "", "invalid_channel");
    refuse_change(*state, "channels=a", "", "b*", "invalid_channel");
    refuse_change(*state, "channels=a,b,c,d,e", "f", "", "too_many_channels");
    expect_change(*state, "channels=a,b,c,d,e", "f", "a", "b c d e f | b c d e f");
}

/* What is asked for, what is granted; the list, what is unmatched and what is denied: "a b | c ! d". */
static void expect_granted(struct http_context *context, const char *query, const char *patterns, const char *want)
{
    struct subscription *all, *s;
    const char *code = NULL;
    char text[2000] = "";
    assert_int_equal(make(context, query, NULL, &all, &code), 0);
    s = subscription_copy_asked(all);
    subscription_free(all);
    assert_int_equal(grant(context, s, patterns, &code), 0);
    write_list(s, text, sizeof text);
    for (unsigned i = 0; i < s->denied_count; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : " ! ", s->denied[i]);
    }
    assert_string_equal(text, want);
    subscription_free(s);
}

static void test_granted(void **state)
{
    expect_granted(*state, "channels=logs:*", "logs:etl:w1:*", "logs:etl:w1:*");
    expect_granted(*state, "channels=logs:etl:w1:f1", "logs:etl:*", "logs:etl:w1:f1");
    expect_granted(*state, "channels=logs:etl:w1:f1,logs:api:w1:f1", "logs:etl:*,logs:etl:w1:f1",
                   "logs:etl:w1:f1 ! logs:api:w1:f1");
    expect_granted(*state, "channels=logs:*:w1:*", "logs:etl:*,logs:api:*:f2", "logs:api:w1:f2 logs:etl:w1:*");
    expect_granted(*state, "channels=logs:etl:*,logs:*:w1:f1", "logs:etl:w1:f1", "logs:etl:w1:f1");
    expect_granted(*state, "channels=a", "", " ! a");
    expect_granted(*state, "channels=*", "*:*:w1:f1", "*:*:w1:f1");
    expect_granted(*state, "channels=*", "alerts:%2A,logs:api:a%3Ab:c", "alerts:%2A logs:api:a%3Ab:c");
}

/* Of what is denied not even that it does not exist is told; of a widened one neither. */
static void test_granted_tells_nothing(void **state)
{
    expect_granted(*state, "channels=nothing:there,logs:etl:w1:f1", "logs:*", "logs:etl:w1:f1 ! nothing:there");
    expect_granted(*state, "channels=nothing:there", "*", "nothing:there | nothing:there");
    expect_granted(*state, "channels=logs:w1:f1", "logs:api:*", "logs:api:w1:f1");
    expect_granted(*state, "channels=logs:w1:f1", "logs:api:w2:*", " ! logs:w1:f1");
}

static void test_granted_too_much(void **state)
{
    struct subscription *s;
    const char *code = NULL;
    struct error err;
    static char texts[5000][16];
    static char *patterns[5000];
    for (int i = 0; i < 5000; i++) {
        snprintf(texts[i], sizeof texts[i], "logs:etl:w%d", i);
        patterns[i] = texts[i];
    }
    assert_int_equal(make(*state, "channels=logs:*", NULL, &s, &code), 0);
    struct subscription *again = subscription_copy_asked(s);
    assert_int_equal(subscription_grant(again, *state, patterns, 5000, &code, &err), -1);
    assert_string_equal(code, "too_many_channels");
    subscription_free(again);
    again = subscription_copy_asked(s);
    assert_int_equal(subscription_grant(again, *state, patterns, 4000, &code, &err), 0);
    assert_int_equal(again->count, 4000);
    assert_true(subscription_covers(again, "logs:etl:w7", 11));
    assert_false(subscription_covers(again, "logs:etl:*", 10));
    subscription_free(again);
    subscription_free(s);
}

/* The same for the same questions, in whatever order. */
static void test_asked(void **state)
{
    const char *const queries[] = {"channels=b,logs:w1:f1,a", "channels=a,b,a,logs:w1:f1"};
    for (int i = 0; i < 2; i++) {
        struct subscription *s;
        const char *code;
        struct buffer asked = BUFFER_INIT;
        assert_int_equal(make(*state, queries[i], NULL, &s, &code), 0);
        subscription_append_asked(s, &asked);
        assert_string_equal(buffer_text(&asked), "a,b,logs:w1:f1");
        buffer_fini(&asked);
        subscription_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_widening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_aliases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change_of_widened_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_granted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_granted_tells_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_granted_too_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("subscription", tests, NULL, NULL);
}
