/* template - see template.h. */
#include "template.h"

#include "field_path.h"
#include "json_scalar.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 8 }; /* alternatives of one placeholder */

struct segment {
    enum template_kind kind;
    char *text;                       /* literal, or the inside of the braces; the slices below point into it */
    struct slice fields[FIELDS_MAX];
    size_t field_count;
};

struct template {
    struct segment segments[TAILWATER_SEGMENTS_MAX];
    size_t count;
};

/* --- compiling ---------------------------------------------------------------------------------- */

static int compile_literal(struct segment *segment, struct error *err)
{
    const char *text = segment->text;
    segment->kind = TEMPLATE_LITERAL;
    if (strpbrk(text, "{}")) {
        return error_set(err, "segment \"%s\" must be either plain text or one {placeholder}", text);
    }
    const char *problem = tailwater_channel_problem(text, strlen(text), false);
    return problem ? error_set(err, "segment \"%s\" cannot be in a channel: %s", text, problem) : 0;
}

static int add_field(struct segment *segment, const char *field, size_t len, struct error *err)
{
    const char *problem = field_path_problem(field, len);
    if (problem) {
        return error_set(err, "field \"%.*s\" in {%s} %s", (int)len, field, segment->text, problem);
    }
    if (segment->field_count == FIELDS_MAX) {
        return error_set(err, "{%s} has more than %d alternatives", segment->text, FIELDS_MAX);
    }
    segment->fields[segment->field_count++] = (struct slice){field, len};
    return 0;
}

static int compile_placeholder(struct segment *segment, struct error *err)
{
    size_t len = strlen(segment->text);
    memmove(segment->text, segment->text + 1, len - 2);
    segment->text[len - 2] = '\0';
    const char *text = segment->text;
    if (text[0] == '$') {
        segment->kind = strcmp(text, "$collection") == 0 ? TEMPLATE_COLLECTION : TEMPLATE_DATABASE;
        bool known = segment->kind == TEMPLATE_COLLECTION || strcmp(text, "$database") == 0;
        return known ? 0 : error_set(err, "{%s} is unknown; there are {$collection} and {$database}", text);
    }
    segment->kind = TEMPLATE_FIELD;
    for (;;) {
        size_t part = strcspn(text, "|");
        if (add_field(segment, text, part, err) < 0) {
            return -1;
        }
        if (text[part] == '\0') {
            return 0;
        }
        text += part + 1;
    }
}

static bool is_placeholder(const char *text, size_t len)
{
    return len > 2 && text[0] == '{' && text[len - 1] == '}' && strcspn(text + 1, "{}") == len - 2;
}

static int compile(struct template *t, const char *text, struct error *err)
{
    if (strlen(text) > TAILWATER_CHANNEL_MAX) {
        return error_set(err, "it is longer than %d bytes", TAILWATER_CHANNEL_MAX);
    }
    for (;;) {
        if (t->count == TAILWATER_SEGMENTS_MAX) {
            return error_set(err, "it has more than %d segments", TAILWATER_SEGMENTS_MAX);
        }
        size_t len = strcspn(text, ":");
        struct segment *segment = &t->segments[t->count++];
        segment->text = memory_copy(text, len);
        int rc = is_placeholder(text, len) ? compile_placeholder(segment, err) : compile_literal(segment, err);
        if (rc < 0 || text[len] == '\0') {
            return rc;
        }
        text += len + 1;
    }
}

int template_new(const char *text, struct template **out, struct error *err)
{
    struct template *t = memory_zero(1, sizeof *t);
    if (compile(t, text, err) < 0) {
        template_free(t);
        return -1;
    }
    *out = t;
    return 0;
}

void template_free(struct template *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        free(t->segments[i].text);
    }
    free(t);
}

/* --- expanding ---------------------------------------------------------------------------------- */

/* The text of a value, borrowed from the document or written to value->scratch. Returns -1 for other types. */
static int value_text(struct template_value *value, const bson_iter_t *at)
{
    uint32_t len;
    bson_subtype_t subtype;
    const uint8_t *data;
    value->text.data = value->scratch;
    switch (bson_iter_type(at)) {
    case BSON_TYPE_UTF8:
        value->text.data = bson_iter_utf8(at, &len);
        value->text.len = len;
        return 0;
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        value->text.len = json_format_int(bson_iter_as_int64(at), value->scratch);
        return 0;
    case BSON_TYPE_OID:
        bson_oid_to_string(bson_iter_oid(at), value->scratch);
        value->text.len = 24;
        return 0;
    case BSON_TYPE_BINARY:
        bson_iter_binary(at, &subtype, &len, &data);
        if (subtype != BSON_SUBTYPE_UUID || len != 16) {
            return -1;
        }
        json_format_uuid(data, value->scratch);
        value->text.len = JSON_UUID_LEN;
        return 0;
    default:
        return -1;
    }
}

static const char *type_name(const bson_iter_t *at)
{
    switch (bson_iter_type(at)) {
    case BSON_TYPE_DOUBLE:
        return "a double";
    case BSON_TYPE_DOCUMENT:
        return "a document";
    case BSON_TYPE_ARRAY:
        return "an array";
    case BSON_TYPE_BOOL:
        return "a boolean";
    case BSON_TYPE_DATE_TIME:
        return "a date";
    case BSON_TYPE_BINARY:
        return "binary data but no UUID";
    default:
        return "of a type without a text form";
    }
}

static int fail_field(const struct slice *field, const char *what, struct error *reason)
{
    return error_set(reason, "field %.*s is %s", (int)field->len, field->data, what);
}

static int append_segment(struct buffer *channel, struct slice text)
{
    char *at = buffer_reserve(channel, TAILWATER_SEGMENT_MAX);
    size_t len = tailwater_segment_encode(text.data, text.len, at);
    channel->len += len;
    return len ? 0 : -1;
}

/* The first alternative that the document has; -1 ill-typed, 1 missing. */
static int find_value(const struct segment *segment, const bson_t *document, struct template_value *value,
                      struct error *reason)
{
    for (size_t i = 0; i < segment->field_count; i++) {
        const struct slice *field = &segment->fields[i];
        bson_iter_t at;
        if (!field_path_find(document, field->data, field->len, &at) || field_path_is_missing(&at)) {
            continue;
        }
        value->name = segment->fields[0];
        value->source = *field;
        return value_text(value, &at) < 0 ? fail_field(field, type_name(&at), reason) : 0;
    }
    return 1;
}

static int expand_field(const struct segment *segment, const bson_t *document, struct buffer *channel,
                        struct template_values *values, struct error *reason)
{
    struct template_value *value = &values->at[values->count];
    int rc = find_value(segment, document, value, reason);
    if (rc != 0) {
        return rc;
    }
    if (append_segment(channel, value->text) < 0) {
        bool text_ok = bson_utf8_validate(value->text.data, value->text.len, true);
        return fail_field(&value->source, text_ok ? "too long for a segment (128 bytes)" : "not UTF-8", reason);
    }
    values->count++;
    return 0;
}

static int expand_name(struct slice name, const char *what, struct buffer *channel, struct error *reason)
{
    return append_segment(channel, name) < 0 ? error_set(reason, "the name of the %s does not fit into a segment", what)
                                             : 0;
}

static int expand_segment(const struct segment *segment, struct slice database, struct slice collection,
                          const bson_t *document, struct buffer *channel, struct template_values *values,
                          struct error *reason)
{
    switch (segment->kind) {
    case TEMPLATE_LITERAL:
        buffer_append_text(channel, segment->text);
        return 0;
    case TEMPLATE_COLLECTION:
        return expand_name(collection, "collection", channel, reason);
    case TEMPLATE_DATABASE:
        return expand_name(database, "database", channel, reason);
    case TEMPLATE_FIELD:
        break;
    }
    return expand_field(segment, document, channel, values, reason);
}

int template_expand(const struct template *t, struct slice database, struct slice collection, const bson_t *document,
                    struct buffer *channel, struct template_values *values, struct error *reason)
{
    size_t start = channel->len;
    values->count = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (i > 0) {
            buffer_append_byte(channel, ':');
        }
        const struct segment *segment = &t->segments[i];
        int rc = expand_segment(segment, database, collection, document, channel, values, reason);
        if (rc < 0) {
            return -1;
        }
        if (rc > 0 && (i == 0 || i + 1 < t->count)) {
            return fail_field(&segment->fields[0], "missing", reason);
        }
        if (rc > 0) {
            channel->len--; /* the colon in front of the segment that is left out */
        }
    }
    if (channel->len - start > TAILWATER_CHANNEL_MAX) {
        return error_set(reason, "the channel is longer than %d bytes", TAILWATER_CHANNEL_MAX);
    }
    return 0;
}

/* --- shapes ------------------------------------------------------------------------------------- */

int template_append_shape(const struct template *t, struct slice database, const struct slice *collection,
                          struct buffer *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct segment *segment = &t->segments[i];
        if (i > 0) {
            buffer_append_byte(out, ':');
        }
        if (segment->kind == TEMPLATE_LITERAL) {
            buffer_append_text(out, segment->text);
        } else if (segment->kind == TEMPLATE_FIELD || (segment->kind == TEMPLATE_COLLECTION && !collection)) {
            buffer_append_byte(out, '*');
        } else if (append_segment(out, segment->kind == TEMPLATE_DATABASE ? database : *collection) < 0) {
            return -1;
        }
    }
    return 0;
}

bool template_last_optional(const struct template *t)
{
    return t->count > 1 && t->segments[t->count - 1].kind == TEMPLATE_FIELD;
}

bool template_uses_collection(const struct template *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->segments[i].kind == TEMPLATE_COLLECTION) {
            return true;
        }
    }
    return false;
}

bool template_has_field(const struct template *t, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < t->count; i++) {
        for (size_t k = 0; k < t->segments[i].field_count; k++) {
            const struct slice *field = &t->segments[i].fields[k];
            if (field->len == len && memcmp(field->data, name, len) == 0) {
                return true;
            }
        }
    }
    return false;
}

size_t template_count(const struct template *t)
{
    return t->count;
}

const char *template_literal(const struct template *t, size_t segment)
{
    return t->segments[segment].kind == TEMPLATE_LITERAL ? t->segments[segment].text : NULL;
}

enum template_kind template_kind(const struct template *t, size_t segment)
{
    return t->segments[segment].kind;
}

size_t template_field_count(const struct template *t, size_t segment)
{
    return t->segments[segment].field_count;
}

struct slice template_field(const struct template *t, size_t segment, size_t index)
{
    return t->segments[segment].fields[index];
}
