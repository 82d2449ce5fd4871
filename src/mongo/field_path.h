/*
 * field_path - dotted names of fields ("meta.level") as the configuration writes them.
 *
 * A path goes through documents, not through arrays. A key that itself contains dots (ECS loggers write one key
 * "log.level") is found by the same path. Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_FIELD_PATH_H
#define TAILWATER_MONGO_FIELD_PATH_H

#include <bson/bson.h>
#include <stdbool.h>
#include <string.h>

enum { FIELD_PATH_MAX = 200 }; /* bytes; the configuration refuses longer ones */

/* What is wrong with a path, as the end of a sentence, or NULL. MongoDB itself refuses all of these in pipelines. */
static inline const char *field_path_problem(const char *path, size_t len)
{
    if (len == 0) {
        return "is empty";
    }
    if (len > FIELD_PATH_MAX) {
        return "is longer than 200 bytes";
    }
    if (memchr(path, '\0', len) || !bson_utf8_validate(path, len, false)) {
        return "is not UTF-8 text";
    }
    for (size_t i = 0; i < len; i++) {
        bool starts = i == 0 || path[i - 1] == '.';
        if ((unsigned char)path[i] < 0x20) {
            return "contains a control character";
        }
        if (starts && path[i] == '$') {
            return "has a part that begins with '$'";
        }
        if (path[i] == '.' && (starts || i + 1 == len)) {
            return "has an empty part";
        }
    }
    return NULL;
}

/*
 * Walk on from a fresh iterator to the first value at path. Returns whether there is one; *value stands on it then.
 * Recursion is bounded: each level uses up at least two bytes of the path.
 */
static inline bool field_path_walk(bson_iter_t *at, const char *path, size_t len, bson_iter_t *value)
{
    while (bson_iter_next(at)) {
        size_t key_len = bson_iter_key_len(at);
        if (key_len > len || memcmp(bson_iter_key(at), path, key_len) != 0) {
            continue;
        }
        if (key_len == len) {
            *value = *at;
            return true;
        }
        bson_iter_t child;
        if (path[key_len] == '.' && BSON_ITER_HOLDS_DOCUMENT(at) && bson_iter_recurse(at, &child) &&
            field_path_walk(&child, path + key_len + 1, len - key_len - 1, value)) {
            return true;
        }
    }
    return false;
}

static inline bool field_path_find(const bson_t *document, const char *path, size_t len, bson_iter_t *value)
{
    bson_iter_t at;
    return bson_iter_init(&at, document) && field_path_walk(&at, path, len, value);
}

/* Null, undefined and the empty string count as missing everywhere in a mapping. */
static inline bool field_path_is_missing(const bson_iter_t *value)
{
    uint32_t len = 1;
    switch (bson_iter_type(value)) {
    case BSON_TYPE_NULL:
    case BSON_TYPE_UNDEFINED:
        return true;
    case BSON_TYPE_UTF8:
        bson_iter_utf8(value, &len);
        return len == 0;
    default:
        return false;
    }
}

#endif
