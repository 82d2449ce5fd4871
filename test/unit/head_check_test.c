/* head_check - shapes of requests that RFC 9112 allows and refuses, each whole, byte by byte and cut at every place. */
#include "head_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const struct head_limits limits = {.header_bytes = 400, .body_bytes = 64};

#define HOST "Host: x\r\n"
#define GET(fields) "GET / HTTP/1.1\r\n" HOST fields "\r\n"
#define POST(fields) "POST / HTTP/1.1\r\n" HOST fields "\r\n"
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n") body
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

struct shape {
    const char *bytes;
    size_t len;
    int status;        /* 0: all requests in it are complete and valid */
    unsigned requests; /* complete ones, before the end or the refusal */
};

#define SHAPE(text, ...) {text, sizeof(text) - 1, __VA_ARGS__}

static const struct shape shapes[] = {
    /* section 2.2: lines */
    SHAPE(GET(""), 0, 1),
    SHAPE("\r\n" GET(""), 0, 1),
    SHAPE("\r\n\r\n" GET(""), 400, 0),
    SHAPE("\n" GET(""), 400, 0),
    SHAPE("GET / HTTP/1.1\n" HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: x\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\n" HOST "\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r" HOST "\r\n", 400, 0),
    SHAPE(GET("a: b\rc: d\r\n"), 400, 0),
    SHAPE(GET("a: b\r\r\n"), 400, 0),
    SHAPE("GET / HTTP/1.1\r\n " HOST "\r\n", 400, 0),
    SHAPE("\x16\x03\x01\x02", 400, 0),
    /* section 2.3: version */
    SHAPE("GET / HTTP/1.0\r\n\r\n", 0, 1),
    SHAPE("GET / HTTP/1.2\r\n" HOST "\r\n", 505, 0),
    SHAPE("GET / HTTP/2.0\r\n" HOST "\r\n", 505, 0),
    SHAPE("GET / HTTP/0.9\r\n\r\n", 505, 0),
    SHAPE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0),
    SHAPE("GET / HTTP/4294967297.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1.10\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / http/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1 \r\n" HOST "\r\n", 400, 0),
    SHAPE("GET /\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET\r\n\r\n", 400, 0),
    /* section 3: request line */
    SHAPE("G@T / HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE(" GET / HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET  / HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / x HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("get / HTTP/1.1\r\n" HOST "\r\n", 501, 0),
    SHAPE("BREW /pot HTTP/1.1\r\n" HOST "\r\n", 501, 0),
    SHAPE("CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 501, 0),
    SHAPE("GET /" FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY " HTTP/1.1\r\n", 414, 0),
    SHAPE(FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY TEN " / HTTP/1.1\r\n", 414, 0),
    /* section 3.2: target */
    SHAPE("GET /a?q={[|\"^`\\\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET /\0 HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET a HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://x:80/a HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET HTTPS://[::1]?q HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET http://x HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET http:/x HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http:///a HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://me@x/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET ftp://x/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1\n", 400, 0),
    SHAPE("BREW / \n", 400, 0),
    SHAPE("GET / HTTP/1. 1", 400, 0),
    SHAPE("GET http://x:/a HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET http://x:65535/ HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET http://x:65536/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://x:99999999999999999999999/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://x:8x/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://x]/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://%41/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://[2001:db8:0000:0000:0000:0000:255.255.255.255]:80/ HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET http://[::1/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://[]/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://[x]/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://[0000000000000000000000000000000000000000000000000::1]/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET http://[::1]8/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("POST http://x:80/ HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0, 1),
    SHAPE("GET //a/b HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET /// HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET //?a HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET // HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET //a\xe0 HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET //a^b HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET //a:x/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET //%zz HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("GET //[x/ HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 1),
    SHAPE("GET * HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    SHAPE("OPTIONS *x HTTP/1.1\r\n" HOST "\r\n", 400, 0),
    /* section 3.2: Host */
    SHAPE("GET / HTTP/1.1\r\n\r\n", 400, 0),
    SHAPE(GET("Host: y\r\n"), 400, 0),
    SHAPE(GET("HOST: x\r\n"), 400, 0),
    SHAPE("GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, 1),
    SHAPE("GET / HTTP/1.1\r\nHost:\t [::1]:3002 \r\n\r\n", 0, 1),
    SHAPE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: me@x\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: x:8x\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, 0),
    SHAPE("GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", 400, 0),
    /* section 5: fields */
    SHAPE(GET("a:b\r\nX-Y_z!: \t\xc3\xa9 \t c\t\r\n"), 0, 1),
    SHAPE(GET("a : b\r\n"), 400, 0),
    SHAPE(POST("Content-Length : 5\r\n") "hello", 400, 0),
    SHAPE(GET(": b\r\n"), 400, 0),
    SHAPE(GET("a\r\n"), 400, 0),
    SHAPE(GET("a b: c\r\n"), 400, 0),
    SHAPE(GET("a\xe9: c\r\n"), 400, 0),
    SHAPE(GET("a(: c\r\n"), 400, 0),
    SHAPE(GET("a: b\r\n c\r\n"), 400, 0),
    SHAPE(GET("a: b\r\n\tc\r\n"), 400, 0),
    SHAPE(GET("a: b\0c\r\n"), 400, 0),
    SHAPE(GET("a: b\x01\r\n"), 400, 0),
    SHAPE(GET("a: b\x7f\r\n"), 400, 0),
    SHAPE(GET("a\0: b\r\n"), 400, 0),
    SHAPE(GET("a: " FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY "\r\n"), 431, 0),
    SHAPE("GET / HTTP/1.1\r\na: " FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY, 431, 0),
    /* section 6.1: Transfer-Encoding */
    SHAPE(CHUNKED("5\r\nhello\r\n0\r\n\r\n"), 0, 1),
    SHAPE(POST("transfer-encoding:  Chunked \r\n") "0\r\n\r\n", 0, 1),
    SHAPE(POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") "0\r\n\r\n", 400, 0),
    SHAPE(POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", 400, 0),
    SHAPE(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: chunked, chunked\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: gzip, chunked\r\n"), 501, 0),
    SHAPE(POST("Transfer-Encoding: chunked, gzip\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: gzip\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: identity\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: xchunked\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: chunked;q=1\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding:\tchunked\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: chunked\t\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: \"chunked\"\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding:\r\n"), 400, 0),
    SHAPE(POST("Transfer-Encoding: " FIFTY ", chunked\r\n"), 501, 0),
    SHAPE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0),
    SHAPE("HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400, 0),
    /* section 6.2: Content-Length */
    SHAPE(POST("Content-Length: 5\r\n") "hello", 0, 1),
    SHAPE(POST("Content-Length:0005  \r\n") "hello", 0, 1),
    SHAPE(POST("Content-Length: 0\r\n"), 0, 1),
    SHAPE(POST(""), 0, 1),
    SHAPE(GET("Content-Length: 5\r\n") "hello", 0, 1),
    SHAPE("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0, 1),
    SHAPE("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 400, 0),
    SHAPE("TRACE / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 400, 0),
    SHAPE(POST("Content-Length: 5\r\nContent-Length: 5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 5\r\nContent-Length: 6\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 5, 5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: +5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: -5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 0x5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 5 5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 5.0\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length:\t5\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length:\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: five\r\n") "hello", 400, 0),
    SHAPE(POST("Content-Length: 64\r\n") FIFTY "0123456789abcd", 0, 1),
    SHAPE(POST("Content-Length: 65\r\n"), 413, 0),
    SHAPE(POST("Content-Length: 18446744073709551621\r\n"), 413, 0),
    SHAPE(POST("Content-Length: " FIFTY "\r\n"), 400, 0),
    /* section 7.1: chunks */
    SHAPE(CHUNKED("05\r\nhello\r\n3C\r\n" FIFTY TEN "\r\n"), 413, 0),
    SHAPE(CHUNKED("a\r\n" TEN "\r\nA\r\n" TEN "\r\n000\r\n\r\n"), 0, 1),
    SHAPE(CHUNKED("40\r\n" FIFTY "0123456789abcd\r\n0\r\n\r\n"), 0, 1),
    SHAPE(CHUNKED("41\r\n"), 413, 0),
    SHAPE(CHUNKED("ffffffffffffffff\r\n"), 413, 0),
    SHAPE(CHUNKED("00000000000000005\r\nhello\r\n"), 400, 0),
    SHAPE(CHUNKED("0x5\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("+5\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("-5\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED(" 5\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5 \r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5g\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5;a=b\r\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5\nhello\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5\r\nhello\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5\r\nhello!\r\n0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("5\r\nhello\r0\r\n\r\n"), 400, 0),
    SHAPE(CHUNKED("0\n\r\n"), 400, 0),
    SHAPE(CHUNKED("0\r\n\n"), 400, 0),
    SHAPE(CHUNKED("0\r\nHost: y\r\n\r\n"), 400, 0),
    /* RFC 9110 section 10.1.1 */
    SHAPE(POST("Expect: 100-Continue\r\nContent-Length: 1\r\n") "x", 0, 1),
    SHAPE(POST("Expect: the worst\r\n"), 417, 0),
    /* one behind the other */
    SHAPE(GET("") GET(""), 0, 2),
    SHAPE(GET("") "\r\n" POST("Content-Length: 3\r\n") "GET" CHUNKED("3\r\nGET\r\n0\r\n\r\n") GET(""), 0, 4),
    SHAPE(GET("") "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, 1),
    SHAPE(POST("Content-Length: 0\r\n") "x" GET(""), 501, 1),
    SHAPE(POST("Content-Length: 3\r\n") "xGET / HTTP/1.1\r\n" HOST "\r\n", 501, 1),
    SHAPE("GET / HTTP/1.0\r\n\r\n" "GET / HTTP/1.1\r\n\r\n", 400, 1),
};

/* What a feeding came to. */
struct outcome {
    enum head_verdict verdict;
    int status;
    const char *detail;
    unsigned requests;
    size_t taken;
};

/* Feed [from, to) of a shape, going from request to request. */
static void feed(struct head_check *check, struct outcome *outcome, const struct shape *shape, size_t from, size_t to)
{
    while (from < to && outcome->verdict != HEAD_REFUSED) {
        size_t used = 0;
        outcome->verdict = head_check_feed(check, shape->bytes + from, to - from, &used);
        from += used;
        outcome->taken += used;
        if (outcome->verdict == HEAD_DONE) {
            outcome->requests++;
            head_check_next(check);
        }
    }
    if (outcome->verdict == HEAD_REFUSED) {
        outcome->status = check->refusal->status;
        outcome->detail = check->refusal->detail;
    }
}

/* In three pieces, cut at a and b. */
static struct outcome feed_cut(const struct shape *shape, size_t a, size_t b)
{
    struct head_check check;
    struct outcome outcome = {HEAD_IDLE, 0, NULL, 0, 0};
    head_check_init(&check, &limits);
    feed(&check, &outcome, shape, 0, a);
    feed(&check, &outcome, shape, a, b);
    feed(&check, &outcome, shape, b, shape->len);
    return outcome;
}

static struct outcome feed_bytes(const struct shape *shape)
{
    struct head_check check;
    struct outcome outcome = {HEAD_IDLE, 0, NULL, 0, 0};
    head_check_init(&check, &limits);
    for (size_t i = 0; i < shape->len; i++) {
        feed(&check, &outcome, shape, i, i + 1);
    }
    return outcome;
}

static void must_be_equal(const struct shape *shape, const struct outcome *a, const struct outcome *b, const char *how)
{
    if (a->verdict != b->verdict || a->detail != b->detail || a->requests != b->requests || a->taken != b->taken) {
        fail_msg("%s: fed %s: verdict %d, %s; whole: %d, %s", shape->bytes, how, b->verdict, b->detail, a->verdict,
                 a->detail);
    }
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *shape = &shapes[i];
        struct outcome got = feed_cut(shape, 0, 0);
        enum head_verdict want = shape->status ? HEAD_REFUSED : HEAD_DONE;
        if (got.verdict != want || got.status != shape->status || got.requests != shape->requests) {
            fail_msg("[%zu] %s: verdict %d, %d %s after %u requests", i, shape->bytes, got.verdict, got.status,
                     got.detail, got.requests);
        }
    }
}

static void test_cuts_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *shape = &shapes[i];
        struct outcome whole = feed_cut(shape, 0, 0), bytes = feed_bytes(shape);
        must_be_equal(shape, &whole, &bytes, "byte by byte");
        for (size_t cut = 1; cut < shape->len; cut++) {
            struct outcome two = feed_cut(shape, cut, cut), three = feed_cut(shape, cut / 2, cut);
            must_be_equal(shape, &whole, &two, "in two pieces");
            must_be_equal(shape, &whole, &three, "in three pieces");
        }
    }
}

/* Every beginning of a valid shape is unfinished, never refused; what is left out is asked for. */
static void test_beginnings(void **state)
{
    (void)state;
    const struct shape whole = SHAPE("\r\n" CHUNKED("5\r\nhello\r\n0\r\n\r\n"), 0, 1);
    const size_t head = sizeof("\r\n" CHUNKED("")) - 1;
    for (size_t len = 0; len < whole.len; len++) {
        struct shape part = {whole.bytes, len, 0, 0};
        struct outcome got = feed_cut(&part, 0, 0);
        enum head_verdict want = len == 0 ? HEAD_IDLE : len == 2 ? HEAD_EMPTY_LINE : len < head ? HEAD_MORE : HEAD_BODY;
        if (got.verdict != want) {
            fail_msg("%zu bytes: verdict %d instead of %d", len, got.verdict, want);
        }
    }
}

static void test_header_bytes_are_exact(void **state)
{
    (void)state;
    const struct shape shape = SHAPE(GET("a: b\r\n"), 0, 1);
    const struct head_limits exact = {.header_bytes = shape.len}, short_by_one = {.header_bytes = shape.len - 1};
    struct head_check check;
    size_t used;
    head_check_init(&check, &exact);
    assert_int_equal(head_check_feed(&check, shape.bytes, shape.len, &used), HEAD_DONE);
    head_check_init(&check, &short_by_one);
    assert_int_equal(head_check_feed(&check, shape.bytes, shape.len, &used), HEAD_REFUSED);
    assert_int_equal(check.refusal->status, 431);
}

static void test_field_count(void **state)
{
    (void)state;
    const struct head_limits wide = {.header_bytes = 16384};
    struct head_check check;
    size_t used;
    head_check_init(&check, &wide);
    head_check_feed(&check, "GET / HTTP/1.0\r\n", 16, &used);
    for (int i = 0; i < HEAD_FIELDS_MAX; i++) {
        assert_int_equal(head_check_feed(&check, "a: b\r\n", 6, &used), HEAD_MORE);
    }
    struct head_check one_more = check;
    assert_int_equal(head_check_feed(&check, "\r\n", 2, &used), HEAD_DONE);
    assert_int_equal(head_check_feed(&one_more, "a", 1, &used), HEAD_REFUSED);
    assert_int_equal(one_more.refusal->status, 431);
}

/* After a refusal nothing more is taken. */
static void test_refusals_stay(void **state)
{
    (void)state;
    struct head_check check;
    size_t used;
    head_check_init(&check, &limits);
    assert_int_equal(head_check_feed(&check, "@", 1, &used), HEAD_REFUSED);
    assert_int_equal(head_check_feed(&check, GET(""), 5, &used), HEAD_REFUSED);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_cuts_change_nothing),
        cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_header_bytes_are_exact),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_refusals_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
