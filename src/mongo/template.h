/*
 * template - the channel of a mapping: "logs:etl:{workspace_id}:{workflow_id|function_id|resource_id}".
 *
 * 1 to 8 segments joined by ':', each of them literal text or one placeholder: {field}, {a.b} for a dotted field, {a|b}
 * for the first that is present, {$collection}, {$database}. Strings, integers, ObjectId and UUID become text; null and
 * the empty string count as missing. A missing last segment is dropped (service-level channel); anything else that is
 * missing, or of another type, leaves the document without a channel.
 * Thread: any, immutable after template_new().  Owns: everything in it.
 */
#ifndef TAILWATER_MONGO_TEMPLATE_H
#define TAILWATER_MONGO_TEMPLATE_H

#include "buffer.h"
#include "error.h"
#include "frame.h"

#include "tailwater/channel.h"

#include <bson/bson.h>
#include <stdbool.h>

struct template;

/* A placeholder's value in one document. */
struct template_value {
    struct slice name;   /* the placeholder's first field, as written */
    struct slice source; /* the field that it came from; the same slice unless an alternative */
    struct slice text;   /* as it is in the document: not percent-encoded, 1 to 128 bytes of UTF-8, may hold NUL */
    char scratch[40];    /* where text lies when it was no string */
};

/* What {…} took from one document, without {$…}. Borrows from document and template; must not be copied. */
struct template_values {
    struct template_value at[TAILWATER_SEGMENTS_MAX];
    size_t count;
};

/* Compile. Returns 0, or -1 with a sentence that quotes the segment. */
int template_new(const char *text, struct template **out, struct error *err);
void template_free(struct template *t); /* NULL is fine */

/*
 * Append the document's channel. Returns 0, or -1 when it has none: *reason names the field (buffer and values are as
 * before or hold a part then).
 */
int template_expand(const struct template *t, struct slice database, struct slice collection, const bson_t *document,
                    struct buffer *channel, struct template_values *values, struct error *reason);

/* Append the shape: "*" for each field and, when collection is NULL, for {$collection}. Returns -1 when the name of the
 * database or collection does not fit into a segment. */
int template_append_shape(const struct template *t, struct slice database, const struct slice *collection,
                          struct buffer *out);

/* May the last segment be missing? */
bool template_last_optional(const struct template *t);

/* Does {$collection} stand in it? */
bool template_uses_collection(const struct template *t);

/* Is there a placeholder with a field of this name? */
bool template_has_field(const struct template *t, const char *name);

size_t template_count(const struct template *t);

/* The literal text of a segment, or NULL when it is a placeholder. */
const char *template_literal(const struct template *t, size_t segment);

/* What a segment is. */
enum template_kind { TEMPLATE_LITERAL, TEMPLATE_FIELD, TEMPLATE_COLLECTION, TEMPLATE_DATABASE };
enum template_kind template_kind(const struct template *t, size_t segment);

/* The fields of a TEMPLATE_FIELD segment in the order in which they count: how many (1 to 8), and one of them. */
size_t template_field_count(const struct template *t, size_t segment);
struct slice template_field(const struct template *t, size_t segment, size_t index);

#endif
