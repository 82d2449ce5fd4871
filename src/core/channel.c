/* channel - see include/tailwater/channel.h. */
#include "tailwater/channel.h"

#include "utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_grammar_byte(unsigned char c)
{
    return c == ':' || c == ',' || c == '*' || c == '%';
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Control bytes and white space, the Unicode kinds too: they stand percent-encoded in a segment. */
static bool is_blank(uint32_t code)
{
    return code <= 0x20 || (code >= 0x7f && code <= 0xa0) || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000 || code == 0xfeff;
}

static const char *segment_problem(const char *text, size_t len, bool patterns)
{
    if (len == 0) {
        return "a segment is empty";
    }
    if (len > TAILWATER_SEGMENT_MAX) {
        return "a segment is longer than 128 bytes";
    }
    if (patterns && len == 1 && text[0] == '*') {
        return NULL;
    }
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        uint32_t code;
        int n = utf8_decode(text + i, len - i, &code);
        if (n < 0) {
            return "it is not UTF-8";
        }
        if (s[i] == '%') {
            if (len - i < 3 || !is_hex(s[i + 1]) || !is_hex(s[i + 2])) {
                return "'%' must be followed by two hex digits";
            }
            i += 3;
            continue;
        }
        if (s[i] == '*') {
            return patterns ? "'*' must be a whole segment (a value '*' is written %2A)"
                            : "'*' is not allowed here (a value '*' is written %2A)";
        }
        if (is_grammar_byte(s[i]) || is_blank(code)) {
            return "white space, control characters, ',' and '%' must be percent-encoded";
        }
        i += (size_t)n;
    }
    return NULL;
}

/* Cut the next segment off the front; returns false at the end. */
static bool next_segment(const char **text, size_t *len, const char **segment, size_t *segment_len)
{
    if (!*text) {
        return false;
    }
    const char *colon = memchr(*text, ':', *len);
    *segment = *text;
    *segment_len = colon ? (size_t)(colon - *text) : *len;
    if (colon) {
        *len -= *segment_len + 1;
        *text = colon + 1;
    } else {
        *text = NULL;
    }
    return true;
}

const char *tailwater_channel_problem(const char *text, size_t len, bool patterns)
{
    if (len == 0) {
        return "it is empty";
    }
    if (len > TAILWATER_CHANNEL_MAX) {
        return "it is longer than 512 bytes";
    }
    const char *segment;
    size_t segment_len;
    int count = 0;
    while (next_segment(&text, &len, &segment, &segment_len)) {
        if (++count > TAILWATER_SEGMENTS_MAX) {
            return "it has more than 8 segments";
        }
        const char *problem = segment_problem(segment, segment_len, patterns);
        if (problem) {
            return problem;
        }
    }
    return NULL;
}

static bool is_star(const char *segment, size_t len)
{
    return len == 1 && segment[0] == '*';
}

bool tailwater_channel_is_pattern(const char *text, size_t len)
{
    const char *segment;
    size_t segment_len;
    while (next_segment(&text, &len, &segment, &segment_len)) {
        if (is_star(segment, segment_len)) {
            return true;
        }
    }
    return false;
}

bool tailwater_pattern_match(const char *pattern, size_t pattern_len, const char *channel, size_t channel_len)
{
    const char *p, *c;
    size_t p_len, c_len;
    while (next_segment(&pattern, &pattern_len, &p, &p_len)) {
        if (!next_segment(&channel, &channel_len, &c, &c_len)) {
            return false;
        }
        if (is_star(p, p_len)) {
            if (!pattern) {
                return true; /* the last "*" takes one or more */
            }
            continue;
        }
        if (p_len != c_len || memcmp(p, c, p_len) != 0) {
            return false;
        }
    }
    return channel == NULL;
}

bool tailwater_pattern_overlap(const char *a, size_t a_len, const char *b, size_t b_len)
{
    const char *x, *y;
    size_t x_len, y_len;
    while (a && b) {
        next_segment(&a, &a_len, &x, &x_len);
        next_segment(&b, &b_len, &y, &y_len);
        bool star_x = is_star(x, x_len), star_y = is_star(y, y_len);
        if ((star_x && !a) || (star_y && !b)) {
            return true; /* a last "*" takes whatever is left on the other side, at least this segment */
        }
        if (!star_x && !star_y && (x_len != y_len || memcmp(x, y, x_len) != 0)) {
            return false;
        }
    }
    return !a && !b;
}

bool tailwater_patterns_overlap(const char *list, size_t list_len, const char *b, size_t b_len)
{
    for (;;) {
        const char *comma = memchr(list, ',', list_len);
        size_t len = comma ? (size_t)(comma - list) : list_len;
        if (tailwater_pattern_overlap(list, len, b, b_len)) {
            return true;
        }
        if (!comma) {
            return false;
        }
        list += len + 1;
        list_len -= len + 1;
    }
}

/* Append a segment, or what is left of a text, behind a ':' where it is not the first. Returns false when it does not fit. */
static bool put(char *out, size_t *used, const char *text, size_t len)
{
    size_t colon = *used > 0;
    if (*used + colon + len > TAILWATER_CHANNEL_MAX) {
        return false;
    }
    if (colon) {
        out[(*used)++] = ':';
    }
    memcpy(out + *used, text, len);
    *used += len;
    return true;
}

static int count_segments(const char *text, size_t len)
{
    int count = 1;
    for (size_t i = 0; i < len; i++) {
        count += text[i] == ':';
    }
    return count;
}

/* The end of an intersection: this is left of one side. 0 where no channel is so long, or has so many segments. */
static size_t put_rest(char *out, size_t used, const char *rest, size_t len)
{
    bool fits = !rest || put(out, &used, rest, len);
    return fits && count_segments(out, used) <= TAILWATER_SEGMENTS_MAX ? used : 0;
}

size_t tailwater_pattern_intersect(const char *a, size_t a_len, const char *b, size_t b_len, char *out)
{
    const char *x, *y;
    size_t x_len, y_len, used = 0;
    while (a && b) {
        const char *a_rest = a, *b_rest = b;
        size_t a_rest_len = a_len, b_rest_len = b_len;
        next_segment(&a, &a_len, &x, &x_len);
        next_segment(&b, &b_len, &y, &y_len);
        bool star_x = is_star(x, x_len), star_y = is_star(y, y_len);
        if (star_x && !a) { /* a last "*" takes whatever is left on the other side, at least this segment */
            return put_rest(out, used, b_rest, b_rest_len);
        }
        if (star_y && !b) {
            return put_rest(out, used, a_rest, a_rest_len);
        }
        if (!star_x && !star_y && (x_len != y_len || memcmp(x, y, x_len) != 0)) {
            return 0;
        }
        if (!put(out, &used, star_x ? y : x, star_x ? y_len : x_len)) {
            return 0;
        }
    }
    return !a && !b ? put_rest(out, used, NULL, 0) : 0;
}

bool tailwater_pattern_covers(const char *pattern, size_t pattern_len, const char *narrow, size_t narrow_len)
{
    char both[TAILWATER_CHANNEL_MAX];
    size_t len = tailwater_pattern_intersect(pattern, pattern_len, narrow, narrow_len, both);
    return len == narrow_len && memcmp(both, narrow, len) == 0;
}

size_t tailwater_segment_encode(const char *value, size_t len, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    const unsigned char *s = (const unsigned char *)value;
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        uint32_t code;
        int decoded = utf8_decode(value + i, len - i, &code);
        if (decoded < 0) {
            return 0;
        }
        size_t n = (size_t)decoded;
        bool encode = is_grammar_byte(s[i]) || is_blank(code);
        if (used + (encode ? 3 * n : n) > TAILWATER_SEGMENT_MAX) {
            return 0;
        }
        for (size_t k = 0; k < n; k++, i++) {
            if (encode) {
                out[used++] = '%';
                out[used++] = hex[s[i] >> 4];
                out[used++] = hex[s[i] & 15];
            } else {
                out[used++] = (char)s[i];
            }
        }
    }
    return used;
}
