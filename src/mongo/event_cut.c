/* event_cut - see event_cut.h. */
#include "event_cut.h"

#include "field_path.h"
#include "json_scalar.h"

#include <string.h>

enum { KEPT_MAX = 4 }; /* _id, level, time, message */

struct kept {
    const char *path; /* what is left of it at this level */
    bson_iter_t value;
    bool is_message;
    bool written;
};

struct cutter {
    struct buffer *json;
    const struct bson_json_options *options;
    size_t end;   /* json->len must not exceed it; room for the closing braces is taken off already */
    size_t share; /* bytes for a field that cannot be cut */
};

/* Bytes of the escape, UTF-8 sequence or plain byte at json; buffer_append_json() writes no pairs of surrogates. */
static size_t unit_length(const char *json)
{
    unsigned char c = (unsigned char)json[0];
    if (c == '\\') {
        return json[1] == 'u' ? 6 : 2;
    }
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t event_cut_string(const char *json, size_t len, size_t max)
{
    size_t fits = 0;
    while (fits < len) {
        size_t next = fits + unit_length(json + fits);
        if (next > max || next > len) {
            break;
        }
        fits = next;
    }
    return fits;
}

static bool is_scalar(const bson_iter_t *value)
{
    bson_type_t type = bson_iter_type(value);
    return type != BSON_TYPE_DOCUMENT && type != BSON_TYPE_ARRAY && type != BSON_TYPE_CODEWSCOPE;
}

/* Write `"key":value`; returns false when it does not fit (json is as before then). */
static bool append_field(struct cutter *c, const char *key, size_t key_len, const struct kept *kept)
{
    struct buffer *json = c->json;
    size_t before = json->len;
    json_append_string(json, key, key_len);
    buffer_append_byte(json, ':');
    size_t start = json->len;
    bson_json_append_value(json, &kept->value, c->options);
    size_t limit = !kept->is_message && start + c->share < c->end ? start + c->share : c->end;
    if (json->len <= limit) {
        return true;
    }
    bool can_cut = kept->is_message && BSON_ITER_HOLDS_UTF8(&kept->value) && start + 2 <= limit;
    if (!can_cut) {
        json->len = before;
        return false;
    }
    size_t inside = event_cut_string(json->data + start + 1, json->len - start - 2, limit - start - 2);
    json->len = start + 1 + inside;
    buffer_append_byte(json, '"');
    return true;
}

static bool same_parent(const char *path, const char *other, size_t parent_len)
{
    return strncmp(path, other, parent_len) == 0 && other[parent_len] == '.';
}

static void append_level(struct cutter *c, struct kept *kept, size_t count);

/* The fields below one parent, {"parent":{…}}: they leave the list, whether they fit or not. */
static bool append_parent(struct cutter *c, struct kept *kept, size_t count, size_t parent_len)
{
    struct kept below[KEPT_MAX];
    size_t below_count = 0, before = c->json->len;
    const char *parent = kept[0].path;
    json_append_string(c->json, parent, parent_len);
    buffer_append_byte(c->json, ':');
    for (size_t i = 0; i < count; i++) {
        if (!kept[i].written && same_parent(parent, kept[i].path, parent_len)) {
            below[below_count] = kept[i];
            below[below_count++].path += parent_len + 1;
            kept[i].written = true;
        }
    }
    if (c->json->len + 2 > c->end) {
        c->json->len = before;
        return false;
    }
    c->end--;
    append_level(c, below, below_count);
    c->end++;
    return true;
}

static void append_level(struct cutter *c, struct kept *kept, size_t count)
{
    buffer_append_byte(c->json, '{');
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if (kept[i].written) {
            continue;
        }
        size_t before = c->json->len;
        if (!first) {
            buffer_append_byte(c->json, ',');
        }
        size_t path_len = strlen(kept[i].path);
        bool nested = path_len > bson_iter_key_len(&kept[i].value); /* else the dots are the key's own */
        size_t part = nested ? strcspn(kept[i].path, ".") : path_len;
        bool fits = nested ? append_parent(c, kept + i, count - i, part)
                           : append_field(c, kept[i].path, part, &kept[i]);
        if (!fits) {
            c->json->len = before;
            continue;
        }
        first = false;
    }
    buffer_append_byte(c->json, '}');
}

/* _id may be a document; it is only kept whole. */
static size_t collect(const struct mapping *mapping, const bson_t *document, struct kept kept[KEPT_MAX])
{
    static const enum mapping_field fields[] = {MAPPING_FIELD_LEVEL, MAPPING_FIELD_TIME, MAPPING_FIELD_MESSAGE};
    size_t count = 0;
    struct kept *id = &kept[0];
    *id = (struct kept){.path = "_id"};
    if (field_path_find(document, "_id", 3, &id->value) &&
        bson_json_filter_keeps(mapping_json_filter(mapping), "_id", 3)) {
        count = 1;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct kept *k = &kept[count];
        *k = (struct kept){.is_message = fields[i] == MAPPING_FIELD_MESSAGE};
        k->path = mapping_find_field(mapping, fields[i], document, &k->value);
        bool twice = false;
        for (size_t n = 0; k->path && n < count; n++) {
            twice = twice || strcmp(kept[n].path, k->path) == 0;
        }
        count += k->path && !twice && is_scalar(&k->value);
    }
    return count;
}

void event_cut_append(struct buffer *json, const struct mapping *mapping, const bson_t *document,
                      const struct bson_json_options *options, size_t room)
{
    struct kept kept[KEPT_MAX];
    struct bson_json_options unfiltered = *options;
    unfiltered.filter = NULL;
    size_t count = collect(mapping, document, kept);
    struct cutter c = {json, &unfiltered, json->len + room - (room > 0), room / 4};
    append_level(&c, kept, count);
}
