/* inverse - see inverse.h. */
#include "inverse.h"

#include "tailwater/channel.h"
#include "text_values.h"

#include <string.h>

/* A list of conditions that is being made: a BSON array and how many it has. */
struct conditions {
    bson_t *array;
    uint32_t count;
};

/* A pattern cut into segments; a last "*" stands for any number of further ones. */
struct wanted {
    struct slice segments[TAILWATER_SEGMENTS_MAX];
    size_t count;
    bool open;
};

/* --- words of the query language ------------------------------------------------------------------ */

static const char *next_key(struct conditions *list, char out[16])
{
    const char *key;
    bson_uint32_to_string(list->count++, &key, out, 16);
    return key;
}

/* Takes the condition. */
static void add(struct conditions *list, bson_t *condition)
{
    char number[16];
    bson_append_document(list->array, next_key(list, number), -1, condition);
    bson_destroy(condition);
}

/* {name: [list]}; takes the list. */
static bson_t *combine(const char *name, struct conditions *list)
{
    bson_t *made = bson_new();
    bson_append_array(made, name, -1, list->array);
    bson_destroy(list->array);
    return made;
}

/* {field: {name: array}}; takes the array. */
static bson_t *compare(struct slice field, const char *name, bson_t *array)
{
    bson_t inner;
    bson_t *made = bson_new();
    bson_append_document_begin(made, field.data, (int)field.len, &inner);
    bson_append_array(&inner, name, -1, array);
    bson_append_document_end(made, &inner);
    bson_destroy(array);
    return made;
}

static bson_t *nothing_values(void)
{
    return BCON_NEW("0", BCON_NULL, "1", BCON_UTF8(""));
}

static bool is_dotted(struct slice field)
{
    return memchr(field.data, '.', field.len) != NULL;
}

/* --- keys that hold dots -------------------------------------------------------------------------- */

/* {$expr: has `parent` (a path, or "" for the document) a key among `keys`?}; takes keys. */
static bson_t *has_key(struct slice parent, bson_t *keys)
{
    struct buffer path = BUFFER_INIT;
    buffer_append_text(&path, parent.len ? "$" : "$$ROOT");
    buffer_append(&path, parent.data, parent.len);
    const char *object = buffer_text(&path);
    bson_t *made = BCON_NEW(
        "$expr", "{", "$cond", "[", "{", "$eq", "[", "{", "$type", BCON_UTF8(object), "}", "object", "]", "}",
        "{", "$gt", "[", "{", "$size", "{", "$setIntersection", "[", BCON_ARRAY(keys),
        "{", "$map", "{", "input", "{", "$objectToArray", BCON_UTF8(object), "}", "in", "$$this.k", "}", "}",
        "]", "}", "}", BCON_INT32(0), "]", "}", BCON_BOOL(false), "]", "}");
    buffer_fini(&path);
    bson_destroy(keys);
    return made;
}

/* The keys with dots that could begin at this place of the path: "b.c", "b.c.d". A constant string that begins with '$'
 * cannot be among them: field_path_problem() refuses it. */
static bson_t *dotted_keys(struct slice rest)
{
    struct conditions keys = {bson_new(), 0};
    char number[16];
    const char *dot = memchr(rest.data, '.', rest.len);
    while (dot) {
        size_t from = (size_t)(dot - rest.data) + 1;
        dot = memchr(rest.data + from, '.', rest.len - from);
        size_t len = dot ? (size_t)(dot - rest.data) : rest.len;
        bson_append_utf8(keys.array, next_key(&keys, number), -1, rest.data, (int)len);
    }
    return keys.array;
}

/* Let through every document in which some step of the path is a key that holds dots itself. */
static void add_dotted(struct conditions *any, struct slice field)
{
    size_t at = 0;
    while (memchr(field.data + at, '.', field.len - at)) {
        struct slice parent = {field.data, at ? at - 1 : 0};
        add(any, has_key(parent, dotted_keys((struct slice){field.data + at, field.len - at})));
        at += (size_t)((const char *)memchr(field.data + at, '.', field.len - at) - (field.data + at)) + 1;
    }
}

/* --- one placeholder ------------------------------------------------------------------------------ */

/* None of the fields before `end` counts; those with dots may. */
static void add_missing(struct conditions *all, const struct template *t, size_t segment, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        struct slice field = template_field(t, segment, i);
        if (!is_dotted(field)) {
            add(all, compare(field, "$in", nothing_values()));
        }
    }
}

/* One of the fields counts, whatever its value. */
static void add_present(struct conditions *all, const struct template *t, size_t segment)
{
    struct conditions any = {bson_new(), 0};
    size_t count = template_field_count(t, segment);
    for (size_t i = 0; i < count; i++) {
        struct slice field = template_field(t, segment, i);
        add(&any, compare(field, "$nin", nothing_values()));
        add_dotted(&any, field);
    }
    add(all, combine("$or", &any));
}

/* The placeholder's text is this one: the first field has it, or the second where the first is missing, … */
static void add_text(struct conditions *all, const struct template *t, size_t segment, struct slice text)
{
    struct conditions any = {bson_new(), 0};
    size_t count = template_field_count(t, segment);
    for (size_t i = 0; i < count; i++) {
        struct slice field = template_field(t, segment, i);
        struct conditions one = {bson_new(), 0};
        bson_t *values = bson_new();
        text_values_append(text, values);
        add(&one, compare(field, "$in", values));
        add_missing(&one, t, segment, i);
        add(&any, combine("$and", &one));
        add_dotted(&any, field);
    }
    add(all, combine("$or", &any));
}

/* --- one pattern ---------------------------------------------------------------------------------- */

static bool is_star(struct slice segment)
{
    return segment.len == 1 && segment.data[0] == '*';
}

static struct wanted cut(struct slice pattern)
{
    struct wanted w = {.count = 0};
    const char *at = pattern.data, *end = pattern.data + pattern.len;
    while (w.count < TAILWATER_SEGMENTS_MAX) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        w.segments[w.count++] = (struct slice){at, (size_t)((colon ? colon : end) - at)};
        if (!colon) {
            break;
        }
        at = colon + 1;
    }
    w.open = is_star(w.segments[w.count - 1]);
    return w;
}

/* What the pattern wants of the channel's segment i; "*": anything. */
static struct slice wanted_at(const struct wanted *w, size_t i)
{
    return i < w->count ? w->segments[i] : w->segments[w->count - 1];
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The value whose segment this is; 0 when no value has it ("%41" is not how "A" is written). */
static size_t decode(struct slice segment, char out[TAILWATER_SEGMENT_MAX])
{
    char again[TAILWATER_SEGMENT_MAX];
    size_t len = 0;
    for (size_t i = 0; i < segment.len; i++) {
        char c = segment.data[i];
        if (c == '%') {
            c = (char)(hex_digit(segment.data[i + 1]) << 4 | hex_digit(segment.data[i + 2]));
            i += 2;
        }
        out[len++] = c;
    }
    size_t encoded = tailwater_segment_encode(out, len, again);
    return encoded == segment.len && memcmp(again, segment.data, encoded) == 0 ? len : 0;
}

static bool is_name(struct slice segment, struct slice name)
{
    char encoded[TAILWATER_SEGMENT_MAX];
    size_t len = tailwater_segment_encode(name.data, name.len, encoded);
    return len && (is_star(segment) || (len == segment.len && memcmp(encoded, segment.data, len) == 0));
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* Add what segment i must fulfil. Returns false when it cannot. */
static bool add_segment(struct conditions *all, const struct mapping *mapping, struct slice collection, size_t i,
                        struct slice segment)
{
    const struct template *t = mapping_channel(mapping);
    char text[TAILWATER_SEGMENT_MAX];
    struct slice literal;
    switch (template_kind(t, i)) {
    case TEMPLATE_LITERAL:
        literal = slice_of(template_literal(t, i));
        return is_star(segment) ||
               (literal.len == segment.len && memcmp(literal.data, segment.data, literal.len) == 0);
    case TEMPLATE_COLLECTION:
        return is_name(segment, collection);
    case TEMPLATE_DATABASE:
        return is_name(segment, slice_of(mapping_database(mapping)));
    case TEMPLATE_FIELD:
        break;
    }
    if (is_star(segment)) {
        add_present(all, t, i);
        return true;
    }
    size_t len = decode(segment, text);
    if (len) {
        add_text(all, t, i, (struct slice){text, len});
    }
    return len > 0;
}

/* Add the condition of channels with `length` segments (all, or without the last). Returns false when there is none. */
static bool add_form(struct conditions *any, const struct mapping *mapping, struct slice collection,
                     const struct wanted *w, size_t length)
{
    const struct template *t = mapping_channel(mapping);
    struct conditions all = {bson_new(), 0};
    bool possible = w->open ? length >= w->count : length == w->count;
    for (size_t i = 0; possible && i < length; i++) {
        possible = add_segment(&all, mapping, collection, i, wanted_at(w, i));
    }
    if (!possible) {
        bson_destroy(all.array);
        return false;
    }
    if (length < template_count(t)) {
        add_missing(&all, t, length, template_field_count(t, length));
    }
    if (all.count == 0) {
        bson_destroy(all.array);
        add(any, bson_new());
        return true;
    }
    add(any, combine("$and", &all));
    return true;
}

static void add_pattern(struct conditions *any, const struct mapping *mapping, struct slice collection,
                        struct slice pattern)
{
    const struct template *t = mapping_channel(mapping);
    struct wanted w = cut(pattern);
    add_form(any, mapping, collection, &w, template_count(t));
    if (template_last_optional(t)) {
        add_form(any, mapping, collection, &w, template_count(t) - 1);
    }
}

/* --- tailwater's own collection ------------------------------------------------------------------- */

static void append_quoted(struct buffer *expression, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("\\^$.|?+()[]{}", text.data[i], 13)) {
            buffer_append_byte(expression, '\\');
        }
        buffer_append_byte(expression, text.data[i]);
    }
}

/* A pattern as an expression. What a last "*" stands for is not looked at: there is no channel that ends in a colon. */
static void append_expression(struct buffer *expression, const struct wanted *w)
{
    buffer_append_byte(expression, '^');
    for (size_t i = 0; i < w->count - w->open; i++) {
        if (is_star(w->segments[i])) {
            buffer_append_text(expression, "[^:]+");
        } else {
            append_quoted(expression, w->segments[i]);
        }
        buffer_append_text(expression, i + 1 < w->count ? ":" : "$");
    }
}

static void add_expression(struct conditions *any, struct slice pattern)
{
    struct buffer expression = BUFFER_INIT;
    struct wanted w = cut(pattern);
    bson_t *condition = bson_new();
    if (w.count > 1 || !w.open) {
        append_expression(&expression, &w);
        BSON_APPEND_REGEX(condition, "channel", buffer_text(&expression), "");
    }
    add(any, condition);
    buffer_fini(&expression);
}

static void add_channels(struct conditions *any, struct conditions *channels)
{
    if (channels->count > 0) {
        add(any, compare((struct slice){"channel", 7}, "$in", channels->array));
    } else {
        bson_destroy(channels->array);
    }
}

static void add_own(struct conditions *any, const struct mapping_set *set, const struct slice *patterns, size_t count)
{
    struct conditions channels = {bson_new(), 0};
    char number[16];
    for (size_t i = 0; i < count; i++) {
        const struct slice *p = &patterns[i];
        if (tailwater_channel_is_pattern(p->data, p->len)) {
            add_expression(any, *p);
        } else if (!mapping_set_can_produce(set, p->data, p->len)) {
            bson_append_utf8(channels.array, next_key(&channels, number), -1, p->data, (int)p->len);
        }
    }
    add_channels(any, &channels);
}

/* --- all of it ------------------------------------------------------------------------------------ */

bool inverse_filter(const struct mapping *mapping, struct slice collection, const struct slice *patterns, size_t count,
                    bson_t *filter)
{
    struct conditions any = {bson_new(), 0};
    if (mapping_is_own(mapping)) {
        add_own(&any, mapping_set_of(mapping), patterns, count);
    }
    for (size_t i = 0; i < count && !mapping_is_own(mapping); i++) {
        add_pattern(&any, mapping, collection, patterns[i]);
    }
    if (any.count > 0) {
        bson_append_array(filter, "$or", -1, any.array);
    }
    bson_destroy(any.array);
    return any.count > 0;
}
