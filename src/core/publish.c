/* publish - see publish.h. */
#include "publish.h"

#include "buffer.h"
#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

void publish_request_free(struct publish_request *request)
{
    if (!request) {
        return;
    }
    if (request->gate) {
        publish_gate_leave(request->gate, request->held_bytes);
    }
    memory_free_texts(request->patterns, request->pattern_count);
    free(request->name);
    free(request->label);
    free(request->body);
    free(request->items);
    free(request);
}

bool publish_request_may(const struct publish_request *request, struct slice channel)
{
    for (unsigned i = 0; i < request->pattern_count; i++) {
        const char *pattern = request->patterns[i];
        if (tailwater_pattern_match(pattern, strlen(pattern), channel.data, channel.len)) {
            return true;
        }
    }
    return !request->name;
}

/* Behind the string whose opening quote is at text[at]; text.len when it does not end. */
static size_t skip_string(struct slice text, size_t at)
{
    for (at++; at < text.len; at++) {
        if (text.data[at] == '"') {
            return at + 1;
        }
        at += text.data[at] == '\\';
    }
    return text.len;
}

size_t publish_object_length(struct slice text)
{
    size_t depth = 0, at = 0;
    if (text.len == 0 || text.data[0] != '{') {
        return 0;
    }
    while (at < text.len) {
        char c = text.data[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        at++;
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0) {
            return at;
        }
    }
    return 0;
}
