/*
 * bson_json - BSON to one line of JSON, in one pass, for every BSON type and any bytes (CONTRACT section 2).
 *
 * Invalid UTF-8 becomes U+FFFD, depth is bounded, duplicate keys pass as they are. libbson's own functions refuse such
 * documents and take twelve times as long (reference: 0.5 us against 6).
 *
 * JSON_STYLE_PLAIN writes
 *   string, symbol, code   a string                     ObjectId             24 hex digits
 *   date                   ISO 8601 UTC with ms         int32, int64         a number; a string beyond +-2^53
 *   double                 shortest that reads back     NaN, infinities      null
 *   Decimal128             a string, "NaN" too          null, undefined      null
 *   binary                 base64; UUID (subtype 4, 16 bytes): its canonical text, as in channels
 *   regex                  "/pattern/options"           timestamp            {"t":seconds,"i":increment}
 *   code with scope        {"code":"...","scope":{...}} DBPointer            {"$ref":"collection","$id":"hex"}
 *   min and max key        {"$minKey":1}, {"$maxKey":1}
 * JSON_STYLE_RELAXED writes MongoDB Extended JSON v2, relaxed, in which dates of the years 1970 to 9999 are text.
 *
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_BSON_JSON_H
#define TAILWATER_MONGO_BSON_JSON_H

#include "buffer.h"

#include <bson/bson.h>
#include <jansson.h>
#include <stdbool.h>

enum json_style {
    JSON_STYLE_PLAIN,   /* hex ids, ISO dates, plain numbers (CONTRACT section 2) */
    JSON_STYLE_RELAXED, /* MongoDB Extended JSON v2, relaxed */
};

enum { BSON_JSON_DEPTH = 100 }; /* default of max_depth */

/* Which fields of the top document are written. */
struct bson_json_filter;

/*
 * Compile dotted paths; `only` keeps these (and _id), `omit` drops these; NULL or an array of strings each, not both.
 * Paths apply through arrays, as in a MongoDB projection; a key that contains dots itself is taken by its path, too.
 * Returns NULL when there is nothing to filter.
 */
struct bson_json_filter *bson_json_filter_new(const json_t *only, const json_t *omit);
void bson_json_filter_free(struct bson_json_filter *filter); /* NULL is fine */

/* Is the value at path written as it is? false when any of it is dropped. A NULL filter keeps all. */
bool bson_json_filter_keeps(const struct bson_json_filter *filter, const char *path, size_t len);

struct bson_json_options {
    enum json_style style;
    unsigned max_depth;                    /* documents nested deeper become null; the top one has depth 1; 0 = 100 */
    const struct bson_json_filter *filter; /* or NULL */
};

/* Append the document as a JSON object. A document that is not valid BSON is written as far as it can be read and
 * closed properly; returns -1 then, else 0. */
int bson_json_append(struct buffer *out, const bson_t *document, const struct bson_json_options *options);

/* Append one value (the iterator stands on it), unfiltered. */
void bson_json_append_value(struct buffer *out, const bson_iter_t *value, const struct bson_json_options *options);

#endif
