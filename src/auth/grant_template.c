/* grant_template - see grant_template.h. */
#include "grant_template.h"

#include "buffer.h"

#include "tailwater/channel.h"

#include <stdbool.h>
#include <string.h>

static bool is_word(const char *segment, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(segment, word, len) == 0;
}

/* Append the value as a segment. */
static bool append_value(const char *value, struct buffer *out)
{
    char encoded[TAILWATER_SEGMENT_MAX];
    size_t len = value ? tailwater_segment_encode(value, strlen(value), encoded) : 0;
    buffer_append(out, encoded, len);
    return len > 0;
}

static bool append_segment(const char *segment, size_t len, const char *user, const char *workspace,
                           struct buffer *out)
{
    if (is_word(segment, len, "{user}")) {
        return append_value(user, out);
    }
    if (is_word(segment, len, "{workspace}")) {
        return append_value(workspace, out);
    }
    buffer_append(out, segment, len);
    return true;
}

static bool has_brace(const char *segment, size_t len)
{
    return memchr(segment, '{', len) || memchr(segment, '}', len);
}

const char *grant_template_problem(const char *text)
{
    for (const char *segment = text; *segment;) {
        size_t len = strcspn(segment, ":");
        if (has_brace(segment, len) && !is_word(segment, len, "{user}") && !is_word(segment, len, "{workspace}")) {
            return "a placeholder is a whole segment, {user} or {workspace}";
        }
        segment += len + (segment[len] == ':');
    }
    return tailwater_channel_problem(text, strlen(text), true);
}

char *grant_template_fill(const char *text, const char *user, const char *workspace)
{
    struct buffer out = BUFFER_INIT;
    bool filled = true;
    for (const char *segment = text; filled;) {
        size_t len = strcspn(segment, ":");
        filled = append_segment(segment, len, user, workspace, &out);
        if (!segment[len]) {
            break;
        }
        buffer_append_byte(&out, ':');
        segment += len + 1;
    }
    if (filled && !tailwater_channel_problem(buffer_text(&out), out.len, true)) {
        return out.data;
    }
    buffer_fini(&out);
    return NULL;
}
