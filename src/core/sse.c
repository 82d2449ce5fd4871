/* sse - see include/tailwater/sse.h. */
#include "tailwater/sse.h"

#include "buffer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Counts every byte, writes those that fit. */
struct sink {
    char *out;
    size_t cap;
    size_t len;
};

static void sink_put(struct sink *sink, const char *bytes, size_t len)
{
    if (len > 0 && sink->len <= sink->cap && len <= sink->cap - sink->len) {
        memcpy(sink->out + sink->len, bytes, len);
    }
    sink->len += len;
}

static void sink_line(struct sink *sink, const char *prefix, const char *value, size_t len)
{
    sink_put(sink, prefix, strlen(prefix));
    sink_put(sink, value, len);
    sink_put(sink, "\n", 1);
}

/* Length of the line that starts at text, without its end; len when nothing ends it. */
static size_t line_length(const char *text, size_t len)
{
    const char *lf = memchr(text, '\n', len);
    size_t line = lf ? (size_t)(lf - text) : len;
    const char *cr = memchr(text, '\r', line);
    return cr ? (size_t)(cr - text) : line;
}

static void sink_data(struct sink *sink, const char *data, size_t len)
{
    while (len > 0) {
        size_t line = line_length(data, len);
        sink_line(sink, "data: ", data, line);
        if (line == len) {
            return;
        }
        size_t end = data[line] == '\r' && line + 1 < len && data[line + 1] == '\n' ? 2 : 1;
        data += line + end;
        len -= line + end;
    }
    /* No data at all, or an end of line was its last byte: an empty line follows it. */
    sink_line(sink, "data: ", "", 0);
}

/* CR and LF would end the line; readers ignore an id with NUL, and some send it back in a header. */
static bool fits_in_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' || text[i] == '\n' || text[i] == '\0') {
            return false;
        }
    }
    return true;
}

size_t tailwater_sse_write(const struct tailwater_sse_frame *frame, char *out, size_t cap)
{
    struct sink sink = {out, cap, 0};
    if (frame->id) {
        if (!fits_in_line(frame->id, frame->id_len)) {
            return 0;
        }
        sink_line(&sink, "id: ", frame->id, frame->id_len);
    }
    if (frame->event && frame->event_len > 0) {
        if (!fits_in_line(frame->event, frame->event_len)) {
            return 0;
        }
        sink_line(&sink, "event: ", frame->event, frame->event_len);
    }
    sink_data(&sink, frame->data, frame->data ? frame->data_len : 0);
    sink_put(&sink, "\n", 1);
    return sink.len;
}

size_t tailwater_sse_write_retry(uint32_t retry_ms, char *out, size_t cap)
{
    char line[TAILWATER_SSE_RETRY_MAX + 1];
    struct sink sink = {out, cap, 0};
    sink_put(&sink, line, (size_t)snprintf(line, sizeof line, "retry: %u\n", (unsigned)retry_ms));
    return sink.len;
}

/* --- parsing ---------------------------------------------------------------------------------------------------- */

struct tailwater_sse_parser {
    struct tailwater_sse_handler handler;
    void *context;
    size_t max_bytes;
    struct buffer line;  /* the beginning of a line whose end was not fed yet */
    struct buffer data;  /* data lines of the current event, joined by LF */
    struct buffer event; /* its name; empty = "message" */
    struct buffer id;    /* the last event id buffer of the standard */
    struct buffer last_id; /* the last event id: id as of the last empty line */
    const char *view;    /* the first data line while it still lies in the fed bytes: most events need no copy */
    size_t view_len;
    bool has_data;   /* a data line was seen; the data itself may be empty */
    bool id_changed; /* id differs from last_id */
    bool first_line; /* a byte order mark may be in front */
    bool after_cr;   /* an LF now belongs to the CR before it */
    bool too_large;
};

struct tailwater_sse_parser *tailwater_sse_parser_new(size_t max_bytes, const struct tailwater_sse_handler *handler,
                                                      void *context)
{
    struct tailwater_sse_parser *parser = memory_zero(1, sizeof *parser);
    parser->handler = *handler;
    parser->context = context;
    parser->max_bytes = max_bytes;
    parser->first_line = true;
    return parser;
}

void tailwater_sse_parser_free(struct tailwater_sse_parser *parser)
{
    if (!parser) {
        return;
    }
    buffer_fini(&parser->line);
    buffer_fini(&parser->data);
    buffer_fini(&parser->event);
    buffer_fini(&parser->id);
    buffer_fini(&parser->last_id);
    free(parser);
}

static void buffer_assign(struct buffer *b, const char *bytes, size_t len)
{
    buffer_reset(b);
    if (len > 0) {
        buffer_append(b, bytes, len);
    }
}

static void forget_event(struct tailwater_sse_parser *parser)
{
    buffer_reset(&parser->data);
    buffer_reset(&parser->event);
    parser->view = NULL;
    parser->view_len = 0;
    parser->has_data = false;
}

void tailwater_sse_parser_reset(struct tailwater_sse_parser *parser)
{
    forget_event(parser);
    buffer_reset(&parser->line);
    buffer_assign(&parser->id, parser->last_id.data, parser->last_id.len);
    parser->id_changed = false;
    parser->first_line = true;
    parser->after_cr = false;
    parser->too_large = false;
}

static const char *text_or(const struct buffer *b, const char *otherwise)
{
    return b->len > 0 ? b->data : otherwise;
}

const char *tailwater_sse_parser_last_id(const struct tailwater_sse_parser *parser, size_t *len)
{
    *len = parser->last_id.len;
    return text_or(&parser->last_id, "");
}

/* An empty line: the block before it counts, id first. */
static void end_block(struct tailwater_sse_parser *parser)
{
    if (parser->id_changed) {
        buffer_assign(&parser->last_id, parser->id.data, parser->id.len);
        parser->id_changed = false;
    }
    if (parser->has_data) {
        static const char message[] = "message";
        const struct tailwater_sse_event event = {
            .id = text_or(&parser->last_id, ""),
            .id_len = parser->last_id.len,
            .event = text_or(&parser->event, message),
            .event_len = parser->event.len > 0 ? parser->event.len : sizeof message - 1,
            .data = parser->view ? parser->view : text_or(&parser->data, ""),
            .data_len = parser->view ? parser->view_len : parser->data.len,
        };
        parser->handler.event(parser->context, &event);
    }
    forget_event(parser);
}

/* Move the first data line out of the fed bytes into memory of our own. */
static void keep_view(struct tailwater_sse_parser *parser)
{
    if (parser->view) {
        buffer_append(&parser->data, parser->view, parser->view_len);
        parser->view = NULL;
        parser->view_len = 0;
    }
}

static void take_data(struct tailwater_sse_parser *parser, const char *value, size_t len, bool fed)
{
    if (!parser->has_data && fed && len > 0) {
        parser->view = value;
        parser->view_len = len;
        parser->has_data = true;
        return;
    }
    keep_view(parser);
    if (parser->has_data) {
        buffer_append_byte(&parser->data, '\n');
    }
    if (len > 0) {
        buffer_append(&parser->data, value, len);
    }
    parser->has_data = true;
}

static void take_retry(const struct tailwater_sse_parser *parser, const char *value, size_t len)
{
    uint32_t retry_ms = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return;
        }
        uint32_t digit = (uint32_t)(value[i] - '0');
        retry_ms = retry_ms > (UINT32_MAX - digit) / 10 ? UINT32_MAX : retry_ms * 10 + digit;
    }
    if (len > 0 && parser->handler.retry) {
        parser->handler.retry(parser->context, retry_ms);
    }
}

static bool is_field(const char *name, size_t len, const char *field)
{
    return len == strlen(field) && memcmp(name, field, len) == 0;
}

/* fed: the line lies in the fed bytes (else in parser->line, which is about to be reused). */
static void take_field(struct tailwater_sse_parser *parser, const char *line, size_t len, bool fed)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    size_t value_at = colon ? name_len + 1 : len;
    if (value_at < len && line[value_at] == ' ') {
        value_at++;
    }
    const char *value = line + value_at;
    size_t value_len = len - value_at;

    if (is_field(line, name_len, "data")) {
        take_data(parser, value, value_len, fed);
    } else if (is_field(line, name_len, "id")) {
        if (!memchr(value, '\0', value_len)) {
            buffer_assign(&parser->id, value, value_len);
            parser->id_changed = true;
        }
    } else if (is_field(line, name_len, "event")) {
        buffer_assign(&parser->event, value, value_len);
    } else if (is_field(line, name_len, "retry")) {
        take_retry(parser, value, value_len);
    }
}

/* A comment has an empty field name and falls through take_field(). */
static void take_line(struct tailwater_sse_parser *parser, const char *line, size_t len, bool fed)
{
    if (parser->first_line) {
        parser->first_line = false;
        if (len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
            line += 3;
            len -= 3;
        }
    }
    if (len == 0) {
        end_block(parser);
        return;
    }
    take_field(parser, line, len, fed);
}

/* Would the event's data and a line of len bytes be too much? The answer does not depend on how the bytes were fed. */
static bool exceeds(struct tailwater_sse_parser *parser, size_t len)
{
    size_t kept = parser->view ? parser->view_len : parser->data.len;
    parser->too_large = kept > parser->max_bytes || len > parser->max_bytes - kept;
    return parser->too_large;
}

/* A line ends here; its beginning may have been fed earlier. Returns false when it is too large. */
static bool end_line(struct tailwater_sse_parser *parser, const char *fed, size_t len)
{
    if (exceeds(parser, parser->line.len + len)) {
        return false;
    }
    if (parser->line.len == 0) {
        take_line(parser, fed, len, true);
        return true;
    }
    if (len > 0) {
        buffer_append(&parser->line, fed, len);
    }
    take_line(parser, parser->line.data, parser->line.len, false);
    buffer_reset(&parser->line);
    return true;
}

/* The fed bytes go away: copy what is still needed of them. */
static void keep_rest(struct tailwater_sse_parser *parser, const char *rest, size_t len)
{
    if (len > 0 && exceeds(parser, parser->line.len + len)) {
        return;
    }
    keep_view(parser);
    if (len > 0) {
        buffer_append(&parser->line, rest, len);
    }
}

enum tailwater_sse_outcome tailwater_sse_parser_feed(struct tailwater_sse_parser *parser, const void *bytes,
                                                     size_t len)
{
    if (len == 0) {
        return parser->too_large ? TAILWATER_SSE_TOO_LARGE : TAILWATER_SSE_FED;
    }
    const char *at = bytes;
    const char *end = at + len;
    const char *lf = at; /* the next LF, or end; searched once, however many CRs come before it */
    bool lf_known = false;
    while (at < end && !parser->too_large) {
        if (parser->after_cr) {
            parser->after_cr = false;
            at += *at == '\n';
            continue;
        }
        if (!lf_known || lf < at) {
            lf = memchr(at, '\n', (size_t)(end - at));
            lf = lf ? lf : end;
            lf_known = true;
        }
        const char *cr = memchr(at, '\r', (size_t)(lf - at));
        const char *stop = cr ? cr : lf;
        if (stop == end) {
            break;
        }
        if (!end_line(parser, at, (size_t)(stop - at))) {
            break;
        }
        parser->after_cr = stop == cr;
        at = stop + 1;
    }
    if (!parser->too_large) {
        keep_rest(parser, at, (size_t)(end - at));
    }
    return parser->too_large ? TAILWATER_SSE_TOO_LARGE : TAILWATER_SSE_FED;
}
