/*
 * tailwater/channel.h - channel names and patterns: the grammar of CONTRACT section 1.
 *
 * A channel is 1 to 8 segments joined by ':', 512 bytes at most. A segment is 1 to 128 bytes of UTF-8; the bytes of
 * the grammar (':' ',' '*' '%'), white space and control bytes stand percent-encoded in it. In a pattern a segment may be
 * "*": in the middle it matches exactly one segment, at the end one or more.
 * All functions are pure and may be called from any thread. Lengths are bytes; no text needs a NUL.
 */
#ifndef TAILWATER_CHANNEL_H
#define TAILWATER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TAILWATER_CHANNEL_MAX = 512,
    TAILWATER_SEGMENT_MAX = 128,
    TAILWATER_SEGMENTS_MAX = 8,
};

/* Is text a channel (or, with patterns, a channel or pattern)? NULL when it is, else a sentence about what is wrong. */
const char *tailwater_channel_problem(const char *text, size_t len, bool patterns);

/* Does a valid channel or pattern contain a "*" segment? */
bool tailwater_channel_is_pattern(const char *text, size_t len);

/* Does this valid pattern (or plain channel) match this valid channel? */
bool tailwater_pattern_match(const char *pattern, size_t pattern_len, const char *channel, size_t channel_len);

/* Is there any channel that both valid patterns match? */
bool tailwater_pattern_overlap(const char *a, size_t a_len, const char *b, size_t b_len);

/* The same for any of several valid patterns, joined by commas. */
bool tailwater_patterns_overlap(const char *list, size_t list_len, const char *b, size_t b_len);

/*
 * The pattern (or channel) of exactly those channels that both valid patterns match; there is always one. Returns its
 * length (no NUL), or 0 when there is no such channel. out: TAILWATER_CHANNEL_MAX bytes.
 */
size_t tailwater_pattern_intersect(const char *a, size_t a_len, const char *b, size_t b_len, char *out);

/* Does the valid pattern match every channel that the valid channel or pattern `narrow` matches? */
bool tailwater_pattern_covers(const char *pattern, size_t pattern_len, const char *narrow, size_t narrow_len);

/*
 * Percent-encode a value into a segment. Returns its length (no NUL), or 0 when the value is empty, is not UTF-8 or does
 * not fit into TAILWATER_SEGMENT_MAX. out: TAILWATER_SEGMENT_MAX bytes.
 */
size_t tailwater_segment_encode(const char *value, size_t len, char *out);

#endif
