/*
 * bson_json - BSON to one line of JSON, in one pass, for every BSON type and any bytes (CONTRACT section 2).
 *
 * Invalid UTF-8 becomes U+FFFD, NaN and infinities null, depth is bounded, duplicate keys pass as they are. libbson's own
 * functions refuse such documents and take twelve times as long (reference: 0.5 us against 6).
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_BSON_JSON_H
#define TAILWATER_MONGO_BSON_JSON_H

#include "buffer.h"
#include "mapping.h"

/* Which fields of the top document are written. */
struct bson_json_filter;

/*
 * Compile dotted paths; `only` keeps these (and _id), `omit` drops these; both may be NULL or arrays of strings. Paths
 * apply through arrays, as in a MongoDB projection. Returns NULL when there is nothing to filter.
 */
struct bson_json_filter *bson_json_filter_new(const json_t *only, const json_t *omit);
void bson_json_filter_free(struct bson_json_filter *filter);

struct bson_json_options {
    enum json_style style;
    unsigned max_depth;                    /* documents nested deeper become null */
    const struct bson_json_filter *filter; /* or NULL */
};

/* Append the document as a JSON object. A document that is not valid BSON is written as far as it can be read and
 * closed properly; returns -1 then, else 0. */
int bson_json_append(struct buffer *out, const bson_t *document, const struct bson_json_options *options);

/* Append one value (the iterator stands on it). */
void bson_json_append_value(struct buffer *out, const bson_iter_t *value, const struct bson_json_options *options);

#endif
