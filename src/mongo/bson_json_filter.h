/*
 * bson_json_filter - the fields of `only` and `omit` as a tree of path parts.
 * For bson_json.c and bson_json_filter.c only.
 */
#ifndef TAILWATER_MONGO_BSON_JSON_FILTER_H
#define TAILWATER_MONGO_BSON_JSON_FILTER_H

#include "bson_json.h"

struct path_node {
    char *key;
    size_t key_len;
    bool leaf; /* a path ends here */
    struct path_node *children;
    size_t count;
};

struct bson_json_filter {
    struct path_node root;
    bool only; /* else omit */
};

/* Where a key leads from node: one step, or for a key with dots as many as it has parts. Stops early at a leaf.
 * NULL: nowhere. */
const struct path_node *bson_json_filter_follow(const struct path_node *node, const char *key, size_t len);

#endif
