/*
 * fuzz_sse - the SSE parser and writer against themselves:
 *   1. a stream gives the same events, retries, ids and outcome however it is cut;
 *   2. what the writer makes of any data is one event that parses back to the same data (with LF line ends).
 * The first byte of an input seeds the cuts, the second chooses the limit.
 */
#include "tailwater/sse.h"

#include "must.h"

/* A running hash of all that the handler saw. */
struct seen {
    uint64_t hash;
    unsigned events;
};

static void mix(struct seen *seen, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    seen->hash = (seen->hash ^ len) * 0x100000001b3u;
    for (size_t i = 0; i < len; i++) {
        seen->hash = (seen->hash ^ at[i]) * 0x100000001b3u;
    }
}

static void on_event(void *context, const struct tailwater_sse_event *event)
{
    struct seen *seen = context;
    seen->events++;
    must(!memchr(event->id, '\0', event->id_len), "an id with NUL");
    must(event->event_len > 0, "an event without a name");
    mix(seen, event->id, event->id_len);
    mix(seen, event->event, event->event_len);
    mix(seen, event->data, event->data_len);
}

static void on_retry(void *context, uint32_t retry_ms)
{
    mix(context, &retry_ms, sizeof retry_ms);
}

static const struct tailwater_sse_handler handler = {on_event, on_retry};

/* Parse in pieces that an LCG chooses (seed 0: all at once), each in memory of its own. */
static struct seen parse(const uint8_t *bytes, size_t len, size_t limit, uint32_t seed)
{
    struct seen seen = {0xcbf29ce484222325u, 0};
    struct tailwater_sse_parser *parser = tailwater_sse_parser_new(limit, &handler, &seen);
    enum tailwater_sse_outcome outcome = TAILWATER_SSE_FED;
    size_t at = 0;
    while (at < len) {
        seed = seed ? seed * 1664525u + 1013904223u : 0;
        size_t piece = seed ? 1 + (seed >> 24) % 9 : len;
        piece = piece < len - at ? piece : len - at;
        uint8_t *copy = malloc(piece);
        must(copy != NULL, "out of memory");
        memcpy(copy, bytes + at, piece);
        outcome = tailwater_sse_parser_feed(parser, copy, piece);
        free(copy);
        at += piece;
    }
    size_t id_len;
    const char *id = tailwater_sse_parser_last_id(parser, &id_len);
    mix(&seen, id, id_len);
    mix(&seen, &outcome, sizeof outcome);
    tailwater_sse_parser_free(parser);
    return seen;
}

/* CR and CRLF become LF, in place; returns the new length. */
static size_t unify_line_ends(uint8_t *data, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\r') {
            data[out++] = '\n';
            i += i + 1 < len && data[i + 1] == '\n';
        } else {
            data[out++] = data[i];
        }
    }
    return out;
}

struct expected {
    const uint8_t *data;
    size_t len;
    unsigned events;
};

static void on_written(void *context, const struct tailwater_sse_event *event)
{
    struct expected *expected = context;
    expected->events++;
    must(event->data_len == expected->len, "length after the round trip");
    must(event->data_len == 0 || memcmp(event->data, expected->data, expected->len) == 0, "data after the round trip");
}

static void round_trip(const uint8_t *bytes, size_t len)
{
    const struct tailwater_sse_frame frame = {"1", 1, "x", 1, (const char *)bytes, len};
    size_t need = tailwater_sse_write(&frame, NULL, 0);
    char *out = malloc(need);
    uint8_t *want = malloc(len + 1);
    must(out && want && need > 0, "a frame");
    must(tailwater_sse_write(&frame, out, need) == need, "the same length twice");
    memcpy(want, bytes, len);

    struct expected expected = {want, unify_line_ends(want, len), 0};
    const struct tailwater_sse_handler written = {on_written, NULL};
    struct tailwater_sse_parser *parser = tailwater_sse_parser_new(SIZE_MAX, &written, &expected);
    must(tailwater_sse_parser_feed(parser, out, need) == TAILWATER_SSE_FED, "no limit");
    must(expected.events == 1, "one event");
    tailwater_sse_parser_free(parser);
    free(out);
    free(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len < 2) {
        return 0;
    }
    size_t limit = (size_t)input[1] * 8;
    struct seen whole = parse(input + 2, len - 2, limit, 0);
    struct seen pieces = parse(input + 2, len - 2, limit, 1u + input[0]);
    must(whole.hash == pieces.hash && whole.events == pieces.events, "cuts change what is seen");
    round_trip(input + 2, len - 2);
    return 0;
}
