/*
 * fuzz_head - head_check against itself: what a connection's bytes come to (verdicts, where requests end, the refusal)
 * does not depend on how they are cut; and nothing is taken after a refusal.
 * The first byte of an input seeds the cuts, the second chooses the limits.
 */
#include "head_check.h"

#include "must.h"

/* A running hash of where each request ended, and how it all ended. */
struct seen {
    uint64_t hash;
    unsigned requests;
};

static void mix(struct seen *seen, uint64_t value)
{
    seen->hash = (seen->hash ^ value) * 0x100000001b3u;
}

/* One piece, in memory of its own; returns how much was taken before a refusal. */
static size_t feed_piece(struct head_check *check, struct seen *seen, const uint8_t *bytes, size_t len, size_t offset)
{
    uint8_t *copy = malloc(len);
    must(copy != NULL, "out of memory");
    memcpy(copy, bytes, len);
    size_t at = 0;
    while (at < len) {
        size_t used = 0;
        enum head_verdict verdict = head_check_feed(check, copy + at, len - at, &used);
        at += used;
        must(at <= len, "more was taken than was there");
        if (verdict == HEAD_REFUSED) {
            break;
        }
        must(at == len || verdict == HEAD_DONE || verdict == HEAD_EMPTY_LINE, "stopped without a reason");
        if (verdict == HEAD_DONE) {
            seen->requests++;
            mix(seen, offset + at);
            head_check_next(check);
        }
    }
    free(copy);
    return at;
}

/* Feed in pieces that an LCG chooses (seed 0: all at once). */
static struct seen feed(const uint8_t *bytes, size_t len, const struct head_limits *limits, uint32_t seed)
{
    struct seen seen = {0xcbf29ce484222325u, 0};
    struct head_check check;
    size_t at = 0, used = 0;
    head_check_init(&check, limits);
    while (at < len && !check.refusal) {
        seed = seed ? seed * 1664525u + 1013904223u : 0;
        size_t piece = seed ? 1 + (seed >> 24) % 9 : len;
        at += feed_piece(&check, &seen, bytes + at, piece < len - at ? piece : len - at, at);
    }
    mix(&seen, at);
    mix(&seen, (uint64_t)head_check_feed(&check, "", 0, &used));
    mix(&seen, check.refusal ? (uint64_t)check.refusal->status : 0);
    if (check.refusal) {
        must(head_check_feed(&check, "GET", 3, &used) == HEAD_REFUSED && used == 0, "something after a refusal");
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len < 2) {
        return 0;
    }
    const struct head_limits limits = {.header_bytes = 16 + (size_t)input[1] * 8, .body_bytes = input[1]};
    struct seen whole = feed(input + 2, len - 2, &limits, 0);
    struct seen pieces = feed(input + 2, len - 2, &limits, 1u + input[0]);
    must(whole.hash == pieces.hash && whole.requests == pieces.requests, "cuts change the verdict");
    return 0;
}
