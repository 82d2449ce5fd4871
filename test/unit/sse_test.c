/* sse - writing and parsing, rule by rule of WHATWG HTML section 9.2. */
#include "tailwater/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text literal with its length; may hold NUL. */
#define TEXT(literal) (literal), sizeof(literal) - 1

enum { LOG_MAX = 4096, LIMIT = 1024 };

/* What the handler saw, one line an event: "[id|event|data]", "(retry)". */
struct log {
    char text[LOG_MAX];
    size_t len;
};

static void log_put(struct log *log, const char *bytes, size_t len)
{
    assert_true(log->len + len < LOG_MAX);
    memcpy(log->text + log->len, bytes, len);
    log->len += len;
    log->text[log->len] = '\0';
}

static void on_event(void *context, const struct tailwater_sse_event *event)
{
    log_put(context, TEXT("["));
    log_put(context, event->id, event->id_len);
    log_put(context, TEXT("|"));
    log_put(context, event->event, event->event_len);
    log_put(context, TEXT("|"));
    log_put(context, event->data, event->data_len);
    log_put(context, TEXT("]"));
}

static void on_retry(void *context, uint32_t retry_ms)
{
    char text[16];
    int len = snprintf(text, sizeof text, "(%u)", (unsigned)retry_ms);
    log_put(context, text, (size_t)len);
}

static const struct tailwater_sse_handler handler = {on_event, on_retry};

/* Feed in pieces of piece bytes; each piece lives in memory of its own that is gone afterwards. */
static enum tailwater_sse_outcome feed(struct tailwater_sse_parser *parser, const char *bytes, size_t len, size_t piece)
{
    enum tailwater_sse_outcome outcome = tailwater_sse_parser_feed(parser, NULL, 0);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes + at, n);
        outcome = tailwater_sse_parser_feed(parser, copy, n);
        memset(copy, '#', n);
        free(copy);
    }
    return outcome;
}

/* The stream gives exactly this, however it is cut. */
static void expect(const char *stream, size_t len, const char *want)
{
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct log log = {.len = 0};
        struct tailwater_sse_parser *parser = tailwater_sse_parser_new(LIMIT, &handler, &log);
        assert_int_equal(feed(parser, stream, len, piece), TAILWATER_SSE_FED);
        assert_string_equal(log.text, want);
        tailwater_sse_parser_free(parser);
    }
}

#define EXPECT(stream, want) expect(TEXT(stream), want)

static void test_parse_fields(void **state)
{
    (void)state;
    EXPECT("data: a\n\n", "[|message|a]");
    EXPECT("id: 1\nevent: logs\ndata: {\"a\":1}\n\n", "[1|logs|{\"a\":1}]");
    EXPECT("data:a\n\ndata:  a\n\n", "[|message|a][|message| a]");
    EXPECT("data: a\ndata: b\ndata\ndata:\n\n", "[|message|a\nb\n\n]");
    EXPECT("data\n\n", "[|message|]");
    EXPECT("data:\n\n", "[|message|]");
    EXPECT("data\ndata\n\n", "[|message|\n]");
    EXPECT("data: a:b: c\n\n", "[|message|a:b: c]");
    EXPECT("Data: a\n data: b\ndata : c\nunknown: d\nunknown\n\n", "");
    EXPECT("event: x\n\ndata: a\n\n", "[|message|a]");
    EXPECT("event: x\nevent: y\ndata: a\n\n", "[|y|a]");
    EXPECT("event: x\nevent\ndata: a\n\n", "[|message|a]");
    EXPECT(": note\n:\n:: x\ndata: a\n: between\ndata: b\n\n", "[|message|a\nb]");
    EXPECT("", "");
    EXPECT("\n\n\n", "");
}

static void test_parse_line_ends(void **state)
{
    (void)state;
    EXPECT("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[|message|a][|message|b][|message|c]");
    EXPECT("data: a\r\ndata: b\rdata: c\n\r\n", "[|message|a\nb\nc]");
    EXPECT("data: a\n\r\ndata: b\r\n\n", "[|message|a][|message|b]");
    EXPECT("id: 1\r\n\r\r\n\ndata: x\r\r", "[1|message|x]");
    EXPECT("data: a\xe2\x80\xa8" "b\x0b\x0c\x85\n\n", "[|message|a\xe2\x80\xa8" "b\x0b\x0c\x85]");
}

static void test_parse_unfinished(void **state)
{
    (void)state;
    EXPECT("data: a\n", "");
    EXPECT("data: a\n\ndata: b\nid: 2", "[|message|a]");
    EXPECT("data: a\r", "");
}

static void test_parse_byte_order_mark(void **state)
{
    (void)state;
    EXPECT("\xef\xbb\xbf" "data: a\n\n", "[|message|a]");
    EXPECT("\xef\xbb\xbf\n" "data: a\n\n", "[|message|a]");
    EXPECT("\xef\xbb\xbf\xef\xbb\xbf" "data: a\n\ndata: b\n\n", "[|message|b]");
    EXPECT("\n\xef\xbb\xbf" "data: a\n\n", "");
    EXPECT("\xef\xbb" "data: a\n\n", "");
    EXPECT("data: a\n\n\xef\xbb\xbf" "data: b\n\n", "[|message|a]");
}

static void test_parse_id(void **state)
{
    (void)state;
    EXPECT("id: 1\ndata: a\n\ndata: b\n\n", "[1|message|a][1|message|b]");
    EXPECT("id: 1\ndata: a\n\nid\ndata: b\n\n", "[1|message|a][|message|b]");
    EXPECT("id: 1\ndata: a\n\nid: \ndata: b\n\n", "[1|message|a][|message|b]");
    EXPECT("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", "[1|message|a][1|message|b]");
    EXPECT("id: 1\n\ndata: b\n\n", "[1|message|b]");
    EXPECT("id: 1\nid: 2\ndata: b\n\n", "[2|message|b]");
    EXPECT("data: a\nid: 7\n\n", "[7|message|a]");
}

static void test_parse_retry(void **state)
{
    (void)state;
    EXPECT("retry: 3000\n", "(3000)");
    EXPECT("retry:0\nretry: 12x\nretry: -1\nretry\nretry: \nretry:  5\nretry: 1.5\n", "(0)");
    EXPECT("retry: 4294967294\nretry: 4294967295\nretry: 4294967296\nretry: 99999999999999999999\n",
           "(4294967294)(4294967295)(4294967295)(4294967295)");
    EXPECT("retry: 7\nid: 1\ndata: a\n\n", "(7)[1|message|a]");
}

static void assert_last_id(struct tailwater_sse_parser *parser, const char *want)
{
    size_t len;
    const char *id = tailwater_sse_parser_last_id(parser, &len);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(id, want, len);
}

static void test_last_id_over_a_reconnect(void **state)
{
    (void)state;
    struct log log = {.len = 0};
    struct tailwater_sse_parser *parser = tailwater_sse_parser_new(LIMIT, &handler, &log);
    assert_last_id(parser, "");
    feed(parser, TEXT("id: 1\ndata: a\n\nid: 2\ndata: cut off\n"), 5);
    assert_last_id(parser, "1");
    tailwater_sse_parser_reset(parser);
    assert_last_id(parser, "1");
    feed(parser, TEXT("\xef\xbb\xbf" "data: b\n\n"), 4);
    assert_string_equal(log.text, "[1|message|a][1|message|b]");
    feed(parser, TEXT("id: 3\n\n"), 4);
    assert_last_id(parser, "3");
    feed(parser, TEXT("id\n\n"), 4);
    assert_last_id(parser, "");
    tailwater_sse_parser_free(parser);
    tailwater_sse_parser_free(NULL);
}

/* A CR at the very end of a stream has no LF in the next one. */
static void test_reset_forgets_the_carriage_return(void **state)
{
    (void)state;
    struct log log = {.len = 0};
    struct tailwater_sse_parser *parser = tailwater_sse_parser_new(LIMIT, &handler, &log);
    feed(parser, TEXT("data: a\r"), 100);
    tailwater_sse_parser_reset(parser);
    feed(parser, TEXT("\ndata: b\n\n"), 100);
    assert_string_equal(log.text, "[|message|b]");
    tailwater_sse_parser_free(parser);
}

static void expect_limit(const char *stream, size_t len, size_t limit, enum tailwater_sse_outcome want)
{
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct log log = {.len = 0};
        struct tailwater_sse_parser *parser = tailwater_sse_parser_new(limit, &handler, &log);
        assert_int_equal(feed(parser, stream, len, piece), want);
        if (want == TAILWATER_SSE_TOO_LARGE) {
            assert_int_equal(feed(parser, TEXT("\n\ndata: x\n\n"), 100), TAILWATER_SSE_TOO_LARGE);
            assert_string_equal(log.text, "");
            tailwater_sse_parser_reset(parser);
            assert_int_equal(feed(parser, TEXT("data: x\n\n"), 100), TAILWATER_SSE_FED);
            assert_string_equal(log.text, "[|message|x]");
        }
        tailwater_sse_parser_free(parser);
    }
}

static void test_limit(void **state)
{
    (void)state;
    expect_limit(TEXT("data: 7890\n\n"), 10, TAILWATER_SSE_FED);
    expect_limit(TEXT("data: 78901\n\n"), 10, TAILWATER_SSE_TOO_LARGE);
    expect_limit(TEXT("data: 78901"), 10, TAILWATER_SSE_TOO_LARGE);
    expect_limit(TEXT(": 345678901"), 10, TAILWATER_SSE_TOO_LARGE);
    expect_limit(TEXT("data: 7\ndata: 7\n\n"), 10, TAILWATER_SSE_FED);
    expect_limit(TEXT("data: 7\ndata: 7\ndata: 7\n\n"), 10, TAILWATER_SSE_FED);
    expect_limit(TEXT("data: 7\ndata: 7\ndata: 7\ndata: 7\n\n"), 10, TAILWATER_SSE_TOO_LARGE);
    expect_limit(TEXT(":\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\ndata: 1\n\ndata: 2\n\n"), 10, TAILWATER_SSE_FED);
}

static void assert_written(const struct tailwater_sse_frame *frame, const char *want)
{
    size_t len = strlen(want);
    assert_int_equal(tailwater_sse_write(frame, NULL, 0), len);
    char *out = malloc(len + 1); /* exact, so that AddressSanitizer sees a byte too many */
    assert_non_null(out);
    for (size_t cap = 0; cap <= len; cap++) {
        assert_int_equal(tailwater_sse_write(frame, out, cap), len);
    }
    assert_memory_equal(out, want, len);
    free(out);
}

static void test_write(void **state)
{
    (void)state;
    assert_written(&(struct tailwater_sse_frame){.data = NULL}, "data: \n\n");
    assert_written(&(struct tailwater_sse_frame){"1", 1, "logs", 4, "{}", 2}, "id: 1\nevent: logs\ndata: {}\n\n");
    assert_written(&(struct tailwater_sse_frame){.id = "", .data = "a", .data_len = 1}, "id: \ndata: a\n\n");
    assert_written(&(struct tailwater_sse_frame){.event = "", .data = "a", .data_len = 1}, "data: a\n\n");
    assert_written(&(struct tailwater_sse_frame){.data = "a\nb\rc\r\nd", .data_len = 8},
                   "data: a\ndata: b\ndata: c\ndata: d\n\n");
    assert_written(&(struct tailwater_sse_frame){.data = "\n\n", .data_len = 2}, "data: \ndata: \ndata: \n\n");
    assert_written(&(struct tailwater_sse_frame){.data = "a\r\n", .data_len = 3}, "data: a\ndata: \n\n");
    assert_written(&(struct tailwater_sse_frame){.data = "a\r", .data_len = 2}, "data: a\ndata: \n\n");
    assert_written(&(struct tailwater_sse_frame){.data = " a", .data_len = 2}, "data:  a\n\n");
}

static void test_write_refuses(void **state)
{
    (void)state;
    static const char bad[] = {'\r', '\n', '\0'};
    for (size_t i = 0; i < sizeof bad; i++) {
        const char text[3] = {'a', bad[i], 'b'};
        char out[64];
        assert_int_equal(tailwater_sse_write(&(struct tailwater_sse_frame){.id = text, .id_len = 3}, out, 64), 0);
        assert_int_equal(tailwater_sse_write(&(struct tailwater_sse_frame){.event = text, .event_len = 3}, out, 64), 0);
    }
}

static void test_write_retry(void **state)
{
    (void)state;
    char out[TAILWATER_SSE_RETRY_MAX];
    assert_int_equal(tailwater_sse_write_retry(3000, out, sizeof out), 12);
    assert_memory_equal(out, "retry: 3000\n", 12);
    assert_int_equal(tailwater_sse_write_retry(UINT32_MAX, out, sizeof out), TAILWATER_SSE_RETRY_MAX);
    assert_int_equal(tailwater_sse_write_retry(0, NULL, 0), 9);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char data[] = "one\n\n two: x\nid: 5\ndata: y\n:";
    const struct tailwater_sse_frame frame = {"6b01-5f", 7, "logs", 4, TEXT(data)};
    char out[256];
    size_t head = tailwater_sse_write_retry(1234, out, sizeof out);
    size_t len = head + tailwater_sse_write(&frame, out + head, sizeof out - head);
    assert_true(len <= sizeof out);
    char want[256];
    snprintf(want, sizeof want, "(1234)[6b01-5f|logs|%s]", data);
    expect(out, len, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_fields),
        cmocka_unit_test(test_parse_line_ends),
        cmocka_unit_test(test_parse_unfinished),
        cmocka_unit_test(test_parse_byte_order_mark),
        cmocka_unit_test(test_parse_id),
        cmocka_unit_test(test_parse_retry),
        cmocka_unit_test(test_last_id_over_a_reconnect),
        cmocka_unit_test(test_reset_forgets_the_carriage_return),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_refuses),
        cmocka_unit_test(test_write_retry),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
