/* document - BSON for tests, from Extended JSON with single quotes for double ones. */
#ifndef TEST_UNIT_DOCUMENT_H
#define TEST_UNIT_DOCUMENT_H

#include <bson/bson.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* 'x' to "x"; the caller frees. */
static inline char *document_quotes(const char *text)
{
    char *copy = strdup(text);
    for (char *at = copy; *at; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    return copy;
}

/* bson_destroy() it. */
static inline bson_t *document(const char *text)
{
    bson_error_t error;
    char *json = document_quotes(text);
    bson_t *bson = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!bson) {
        fprintf(stderr, "%s: %s\n", json, error.message);
        abort();
    }
    free(json);
    return bson;
}

/* json_decref() it. */
static inline json_t *tree(const char *text)
{
    char *json = document_quotes(text);
    json_error_t error;
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) {
        fprintf(stderr, "%s: %s\n", json, error.text);
        abort();
    }
    free(json);
    return value;
}

#endif
