/* history_cursor - see history_cursor.h. */
#include "history_cursor.h"

#include "hash.h"

#include <string.h>

enum { FLAG_INCLUSIVE = 1, FLAG_TIMELESS = 2 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- places --------------------------------------------------------------------------------------- */

void history_place_init(struct history_place *place)
{
    *place = (struct history_place){.key.value_type = BSON_TYPE_NULL, .id.value_type = BSON_TYPE_NULL};
}

void history_place_fini(struct history_place *place)
{
    bson_value_destroy(&place->key);
    bson_value_destroy(&place->id);
    history_place_init(place);
}

void history_place_copy(const struct history_place *from, struct history_place *to)
{
    history_place_fini(to);
    bson_value_copy(&from->key, &to->key);
    bson_value_copy(&from->id, &to->id);
    to->inclusive = from->inclusive;
    to->timeless = from->timeless;
    to->key_only = from->key_only;
}

void history_cursor_init(struct history_cursor *cursor)
{
    *cursor = (struct history_cursor){.places = bson_new()};
}

void history_cursor_fini(struct history_cursor *cursor)
{
    bson_destroy(cursor->places);
    cursor->places = NULL;
}

void history_cursor_key(unsigned source, const char *database, const char *collection, char out[HISTORY_COLLECTION_KEY])
{
    static const struct hash_key key = {0, 0}; /* the same on every instance */
    struct buffer name = BUFFER_INIT;
    buffer_printf(&name, "%u.%s.%s", source, database, collection);
    uint64_t hash = hash_bytes(&key, name.data, name.len);
    for (int i = 0; i < HISTORY_COLLECTION_KEY - 1; i++, hash >>= 6) {
        out[i] = alphabet[hash & 63];
    }
    out[HISTORY_COLLECTION_KEY - 1] = '\0';
    buffer_fini(&name);
}

void history_cursor_put(struct history_cursor *cursor, const char *key, const struct history_place *place)
{
    bson_t array;
    bson_append_array_begin(cursor->places, key, -1, &array);
    bson_append_value(&array, "0", 1, &place->key);
    bson_append_value(&array, "1", 1, &place->id);
    int flags = (place->inclusive ? FLAG_INCLUSIVE : 0) | (place->timeless ? FLAG_TIMELESS : 0);
    if (flags) { /* most have none, and there may be many places */
        bson_append_int32(&array, "2", 1, flags);
    }
    bson_append_array_end(cursor->places, &array);
}

bool history_cursor_get(const struct history_cursor *cursor, const char *key, struct history_place *place)
{
    bson_iter_t at, part;
    if (!bson_iter_init_find(&at, cursor->places, key) || !bson_iter_recurse(&at, &part)) {
        return false;
    }
    history_place_fini(place);
    if (bson_iter_next(&part)) {
        bson_value_copy(bson_iter_value(&part), &place->key);
    }
    if (bson_iter_next(&part)) {
        bson_value_copy(bson_iter_value(&part), &place->id);
    }
    int flags = bson_iter_next(&part) ? bson_iter_int32(&part) : 0;
    place->inclusive = flags & FLAG_INCLUSIVE;
    place->timeless = flags & FLAG_TIMELESS;
    return true;
}

/* --- base64url ------------------------------------------------------------------------------------ */

static void append_base64url(struct buffer *out, const uint8_t *data, size_t len)
{
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        for (have += 8; have >= 6; have -= 6) {
            buffer_append_byte(out, alphabet[bits >> (have - 6) & 63]);
        }
    }
    if (have) {
        buffer_append_byte(out, alphabet[bits << (6 - have) & 63]);
    }
}

static int decode_base64url(const char *text, struct buffer *out)
{
    uint32_t bits = 0;
    int have = 0;
    for (; *text; text++) {
        const char *digit = strchr(alphabet, *text);
        if (!digit) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            buffer_append_byte(out, (char)(bits >> have & 255));
        }
    }
    return 0;
}

/* --- text ----------------------------------------------------------------------------------------- */

int history_cursor_write(const struct history_cursor *cursor, struct buffer *out)
{
    bson_t *whole = BCON_NEW("b", BCON_BOOL(cursor->newest_first));
    size_t start = out->len;
    if (cursor->has_time) {
        bson_append_int64(whole, "t", 1, cursor->time_ms);
    }
    if (cursor->has_oid) {
        bson_append_oid(whole, "o", 1, &cursor->oid);
    }
    bson_append_document(whole, "p", 1, cursor->places);
    buffer_append_byte(out, '~');
    append_base64url(out, bson_get_data(whole), whole->len);
    bson_destroy(whole);
    return out->len - start <= HISTORY_CURSOR_MAX ? 0 : -1;
}

/* A value that a document can be sorted by; the server would refuse the others. */
static bool is_sortable(const bson_iter_t *value)
{
    switch (bson_iter_type(value)) {
    case BSON_TYPE_ARRAY:
    case BSON_TYPE_UNDEFINED:
    case BSON_TYPE_REGEX:
    case BSON_TYPE_DBPOINTER:
    case BSON_TYPE_SYMBOL:
    case BSON_TYPE_CODEWSCOPE:
        return false;
    default:
        return true;
    }
}

/* [order value, _id, flags or nothing] */
static bool is_place(const bson_iter_t *at)
{
    bson_iter_t part;
    bool fine = BSON_ITER_HOLDS_ARRAY(at) && bson_iter_recurse(at, &part) && bson_iter_next(&part) &&
                is_sortable(&part) && bson_iter_next(&part) && is_sortable(&part);
    return fine && (!bson_iter_next(&part) || (BSON_ITER_HOLDS_INT32(&part) && !bson_iter_next(&part)));
}

static int read_places(const bson_iter_t *at, struct history_cursor *cursor)
{
    const uint8_t *data;
    uint32_t len;
    bson_iter_t place;
    bson_iter_document(at, &len, &data);
    bson_destroy(cursor->places);
    cursor->places = bson_new_from_data(data, len);
    bool fine = cursor->places && bson_iter_init(&place, cursor->places);
    while (fine && bson_iter_next(&place)) {
        fine = is_place(&place);
    }
    return fine ? 0 : -1;
}

static int read_member(const bson_iter_t *at, struct history_cursor *cursor)
{
    const char *key = bson_iter_key(at);
    if (strcmp(key, "b") == 0 && BSON_ITER_HOLDS_BOOL(at)) {
        cursor->newest_first = bson_iter_bool(at);
    } else if (strcmp(key, "t") == 0 && BSON_ITER_HOLDS_INT64(at)) {
        cursor->has_time = true;
        cursor->time_ms = bson_iter_int64(at);
    } else if (strcmp(key, "o") == 0 && BSON_ITER_HOLDS_OID(at)) {
        cursor->has_oid = true;
        bson_oid_copy(bson_iter_oid(at), &cursor->oid);
    } else if (strcmp(key, "p") == 0 && BSON_ITER_HOLDS_DOCUMENT(at)) {
        return read_places(at, cursor);
    } else {
        return -1;
    }
    return 0;
}

static int read_document(const bson_t *document, struct history_cursor *cursor)
{
    bson_iter_t at;
    bool more = bson_validate(document, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL) &&
                bson_iter_init(&at, document);
    while (more && bson_iter_next(&at)) {
        if (read_member(&at, cursor) < 0) {
            return -1;
        }
    }
    cursor->resumed = true;
    return more ? 0 : -1;
}

int history_cursor_read(const char *text, struct history_cursor *cursor)
{
    struct buffer data = BUFFER_INIT;
    bson_t document;
    if (text[0] != '~' || strlen(text) > HISTORY_CURSOR_MAX) {
        return -1;
    }
    int rc = decode_base64url(text + 1, &data);
    if (rc == 0) {
        rc = data.len > 0 && bson_init_static(&document, (const uint8_t *)data.data, data.len)
                 ? read_document(&document, cursor) : -1;
    }
    buffer_fini(&data);
    return rc;
}
