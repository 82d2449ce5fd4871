/* filter - see filter.h. */
#include "filter.h"

#include "buffer.h"
#include "level.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 256 };

struct filter {
    uint8_t min_level; /* 0 = any */
    uint16_t levels;   /* a bit for each tenth of enum frame_level; 0 = any */
    size_t q_len;      /* 0 = any */
    char q[FILTER_Q_MAX];
    struct buffer scratch; /* a string value, decoded */
};

/* --- making ---------------------------------------------------------------------------------------- */

static uint8_t parse_level(const char *text, size_t len)
{
    unsigned number = 0;
    size_t digits = 0;
    while (digits < len && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
        number = number * 10 + (unsigned)(text[digits++] - '0');
    }
    if (digits && digits == len) {
        return number >= FRAME_LEVEL_TRACE && number <= FRAME_LEVEL_FATAL ? (uint8_t)number : FRAME_LEVEL_NONE;
    }
    return level_of_name(text, len);
}

static int refuse_level(const char *name, const char *text, size_t len, struct error *err)
{
    return error_set(err, "%s: \"%.*s\" is no level; use trace, debug, info, warn, error, fatal or 10 to 60", name,
                     len > 40 ? 40 : (int)len, text);
}

static int read_levels(struct filter *f, const char *list, struct error *err)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        uint8_t level = parse_level(list, len);
        if (!level) {
            return refuse_level("level", list, len, err);
        }
        f->levels = (uint16_t)(f->levels | 1u << (level / 10));
        list += len + (list[len] == ',');
    }
    return 0;
}

static int read_q(struct filter *f, const char *q, struct error *err)
{
    f->q_len = strlen(q);
    if (f->q_len > FILTER_Q_MAX) {
        return error_set(err, "q: is longer than %d bytes", FILTER_Q_MAX);
    }
    for (size_t i = 0; i < f->q_len; i++) {
        f->q[i] = (char)tolower((unsigned char)q[i]);
    }
    return 0;
}

static int read_request(struct filter *f, const struct filter_request *request, struct error *err)
{
    if (request->min_level) {
        f->min_level = parse_level(request->min_level, strlen(request->min_level));
        if (!f->min_level) {
            return refuse_level("min_level", request->min_level, strlen(request->min_level), err);
        }
    }
    if (request->level && read_levels(f, request->level, err) != 0) {
        return -1;
    }
    return request->q ? read_q(f, request->q, err) : 0;
}

int filter_new(const struct filter_request *request, struct filter **out, struct error *err)
{
    *out = NULL;
    if (!request->min_level && !request->level && !request->q) {
        return 0;
    }
    struct filter *f = memory_zero(1, sizeof *f);
    if (read_request(f, request, err) != 0) {
        filter_free(f);
        return -1;
    }
    *out = f;
    return 0;
}

void filter_free(struct filter *f)
{
    if (f) {
        buffer_fini(&f->scratch);
        free(f);
    }
}

struct filter *filter_copy(const struct filter *f)
{
    if (!f) {
        return NULL;
    }
    struct filter *copy = memory_copy(f, sizeof *f);
    copy->scratch = (struct buffer)BUFFER_INIT;
    return copy;
}

static void append_levels(const struct filter *f, struct buffer *out)
{
    size_t count = 0;
    buffer_append_text(out, ",\"level\":[");
    for (unsigned tenth = 1; tenth <= FRAME_LEVEL_FATAL / 10; tenth++) {
        const char *name = level_name((uint8_t)(tenth * 10));
        if (f->levels & 1u << tenth) {
            buffer_append_json_item(out, count++, name, strlen(name));
        }
    }
    buffer_append_byte(out, ']');
}

void filter_append_json(const struct filter *f, struct buffer *out)
{
    if (!f) {
        buffer_append_text(out, "null");
        return;
    }
    if (f->min_level) {
        buffer_printf(out, "{\"min_level\":\"%s\"", level_name(f->min_level));
    } else {
        buffer_append_text(out, "{\"min_level\":null");
    }
    append_levels(f, out);
    buffer_append_text(out, ",\"q\":");
    if (f->q_len) {
        buffer_append_json_item(out, 0, f->q, f->q_len);
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_byte(out, '}');
}

/* --- strings --------------------------------------------------------------------------------------- */

static bool contains(const struct filter *f, const char *text, size_t len)
{
    for (size_t at = 0; at + f->q_len <= len; at++) {
        size_t same = 0;
        while (same < f->q_len && tolower((unsigned char)text[at + same]) == (unsigned char)f->q[same]) {
            same++;
        }
        if (same == f->q_len) {
            return true;
        }
    }
    return false;
}

static unsigned read_hex4(const char *text)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20u) - 'a' + 10;
        value = value << 4 | (digit & 15u);
    }
    return value;
}

static void append_utf8(struct buffer *out, unsigned code)
{
    char bytes[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    bytes[0] = (char)(first[len == 1 ? 0 : len] | code);
    buffer_append(out, bytes, len);
}

/* Decode the \uXXXX at text (which begins behind the u); returns how many bytes it took. */
static size_t decode_unicode(struct buffer *out, const char *text, size_t left)
{
    if (left < 4) {
        return left;
    }
    unsigned code = read_hex4(text);
    bool pair = (code & 0xfc00) == 0xd800 && left >= 10 && text[4] == '\\' && text[5] == 'u' &&
                (read_hex4(text + 6) & 0xfc00) == 0xdc00;
    if (pair) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (read_hex4(text + 6) & 0x3ff);
    }
    append_utf8(out, code);
    return pair ? 10 : 4;
}

static void decode(struct buffer *out, const char *text, size_t len)
{
    buffer_reset(out);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\\' || i + 1 == len) {
            buffer_append_byte(out, text[i]);
            continue;
        }
        char c = text[++i];
        switch (c) {
        case 'u':
            i += decode_unicode(out, text + i + 1, len - i - 1);
            break;
        case 'n':
            buffer_append_byte(out, '\n');
            break;
        case 't':
            buffer_append_byte(out, '\t');
            break;
        case 'r':
            buffer_append_byte(out, '\r');
            break;
        case 'b':
            buffer_append_byte(out, '\b');
            break;
        case 'f':
            buffer_append_byte(out, '\f');
            break;
        default:
            buffer_append_byte(out, c);
            break;
        }
    }
}

/* --- the walk through the line --------------------------------------------------------------------- */

/* Where in the JSON text we are. The line is our own and valid; anything else still ends. */
struct walk {
    const char *at, *end;
    unsigned depth;           /* of open objects and arrays */
    unsigned data_depth;      /* depth of what log_data's (or data's) value opened; 0 = not inside it */
    bool key_next;            /* a string here is a key */
    bool data_next;           /* the value here is log_data's */
    bool behind_ts;           /* no label and no placeholder comes any more: "data" is the event's own */
    bool is_object[DEPTH_MAX];
};

/* The inside of the string that begins at w->at; moves behind its closing quote. */
static struct slice take_string(struct walk *w, bool *escaped)
{
    const char *start = ++w->at;
    *escaped = false;
    while (w->at < w->end && *w->at != '"') {
        if (*w->at == '\\') {
            *escaped = true;
            w->at++;
        }
        w->at++;
    }
    const char *stop = w->at < w->end ? w->at : w->end;
    w->at = stop < w->end ? stop + 1 : w->end;
    return (struct slice){start, (size_t)(stop - start)};
}

static bool string_matches(struct filter *f, struct slice text, bool escaped)
{
    if (!escaped) {
        return contains(f, text.data, text.len);
    }
    decode(&f->scratch, text.data, text.len);
    return contains(f, f->scratch.data, f->scratch.len);
}

static bool slice_is(struct slice text, const char *name)
{
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

static void visit_key(struct walk *w, struct slice key)
{
    w->data_next = w->depth == 1 && (slice_is(key, "log_data") || (w->behind_ts && slice_is(key, "data")));
    w->behind_ts = w->behind_ts || (w->depth == 1 && slice_is(key, "ts"));
}

/* A string: a key, or a value that may match. */
static bool visit_string(struct filter *f, struct walk *w)
{
    bool escaped, is_key = w->key_next;
    struct slice text = take_string(w, &escaped);
    w->key_next = false;
    if (is_key) {
        visit_key(w, text);
        return false;
    }
    return (w->data_depth || w->data_next) && string_matches(f, text, escaped);
}

static void open_container(struct walk *w, bool is_object)
{
    if (w->depth < DEPTH_MAX) {
        w->is_object[w->depth] = is_object;
    }
    w->depth++;
    if (w->data_next && !w->data_depth) {
        w->data_depth = w->depth;
    }
    w->key_next = is_object;
}

static void close_container(struct walk *w)
{
    if (w->depth == w->data_depth) {
        w->data_depth = 0;
        w->data_next = false;
    }
    w->depth -= w->depth > 0;
}

static void next_member(struct walk *w)
{
    w->key_next = w->depth > 0 && w->depth <= DEPTH_MAX && w->is_object[w->depth - 1];
}

static bool line_contains(struct filter *f, struct slice line)
{
    struct walk w = {.at = line.data, .end = line.data + line.len};
    while (w.at < w.end) {
        char c = *w.at;
        if (c == '"') {
            if (visit_string(f, &w)) {
                return true;
            }
            continue;
        }
        if (c == '{' || c == '[') {
            open_container(&w, c == '{');
        } else if (c == '}' || c == ']') {
            close_container(&w);
        } else if (c == ',') {
            next_member(&w);
        }
        w.at++;
    }
    return false;
}

bool filter_passes(struct filter *f, uint8_t level, struct slice line)
{
    if (!f) {
        return true;
    }
    if (f->min_level && level && level < f->min_level) {
        return false;
    }
    if (f->levels && (!level || !(f->levels & 1u << (level / 10)))) {
        return false;
    }
    return f->q_len == 0 || line_contains(f, line);
}
