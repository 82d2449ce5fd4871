/* channel - the grammar in a table; matching and overlap checked by brute force over a small alphabet. */
#include "tailwater/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define TEXT(literal) (literal), sizeof(literal) - 1

enum { CHANNEL = 1, PATTERN = 2 };

static const struct {
    const char *text;
    size_t len;
    int valid; /* as what */
} grammar[] = {
    {TEXT("logs"), CHANNEL | PATTERN},
    {TEXT("logs:etl:w1:f1"), CHANNEL | PATTERN},
    {TEXT("1:2:3:4:5:6:7:8"), CHANNEL | PATTERN},
    {TEXT("1:2:3:4:5:6:7:8:9"), 0},
    {TEXT("1:2:3:4:5:6:7:*"), PATTERN},
    {TEXT("1:2:3:4:5:6:7:8:*"), 0},
    {TEXT(""), 0},
    {TEXT(":"), 0},
    {TEXT("a:"), 0},
    {TEXT(":a"), 0},
    {TEXT("a::b"), 0},
    {TEXT("*"), PATTERN},
    {TEXT("*:*"), PATTERN},
    {TEXT("logs:*:w1"), PATTERN},
    {TEXT("logs:a*"), 0},
    {TEXT("logs:**"), 0},
    {TEXT("logs:%2A"), CHANNEL | PATTERN},
    {TEXT("a%2c%3a"), CHANNEL | PATTERN},
    {TEXT("a%"), 0},
    {TEXT("a%2"), 0},
    {TEXT("a%2:b"), 0},
    {TEXT("a%2g"), 0},
    {TEXT("a,b"), 0},
    {TEXT("a b"), 0},
    {TEXT("a\tb"), 0},
    {TEXT("a\nb"), 0},
    {TEXT("a\0b"), 0},
    {TEXT("a\x7f"), 0},
    {TEXT("\xc2\x85"), 0},         /* NEL */
    {TEXT("\xc2\xa0"), 0},         /* no-break space */
    {TEXT("\xe2\x80\xa8"), 0},     /* line separator */
    {TEXT("\xe3\x80\x80"), 0},     /* ideographic space */
    {TEXT("\xef\xbb\xbf"), 0},     /* byte order mark */
    {TEXT("gr\xc3\xbc\xc3\x9f"), CHANNEL | PATTERN},
    {TEXT("\xf0\x9f\x8c\x8a"), CHANNEL | PATTERN},
    {TEXT("\xff"), 0},
    {TEXT("\xc3"), 0},             /* cut */
    {TEXT("\xc3:a"), 0},
    {TEXT("\xc0\xaf"), 0},         /* overlong */
    {TEXT("\xe0\x80\xaf"), 0},
    {TEXT("\xed\xa0\x80"), 0},     /* surrogate */
    {TEXT("\xf4\x90\x80\x80"), 0}, /* beyond U+10FFFF */
    {TEXT("a/b?c=d&e#f\"<>'{}[]"), CHANNEL | PATTERN},
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof grammar / sizeof grammar[0]; i++) {
        bool channel = tailwater_channel_problem(grammar[i].text, grammar[i].len, false) == NULL;
        bool pattern = tailwater_channel_problem(grammar[i].text, grammar[i].len, true) == NULL;
        if (channel != !!(grammar[i].valid & CHANNEL) || pattern != !!(grammar[i].valid & PATTERN)) {
            fail_msg("row %zu: %s", i, grammar[i].text);
        }
    }
}

static void test_lengths(void **state)
{
    (void)state;
    char text[TAILWATER_CHANNEL_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_null(tailwater_channel_problem(text, TAILWATER_SEGMENT_MAX, false));
    assert_non_null(tailwater_channel_problem(text, TAILWATER_SEGMENT_MAX + 1, false));
    for (size_t i = 100; i < sizeof text; i += 100) {
        text[i] = ':';
    }
    assert_null(tailwater_channel_problem(text, TAILWATER_CHANNEL_MAX, false));
    assert_non_null(tailwater_channel_problem(text, TAILWATER_CHANNEL_MAX + 1, false));
}

static void expect_encoded(const char *value, size_t len, const char *want)
{
    char out[TAILWATER_SEGMENT_MAX];
    assert_int_equal(tailwater_segment_encode(value, len, out), strlen(want));
    assert_memory_equal(out, want, strlen(want));
    if (*want) {
        assert_null(tailwater_channel_problem(out, strlen(want), false));
    }
}

static void test_encode(void **state)
{
    (void)state;
    expect_encoded(TEXT("w1"), "w1");
    expect_encoded(TEXT("*"), "%2A");
    expect_encoded(TEXT("a:b,c%d"), "a%3Ab%2Cc%25d");
    expect_encoded(TEXT(" \0\n"), "%20%00%0A");
    expect_encoded(TEXT("\xe2\x80\xa8"), "%E2%80%A8");
    expect_encoded(TEXT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
    expect_encoded(TEXT(""), "");
    expect_encoded(TEXT("a\xff"), "");
    expect_encoded(TEXT("\xc3"), "");
}

static void test_encode_lengths(void **state)
{
    (void)state;
    char value[TAILWATER_SEGMENT_MAX + 1], out[TAILWATER_SEGMENT_MAX];
    memset(value, 'a', sizeof value);
    assert_int_equal(tailwater_segment_encode(value, TAILWATER_SEGMENT_MAX, out), TAILWATER_SEGMENT_MAX);
    assert_int_equal(tailwater_segment_encode(value, TAILWATER_SEGMENT_MAX + 1, out), 0);
    value[0] = ':';
    assert_int_equal(tailwater_segment_encode(value, TAILWATER_SEGMENT_MAX - 2, out), TAILWATER_SEGMENT_MAX);
    assert_int_equal(tailwater_segment_encode(value, TAILWATER_SEGMENT_MAX - 1, out), 0);
}

/* --- brute force -------------------------------------------------------------------------------------------------- */

enum { DEPTH = 4, TEXTS_MAX = 128 };

struct texts {
    char list[TEXTS_MAX][2 * DEPTH];
    int count;
};

/* Every text of one to `depth` segments out of the letters. */
static void fill(struct texts *t, const char *letters, int depth)
{
    int from = 0, until = 0;
    t->count = 0;
    for (int level = 0; level < depth; level++) {
        for (int i = from; i < (level ? until : 1); i++) {
            for (const char *letter = letters; *letter; letter++) {
                assert_true(t->count < TEXTS_MAX);
                snprintf(t->list[t->count++], sizeof t->list[0], level ? "%.5s:%c" : "%.0s%c", t->list[i], *letter);
            }
        }
        from = until;
        until = t->count;
    }
}

/* The rule, said in another way: position by position, recursively. */
static bool matches(const char *pattern, const char *channel)
{
    bool last_of_pattern = pattern[1] == '\0', last_of_channel = channel[1] == '\0';
    if (*pattern == '*' && last_of_pattern) {
        return true;
    }
    if (*pattern != '*' && *pattern != *channel) {
        return false;
    }
    if (last_of_pattern || last_of_channel) {
        return last_of_pattern && last_of_channel;
    }
    return matches(pattern + 2, channel + 2);
}

static bool match(const char *pattern, const char *channel)
{
    return tailwater_pattern_match(pattern, strlen(pattern), channel, strlen(channel));
}

static void test_match(void **state)
{
    (void)state;
    static struct texts patterns, channels;
    fill(&patterns, "ab*", 3);
    fill(&channels, "abc", 4);
    for (int p = 0; p < patterns.count; p++) {
        for (int c = 0; c < channels.count; c++) {
            if (match(patterns.list[p], channels.list[c]) != matches(patterns.list[p], channels.list[c])) {
                fail_msg("%s %s", patterns.list[p], channels.list[c]);
            }
        }
    }
    assert_false(match("logs:a", "logs:ab"));
    assert_false(match("logs:ab", "logs:a"));
    assert_true(match("logs:*", "logs:etl:w1"));
    assert_false(match("logs:*", "logs"));
    assert_false(match("logs:*:w1", "logs:etl:w2:w1"));
}

/* What two patterns say of each other is what they say of every channel. */
static void check_overlap(const char *a, const char *b, const struct texts *channels)
{
    bool share = false, covers = true;
    for (int c = 0; c < channels->count; c++) {
        share = share || (match(a, channels->list[c]) && match(b, channels->list[c]));
        covers = covers && (match(a, channels->list[c]) || !match(b, channels->list[c]));
    }
    if (tailwater_pattern_overlap(a, strlen(a), b, strlen(b)) != share ||
        tailwater_pattern_covers(a, strlen(a), b, strlen(b)) != covers) {
        fail_msg("%s over %s", a, b);
    }
}

static void check_intersection(const char *a, const char *b, const struct texts *channels)
{
    char both[TAILWATER_CHANNEL_MAX];
    size_t len = tailwater_pattern_intersect(a, strlen(a), b, strlen(b), both);
    assert_true(len == 0 || !tailwater_channel_problem(both, len, true));
    for (int c = 0; c < channels->count; c++) {
        const char *channel = channels->list[c];
        bool is_in = len > 0 && tailwater_pattern_match(both, len, channel, strlen(channel));
        if (is_in != (match(a, channel) && match(b, channel))) {
            fail_msg("%s and %s at %s", a, b, channel);
        }
    }
}

static void test_pairs(void **state)
{
    (void)state;
    static struct texts patterns, channels;
    fill(&patterns, "ab*", 3);
    fill(&channels, "abc", 4);
    for (int i = 0; i < patterns.count; i++) {
        for (int k = 0; k < patterns.count; k++) {
            check_overlap(patterns.list[i], patterns.list[k], &channels);
            check_intersection(patterns.list[i], patterns.list[k], &channels);
        }
    }
}

/* No channel is so long, or has so many segments. */
static void test_intersect_lengths(void **state)
{
    (void)state;
    char a[TAILWATER_CHANNEL_MAX], b[TAILWATER_CHANNEL_MAX] = "*:*:*:*:", both[TAILWATER_CHANNEL_MAX];
    memset(a, 'x', sizeof a);
    for (int i = 120; i < 484; i += 121) {
        a[i] = ':';
    }
    const size_t a_len = 483; /* four segments of 120 bytes, "*" and "*" */
    memcpy(a + 483, ":*:*", 4);
    memset(b + 8, 'y', 100);
    memcpy(b + 108, ":*", 2);
    assert_int_equal(tailwater_pattern_intersect(a, a_len + 4, b, 110, both), 0);
    memcpy(b + 8 + 10, ":*", 2);
    assert_int_equal(tailwater_pattern_intersect(a, a_len + 4, b, 20, both), 483 + 1 + 10 + 2);
    const char *many = "*:*:*:*:*", *more = "a:b:c:d:e:f:g:h:*";
    assert_int_equal(tailwater_pattern_intersect(many, strlen(many), more, strlen(more), both), 0);
}

static void test_overlap_of_several(void **state)
{
    (void)state;
    const char list[] = "metrics:*,metrics,logs:etl:*";
    const size_t len = strlen(list);
    assert_true(tailwater_patterns_overlap(list, len, TEXT("metrics")));
    assert_true(tailwater_patterns_overlap(list, len, TEXT("metrics:w1")));
    assert_true(tailwater_patterns_overlap(list, len, TEXT("logs:*:w1")));
    assert_true(tailwater_patterns_overlap(list, len, TEXT("*")));
    assert_false(tailwater_patterns_overlap(list, len, TEXT("logs")));
    assert_false(tailwater_patterns_overlap(list, len, TEXT("logs:api:w1")));
    assert_false(tailwater_patterns_overlap("metrics:*", 9, TEXT("metrics")));
}

static void test_is_pattern(void **state)
{
    (void)state;
    assert_true(tailwater_channel_is_pattern(TEXT("*")));
    assert_true(tailwater_channel_is_pattern(TEXT("a:*")));
    assert_true(tailwater_channel_is_pattern(TEXT("a:*:b")));
    assert_false(tailwater_channel_is_pattern(TEXT("a:%2A:b")));
    assert_false(tailwater_channel_is_pattern("a:*", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar), cmocka_unit_test(test_lengths), cmocka_unit_test(test_encode),
        cmocka_unit_test(test_encode_lengths), cmocka_unit_test(test_match), cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_is_pattern), cmocka_unit_test(test_intersect_lengths),
        cmocka_unit_test(test_overlap_of_several),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
