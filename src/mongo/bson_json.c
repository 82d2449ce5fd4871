/* bson_json - see bson_json.h. */
#include "bson_json.h"

#include "bson_json_filter.h"
#include "json_scalar.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- scalars ------------------------------------------------------------------------------------ */

struct writer {
    struct buffer *out;
    const struct bson_json_filter *filter;
    enum json_style style;
    unsigned max_depth;
    bool corrupt;
};

#define append_literal(out, text) buffer_append(out, text, sizeof(text) - 1)

static void append_int64(struct writer *w, int64_t value)
{
    const int64_t exact = INT64_C(1) << 53;
    bool as_text = w->style == JSON_STYLE_PLAIN && (value > exact || value < -exact);
    if (as_text) {
        buffer_append_byte(w->out, '"');
    }
    json_append_int(w->out, value);
    if (as_text) {
        buffer_append_byte(w->out, '"');
    }
}

static void append_double(struct writer *w, double value)
{
    if (!isfinite(value)) {
        const char *name = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
        if (w->style == JSON_STYLE_PLAIN) {
            append_literal(w->out, "null");
        } else {
            buffer_printf(w->out, "{\"$numberDouble\":\"%s\"}", name);
        }
        return;
    }
    json_append_double(w->out, value);
}

static void append_decimal128(struct writer *w, const bson_iter_t *value)
{
    bson_decimal128_t decimal;
    char text[BSON_DECIMAL128_STRING];
    bson_iter_decimal128(value, &decimal);
    bson_decimal128_to_string(&decimal, text);
    bool plain = w->style == JSON_STYLE_PLAIN;
    buffer_printf(w->out, plain ? "\"%s\"" : "{\"$numberDecimal\":\"%s\"}", text);
}

static void append_date(struct writer *w, int64_t wall_ms)
{
    const int64_t end_of_9999 = INT64_C(253402300800000);
    bool plain = w->style == JSON_STYLE_PLAIN;
    if (!plain && (wall_ms < 0 || wall_ms >= end_of_9999)) {
        buffer_printf(w->out, "{\"$date\":{\"$numberLong\":\"%" PRId64 "\"}}", wall_ms);
        return;
    }
    buffer_append_text(w->out, plain ? "\"" : "{\"$date\":\"");
    json_append_time(w->out, wall_ms);
    if (!plain && wall_ms % 1000 == 0) {
        w->out->len -= 5; /* Extended JSON leaves out ".000" */
        buffer_append_byte(w->out, 'Z');
    }
    buffer_append_text(w->out, plain ? "\"" : "\"}");
}

static void append_hex(struct buffer *out, const bson_oid_t *oid)
{
    bson_oid_to_string(oid, buffer_reserve(out, 25));
    out->len += 24;
}

static void append_oid(struct writer *w, const bson_oid_t *oid)
{
    if (w->style == JSON_STYLE_RELAXED) {
        append_literal(w->out, "{\"$oid\":");
    }
    buffer_append_byte(w->out, '"');
    append_hex(w->out, oid);
    buffer_append_byte(w->out, '"');
    if (w->style == JSON_STYLE_RELAXED) {
        buffer_append_byte(w->out, '}');
    }
}

static void append_binary(struct writer *w, const bson_iter_t *value)
{
    bson_subtype_t subtype;
    uint32_t len;
    const uint8_t *data;
    bson_iter_binary(value, &subtype, &len, &data);
    if (w->style == JSON_STYLE_RELAXED) {
        append_literal(w->out, "{\"$binary\":{\"base64\":");
    }
    buffer_append_byte(w->out, '"');
    if (w->style == JSON_STYLE_PLAIN && subtype == BSON_SUBTYPE_UUID && len == 16) {
        json_format_uuid(data, buffer_reserve(w->out, JSON_UUID_LEN));
        w->out->len += JSON_UUID_LEN;
    } else {
        json_append_base64(w->out, data, len);
    }
    buffer_append_byte(w->out, '"');
    if (w->style == JSON_STYLE_RELAXED) {
        buffer_printf(w->out, ",\"subType\":\"%02x\"}}", (unsigned)subtype & 0xff);
    }
}

static void append_regex(struct writer *w, const bson_iter_t *value)
{
    const char *options = "";
    const char *pattern = bson_iter_regex(value, &options);
    if (w->style == JSON_STYLE_PLAIN) {
        append_literal(w->out, "\"/");
        buffer_append_json(w->out, pattern, strlen(pattern));
        buffer_append_byte(w->out, '/');
        buffer_append_json(w->out, options, strlen(options));
        buffer_append_byte(w->out, '"');
        return;
    }
    append_literal(w->out, "{\"$regularExpression\":{\"pattern\":");
    json_append_string(w->out, pattern, strlen(pattern));
    append_literal(w->out, ",\"options\":");
    json_append_string(w->out, options, strlen(options));
    append_literal(w->out, "}}");
}

/* A string in plain JSON, an object with one member in Extended JSON. */
static void append_wrapped(struct writer *w, const char *wrapper, const char *text, size_t len)
{
    if (w->style == JSON_STYLE_PLAIN) {
        json_append_string(w->out, text, len);
        return;
    }
    buffer_printf(w->out, "{\"%s\":", wrapper);
    json_append_string(w->out, text, len);
    buffer_append_byte(w->out, '}');
}

static void append_timestamp(struct writer *w, const bson_iter_t *value)
{
    uint32_t seconds, increment;
    bson_iter_timestamp(value, &seconds, &increment);
    bool plain = w->style == JSON_STYLE_PLAIN;
    buffer_printf(w->out, "%s{\"t\":%" PRIu32 ",\"i\":%" PRIu32 "}%s", plain ? "" : "{\"$timestamp\":", seconds,
                  increment, plain ? "" : "}");
}

static void append_dbpointer(struct writer *w, const bson_iter_t *value)
{
    uint32_t len;
    const char *collection;
    const bson_oid_t *oid;
    bson_iter_dbpointer(value, &len, &collection, &oid);
    bool plain = w->style == JSON_STYLE_PLAIN;
    buffer_append_text(w->out, plain ? "{\"$ref\":" : "{\"$dbPointer\":{\"$ref\":");
    json_append_string(w->out, collection, len);
    append_literal(w->out, ",\"$id\":");
    append_oid(w, oid);
    buffer_append_text(w->out, plain ? "}" : "}}");
}

/* --- documents ---------------------------------------------------------------------------------- */

static void append_members(struct writer *w, bson_iter_t *at, bool array, const struct path_node *node, unsigned depth);

static void append_nested(struct writer *w, const bson_iter_t *value, const struct path_node *node, unsigned depth)
{
    bson_iter_t child;
    if (depth > w->max_depth) {
        append_literal(w->out, "null");
        return;
    }
    bool array = bson_iter_type(value) == BSON_TYPE_ARRAY;
    if (!bson_iter_recurse(value, &child)) {
        w->corrupt = true;
        buffer_append_text(w->out, array ? "[]" : "{}");
        return;
    }
    append_members(w, &child, array, node, depth);
}

static void append_code_with_scope(struct writer *w, const bson_iter_t *value, unsigned depth)
{
    uint32_t len, scope_len;
    const uint8_t *scope;
    const char *code = bson_iter_codewscope(value, &len, &scope_len, &scope);
    bool plain = w->style == JSON_STYLE_PLAIN;
    buffer_append_text(w->out, plain ? "{\"code\":" : "{\"$code\":");
    json_append_string(w->out, code, len);
    buffer_append_text(w->out, plain ? ",\"scope\":" : ",\"$scope\":");
    bson_iter_t child;
    if (depth > w->max_depth) {
        append_literal(w->out, "null");
    } else if (bson_iter_init_from_data(&child, scope, scope_len)) {
        append_members(w, &child, false, NULL, depth);
    } else {
        w->corrupt = true;
        append_literal(w->out, "{}");
    }
    buffer_append_byte(w->out, '}');
}

/* The types that logs seldom hold. */
static void append_rare(struct writer *w, const bson_iter_t *value, unsigned depth)
{
    uint32_t len;
    const char *text;
    switch (bson_iter_type(value)) {
    case BSON_TYPE_UNDEFINED:
        buffer_append_text(w->out, w->style == JSON_STYLE_PLAIN ? "null" : "{\"$undefined\":true}");
        break;
    case BSON_TYPE_REGEX:
        append_regex(w, value);
        break;
    case BSON_TYPE_DBPOINTER:
        append_dbpointer(w, value);
        break;
    case BSON_TYPE_CODE:
        text = bson_iter_code(value, &len);
        append_wrapped(w, "$code", text, len);
        break;
    case BSON_TYPE_SYMBOL:
        text = bson_iter_symbol(value, &len);
        append_wrapped(w, "$symbol", text, len);
        break;
    case BSON_TYPE_CODEWSCOPE:
        append_code_with_scope(w, value, depth + 1);
        break;
    case BSON_TYPE_TIMESTAMP:
        append_timestamp(w, value);
        break;
    case BSON_TYPE_DECIMAL128:
        append_decimal128(w, value);
        break;
    case BSON_TYPE_MINKEY:
        append_literal(w->out, "{\"$minKey\":1}");
        break;
    case BSON_TYPE_MAXKEY:
        append_literal(w->out, "{\"$maxKey\":1}");
        break;
    default:
        append_literal(w->out, "null");
        break;
    }
}

/* depth: of the document that holds the value. */
static void append_value(struct writer *w, const bson_iter_t *value, const struct path_node *node, unsigned depth)
{
    uint32_t len;
    const char *text;
    switch (bson_iter_type(value)) {
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(value, &len);
        json_append_string(w->out, text, len);
        break;
    case BSON_TYPE_INT32:
        json_append_int(w->out, bson_iter_int32(value));
        break;
    case BSON_TYPE_INT64:
        append_int64(w, bson_iter_int64(value));
        break;
    case BSON_TYPE_DOUBLE:
        append_double(w, bson_iter_double(value));
        break;
    case BSON_TYPE_DATE_TIME:
        append_date(w, bson_iter_date_time(value));
        break;
    case BSON_TYPE_OID:
        append_oid(w, bson_iter_oid(value));
        break;
    case BSON_TYPE_BOOL:
        buffer_append_text(w->out, bson_iter_bool(value) ? "true" : "false");
        break;
    case BSON_TYPE_NULL:
        append_literal(w->out, "null");
        break;
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
        append_nested(w, value, node, depth + 1);
        break;
    case BSON_TYPE_BINARY:
        append_binary(w, value);
        break;
    default:
        append_rare(w, value, depth);
        break;
    }
}

/*
 * Is this member written, and what of the filter goes on inside of it? *inside is the node of the document or array
 * on entry. The members of an array stand for the array itself, as in a projection.
 */
static bool member_passes(const struct writer *w, const bson_iter_t *at, bool array, const struct path_node **inside)
{
    const struct path_node *node = *inside;
    if (!node) {
        return true;
    }
    bson_type_t type = bson_iter_type(at);
    bool holds_members = type == BSON_TYPE_DOCUMENT || type == BSON_TYPE_ARRAY;
    if (array) {
        return holds_members || !w->filter->only;
    }
    size_t key_len = bson_iter_key_len(at);
    const struct path_node *child = bson_json_filter_follow(node, bson_iter_key(at), key_len);
    if (!child || child->leaf) {
        bool is_id = node == &w->filter->root && key_len == 3 && memcmp(bson_iter_key(at), "_id", 3) == 0;
        *inside = NULL;
        return w->filter->only ? child || is_id : !child;
    }
    *inside = child;
    return holds_members || !w->filter->only;
}

static void append_members(struct writer *w, bson_iter_t *at, bool array, const struct path_node *node, unsigned depth)
{
    const uint8_t *raw = at->raw;
    uint32_t len = at->len;
    uint32_t end = at->next_off;
    bool first = true;
    buffer_append_byte(w->out, array ? '[' : '{');
    while (bson_iter_next(at)) {
        end = at->next_off;
        const struct path_node *inside = node;
        if (!member_passes(w, at, array, &inside)) {
            continue;
        }
        if (!first) {
            buffer_append_byte(w->out, ',');
        }
        first = false;
        if (!array) {
            json_append_string(w->out, bson_iter_key(at), bson_iter_key_len(at));
            buffer_append_byte(w->out, ':');
        }
        append_value(w, at, inside, depth);
    }
    buffer_append_byte(w->out, array ? ']' : '}');
    /* The iterator says only that it stopped: at the closing zero byte all is well. */
    if (end + 1 != len || raw[end] != 0) {
        w->corrupt = true;
    }
}

static struct writer writer_for(struct buffer *out, const struct bson_json_options *options)
{
    unsigned max_depth = options->max_depth ? options->max_depth : BSON_JSON_DEPTH;
    return (struct writer){.out = out, .filter = options->filter, .style = options->style, .max_depth = max_depth};
}

int bson_json_append(struct buffer *out, const bson_t *document, const struct bson_json_options *options)
{
    struct writer w = writer_for(out, options);
    bson_iter_t at;
    if (!bson_iter_init(&at, document)) {
        append_literal(out, "{}");
        return -1;
    }
    append_members(&w, &at, false, w.filter ? &w.filter->root : NULL, 1);
    return w.corrupt ? -1 : 0;
}

void bson_json_append_value(struct buffer *out, const bson_iter_t *value, const struct bson_json_options *options)
{
    struct writer w = writer_for(out, options);
    append_value(&w, value, NULL, 0);
}
