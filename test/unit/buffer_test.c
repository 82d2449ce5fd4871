/* buffer - growth, formatting, and JSON strings out of any bytes: the repair of UTF-8 is checked against the ranges of
 * Unicode's table 3-7. */
#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define BAD "\xef\xbf\xbd"

static void expect_json(const char *bytes, size_t len, const char *want)
{
    struct buffer b = BUFFER_INIT;
    buffer_append_json(&b, bytes, len);
    assert_string_equal(buffer_text(&b), want);
    buffer_fini(&b);
}

#define EXPECT_JSON(literal, want) expect_json((literal), sizeof(literal) - 1, (want))

static void test_append(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    assert_string_equal(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++) {
        buffer_append_byte(&b, 'a');
        buffer_append_text(&b, "bc");
        buffer_append(&b, "def", 3);
        buffer_append(&b, NULL, 0);
    }
    assert_int_equal(b.len, 6000);
    assert_memory_equal(b.data + 5994, "abcdef", 6);
    size_t cap = b.cap;
    buffer_shrink(&b, 10); /* not while there is content */
    assert_int_equal(b.cap, cap);
    buffer_reset(&b);
    assert_int_equal(b.len, 0);
    buffer_shrink(&b, cap);
    assert_int_equal(b.cap, cap);
    buffer_shrink(&b, 10);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    buffer_fini(&b);
}

/* Around the size at which formatting needs a second try. */
static void test_printf(void **state)
{
    (void)state;
    char text[300];
    for (int n = 100; n < 300; n++) {
        struct buffer b = BUFFER_INIT;
        memset(text, 'x', sizeof text);
        text[n - 1] = '\0';
        buffer_printf(&b, "%s:%d", text, 7);
        assert_int_equal(b.len, n + 1);
        assert_memory_equal(b.data, text, (size_t)n - 1);
        assert_memory_equal(b.data + n - 1, ":7", 2);
        buffer_fini(&b);
    }
}

static void test_memory(void **state)
{
    (void)state;
    char *copy = memory_copy("a\0b", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    copy = memory_resize(copy, 100);
    assert_memory_equal(copy, "a\0b\0", 4);
    struct buffer owner = {copy, 0, 100};
    buffer_fini(&owner);
    owner = (struct buffer){memory_text(""), 0, 1};
    assert_string_equal(owner.data, "");
    buffer_fini(&owner);
    owner = (struct buffer){memory_zero(3, 0), 0, 1}; /* not NULL */
    assert_non_null(owner.data);
    buffer_fini(&owner);
}

static void test_json_escapes(void **state)
{
    (void)state;
    EXPECT_JSON("", "");
    EXPECT_JSON("plain text/", "plain text/");
    EXPECT_JSON("a\"b\\c", "a\\\"b\\\\c");
    EXPECT_JSON("\b\t\n\f\r", "\\b\\t\\n\\f\\r");
    EXPECT_JSON("\0\x01\x1f\x7f", "\\u0000\\u0001\\u001f\\u007f");
    EXPECT_JSON("\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", "\\u0080\\u0085\\u009f\xc2\xa0");
    EXPECT_JSON("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa");
    EXPECT_JSON("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8a", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8a");
}

/* One U+FFFD per maximal subpart: the examples of Unicode 15, tables 3-8 to 3-11. */
static void test_json_repairs(void **state)
{
    (void)state;
    EXPECT_JSON("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82" "A", BAD BAD BAD BAD BAD BAD BAD BAD "A");
    EXPECT_JSON("\xed\xa0\x80\xed\xbf\xbf\xed\xaf" "A", BAD BAD BAD BAD BAD BAD BAD BAD "A");
    EXPECT_JSON("\xf4\x91\x92\x93\xff" "A\x80\xbf" "B", BAD BAD BAD BAD BAD "A" BAD BAD "B");
    EXPECT_JSON("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf" "A", BAD BAD BAD BAD "A");
    EXPECT_JSON("\xe2\x82", BAD); /* cut at the end */
    EXPECT_JSON("\xf0\x9f\x8c", BAD);
    EXPECT_JSON("\xc3", BAD);
    EXPECT_JSON("\xe2\x82\"", BAD "\\\"");
    EXPECT_JSON("\xf5\xfe\xff", BAD BAD BAD);
}

/* --- any bytes, against table 3-7 written down once more -------------------------------------------------------- */

struct range {
    unsigned char low, high;
};

static const struct {
    unsigned len;
    struct range bytes[4];
} table_3_7[] = {
    {1, {{0x00, 0x7f}}},
    {2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
    {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
    {3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
};

/* How many bytes of the row match from s on. */
static unsigned matched(unsigned row, const unsigned char *s, size_t len)
{
    unsigned n = 0;
    while (n < table_3_7[row].len && n < len && s[n] >= table_3_7[row].bytes[n].low &&
           s[n] <= table_3_7[row].bytes[n].high) {
        n++;
    }
    return n;
}

/* The expected text: well-formed sequences stay, the longest prefix of one that is not completed gives one U+FFFD. */
static void repair(const unsigned char *s, size_t len, struct buffer *out)
{
    while (len > 0) {
        unsigned best = 0, row_of_best = 0;
        for (unsigned row = 0; row < sizeof table_3_7 / sizeof table_3_7[0]; row++) {
            unsigned n = matched(row, s, len);
            row_of_best = n > best ? row : row_of_best;
            best = n > best ? n : best;
        }
        if (best > 0 && best == table_3_7[row_of_best].len) {
            buffer_append(out, s, best);
        } else {
            buffer_append(out, BAD, 3);
        }
        s += best ? best : 1;
        len -= best ? best : 1;
    }
}

/* Undo the escapes, as far as buffer_append_json() uses them. */
static void unescape(struct buffer *b, struct buffer *out)
{
    const char *at = buffer_text(b), *end = at + b->len;
    for (; at < end; at++) {
        unsigned code;
        const char *shorthand = "b\bt\tn\nf\fr\r\"\"\\\\";
        if (*at != '\\') {
            assert_true((unsigned char)*at >= 0x20 && *at != 0x7f && *at != '"');
            buffer_append_byte(out, *at);
        } else if (*++at == 'u') {
            assert_int_equal(sscanf(at + 1, "%4x", &code), 1);
            at += 4;
            char utf8[3] = {(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 63)), (char)(0x80 | (code & 63))};
            char two[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 63))};
            char one = (char)code;
            buffer_append(out, code < 0x80 ? &one : code < 0x800 ? two : utf8, code < 0x80 ? 1 : code < 0x800 ? 2 : 3);
        } else {
            while (*shorthand != *at) {
                shorthand += 2;
            }
            buffer_append_byte(out, shorthand[1]);
        }
    }
}

static void test_json_any_bytes(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x85, 0x8f, 0x90, 0x9f, 0xa0, 0xa8, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xe2, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1,
                                          0xf3, 0xf4, 0xf5, 0xff};
    const unsigned n = sizeof edges;
    struct buffer json = BUFFER_INIT, got = BUFFER_INIT, want = BUFFER_INIT;
    for (unsigned i = 0; i < n * n * n * n; i++) {
        unsigned char s[4] = {edges[i % n], edges[i / n % n], edges[i / n / n % n], edges[i / n / n / n]};
        buffer_reset(&json);
        buffer_reset(&got);
        buffer_reset(&want);
        buffer_append_json(&json, (const char *)s, sizeof s);
        unescape(&json, &got);
        repair(s, sizeof s, &want);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.data, want.data, want.len);
    }
    buffer_fini(&json);
    buffer_fini(&got);
    buffer_fini(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),       cmocka_unit_test(test_printf),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_json_escapes), cmocka_unit_test(test_json_repairs), cmocka_unit_test(test_json_any_bytes),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
