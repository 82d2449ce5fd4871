/* bson_json_filter - see bson_json.h and bson_json_filter.h. */
#include "bson_json_filter.h"

#include <stdlib.h>
#include <string.h>

static struct path_node *node_child(const struct path_node *node, const char *key, size_t len)
{
    for (size_t i = 0; i < node->count; i++) {
        struct path_node *child = &node->children[i];
        if (child->key_len == len && memcmp(child->key, key, len) == 0) {
            return child;
        }
    }
    return NULL;
}

const struct path_node *bson_json_filter_follow(const struct path_node *node, const char *key, size_t len)
{
    while (node) {
        const struct path_node *child = node_child(node, key, len);
        const char *dot = memchr(key, '.', len);
        if (child || !dot) {
            return child;
        }
        size_t part = (size_t)(dot - key);
        node = node_child(node, key, part);
        if (node && node->leaf) {
            return node;
        }
        key += part + 1;
        len -= part + 1;
    }
    return NULL;
}

static void filter_add(struct path_node *node, const char *path)
{
    for (;;) {
        size_t len = strcspn(path, ".");
        struct path_node *child = node_child(node, path, len);
        if (!child) {
            node->children = memory_resize(node->children, (node->count + 1) * sizeof *node->children);
            child = &node->children[node->count++];
            *child = (struct path_node){.key = memory_copy(path, len), .key_len = len};
        }
        if (path[len] == '\0') {
            child->leaf = true;
            return;
        }
        node = child;
        path += len + 1;
    }
}

static void node_fini(struct path_node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        node_fini(&node->children[i]);
    }
    free(node->children);
    free(node->key);
}

struct bson_json_filter *bson_json_filter_new(const json_t *only, const json_t *omit)
{
    const json_t *paths = only ? only : omit;
    if (!paths || json_array_size(paths) == 0) {
        return NULL;
    }
    struct bson_json_filter *filter = memory_zero(1, sizeof *filter);
    filter->only = only != NULL;
    for (size_t i = 0; i < json_array_size(paths); i++) {
        filter_add(&filter->root, json_string_value(json_array_get(paths, i)));
    }
    return filter;
}

void bson_json_filter_free(struct bson_json_filter *filter)
{
    if (filter) {
        node_fini(&filter->root);
        free(filter);
    }
}

bool bson_json_filter_keeps(const struct bson_json_filter *filter, const char *path, size_t len)
{
    if (!filter) {
        return true;
    }
    const struct path_node *node = &filter->root;
    for (;;) {
        const char *dot = memchr(path, '.', len);
        size_t part = dot ? (size_t)(dot - path) : len;
        bool is_id = node == &filter->root && part == 3 && memcmp(path, "_id", 3) == 0;
        node = node_child(node, path, part);
        if (!node) {
            return !filter->only || is_id;
        }
        if (node->leaf) {
            return filter->only;
        }
        if (!dot) {
            return false; /* some of it is dropped */
        }
        path += part + 1;
        len -= part + 1;
    }
}
