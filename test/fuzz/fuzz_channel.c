/*
 * fuzz_channel - names and patterns of channels: what one function says agrees with the others and with a second, naive
 * reading of the grammar. An input is two texts with a line feed between them; the whole of it is also a value to
 * encode.
 */
#include "tailwater/channel.h"

#include "must.h"

#include <stdbool.h>

struct text {
    const char *data;
    size_t len;
};

/* A valid channel or pattern, taken apart. */
struct parts {
    struct text list[TAILWATER_SEGMENTS_MAX];
    size_t count;
};

static bool is_same(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool is_star(struct text t)
{
    return t.len == 1 && t.data[0] == '*';
}

static struct parts split(struct text t)
{
    struct parts p = {.count = 0};
    size_t start = 0;
    for (size_t i = 0; i <= t.len; i++) {
        if (i == t.len || t.data[i] == ':') {
            must(p.count < TAILWATER_SEGMENTS_MAX, "a valid text of too many segments");
            must(i > start && i - start <= TAILWATER_SEGMENT_MAX, "a valid text with a segment of a bad length");
            p.list[p.count++] = (struct text){t.data + start, i - start};
            start = i + 1;
        }
    }
    return p;
}

static bool matches_naively(const struct parts *p, const struct parts *c)
{
    bool open_end = is_star(p->list[p->count - 1]);
    if (open_end ? c->count < p->count : c->count != p->count) {
        return false;
    }
    for (size_t i = 0; i < p->count; i++) {
        if (!is_star(p->list[i]) && !is_same(p->list[i], c->list[i])) {
            return false;
        }
    }
    return true;
}

/* A channel that both match, if any does: each segment is what one of them demands. Returns 0 when it gets too long. */
static size_t make_witness(const struct parts *a, const struct parts *b, char out[TAILWATER_CHANNEL_MAX])
{
    size_t len = 0, count = a->count > b->count ? a->count : b->count;
    for (size_t i = 0; i < count; i++) {
        struct text part = {"x", 1};
        if (i < a->count && !is_star(a->list[i])) {
            part = a->list[i];
        } else if (i < b->count && !is_star(b->list[i])) {
            part = b->list[i];
        }
        if (len + (i > 0) + part.len > TAILWATER_CHANNEL_MAX) {
            return 0;
        }
        if (i) {
            out[len++] = ':';
        }
        memcpy(out + len, part.data, part.len);
        len += part.len;
    }
    return len;
}

static bool match(struct text pattern, struct text channel)
{
    return tailwater_pattern_match(pattern.data, pattern.len, channel.data, channel.len);
}

static bool overlap(struct text a, struct text b)
{
    bool one = tailwater_pattern_overlap(a.data, a.len, b.data, b.len);
    must(one == tailwater_pattern_overlap(b.data, b.len, a.data, a.len), "overlap is not symmetric");
    return one;
}

/* Returns whether it is a pattern or channel; *channel: the latter. */
static bool check_one(struct text t, bool *channel)
{
    bool pattern = tailwater_channel_problem(t.data, t.len, true) == NULL;
    *channel = tailwater_channel_problem(t.data, t.len, false) == NULL;
    must(pattern || !*channel, "a channel that is no pattern");
    if (!pattern) {
        return false;
    }
    must(tailwater_channel_is_pattern(t.data, t.len) == !*channel, "neither a channel nor a pattern");
    must(!memchr(t.data, '\n', t.len) && !memchr(t.data, '\0', t.len) && !memchr(t.data, ',', t.len), "a wild byte");
    must(overlap(t, t), "it does not overlap itself");
    must(!*channel || match(t, t), "a channel that does not match itself");
    return true;
}

/* The intersection matches what both match: the witness, which is as long, and any other channel. */
static void check_intersection(struct text a, struct text b, struct text witness, struct text channel)
{
    char out[TAILWATER_CHANNEL_MAX], again[TAILWATER_CHANNEL_MAX];
    struct text both = {out, tailwater_pattern_intersect(a.data, a.len, b.data, b.len, out)};
    must(tailwater_pattern_intersect(b.data, b.len, a.data, a.len, again) == both.len, "intersection is not symmetric");
    must(memcmp(out, again, both.len) == 0, "intersection is not symmetric");
    must(both.len == (overlap(a, b) ? witness.len : 0), "intersection and overlap differ");
    if (both.len) {
        must(tailwater_channel_problem(both.data, both.len, true) == NULL, "the intersection is no pattern");
        must(match(both, witness), "the intersection does not match the witness");
        must(tailwater_pattern_covers(a.data, a.len, both.data, both.len), "the intersection is not covered");
    }
    if (channel.len) {
        bool wanted = match(a, channel) && match(b, channel);
        must((both.len && match(both, channel)) == wanted, "the intersection is wrong");
        must(!tailwater_pattern_covers(a.data, a.len, b.data, b.len) || !match(b, channel) || match(a, channel),
             "what is covered matches more");
    }
}

static void check_two(struct text a, struct text b, bool b_is_channel)
{
    struct parts parts_a = split(a), parts_b = split(b);
    char bytes[TAILWATER_CHANNEL_MAX];
    struct text witness = {bytes, make_witness(&parts_a, &parts_b, bytes)};
    bool both = overlap(a, b);
    if (b_is_channel) {
        must(match(a, b) == matches_naively(&parts_a, &parts_b), "match differs from the naive one");
        must(match(a, b) == both, "match and overlap differ for a channel");
    }
    check_intersection(a, b, witness, b_is_channel ? b : witness);
    if (witness.len) {
        must(tailwater_channel_problem(witness.data, witness.len, false) == NULL, "the witness is no channel");
        must((match(a, witness) && match(b, witness)) == both, "overlap is wrong about the witness");
    }
}

static void check_encoding(struct text value)
{
    char out[TAILWATER_SEGMENT_MAX];
    char *decoded = malloc(TAILWATER_SEGMENT_MAX);
    size_t n = tailwater_segment_encode(value.data, value.len, out), len = 0;
    must(decoded != NULL && n <= TAILWATER_SEGMENT_MAX, "an encoding that is too long");
    for (size_t i = 0; i < n; i++) {
        unsigned code = (unsigned char)out[i];
        if (out[i] == '%') {
            must(i + 2 < n && sscanf(out + i + 1, "%2x", &code) == 1, "a cut escape");
            i += 2;
        }
        decoded[len++] = (char)code;
    }
    must(n == 0 || is_same((struct text){decoded, len}, value), "the encoding says something else");
    must(n == 0 || tailwater_channel_problem(out, n, false) == NULL, "the encoding is no segment");
    must(n == 0 || !memchr(out, ':', n), "the encoding is more than one segment");
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    char *bytes = must_copy(input, len);
    char *feed = memchr(bytes, '\n', len);
    size_t a_len = feed ? (size_t)(feed - bytes) : len;
    size_t b_len = feed ? len - a_len - 1 : 0;
    char *b_bytes = must_copy(feed ? feed + 1 : bytes, b_len);
    struct text a = {bytes, a_len}, b = {b_bytes, b_len};
    bool a_is_channel, b_is_channel;
    bool a_valid = check_one(a, &a_is_channel), b_valid = check_one(b, &b_is_channel);
    if (a_valid && b_valid) {
        check_two(a, b, b_is_channel);
        check_two(b, a, a_is_channel);
    }
    check_encoding((struct text){bytes, len});
    check_encoding(b);
    free(bytes);
    free(b_bytes);
    return 0;
}
