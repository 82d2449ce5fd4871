/*
 * yaml_tree - a YAML (or JSON) text as a jansson tree, and the line of everything in it.
 *
 * Deliberately less than YAML: one document, at most 1 MiB, 64 levels and 65536 values; keys are text, each once in its
 * mapping; no anchors, aliases, merge keys and tags. What is refused is refused with its line. Plain scalars follow the
 * core schema of YAML 1.2 (null, true/false, numbers; so `no` is a text), quoted ones are always texts.
 *
 * Thread: any, one owner a tree.  Called yaml_tree_ because libyaml has yaml.h and exports a yaml_free().
 */
#ifndef TAILWATER_APP_YAML_TREE_H
#define TAILWATER_APP_YAML_TREE_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>

struct yaml_tree;

enum {
    YAML_TREE_BYTES_MAX = 1048576,
    YAML_TREE_DEPTH_MAX = 64,
    YAML_TREE_VALUES_MAX = 65536,
    YAML_TREE_KEY_MAX = 256, /* bytes */
};

/*
 * Parse text; name is what errors call it ("tailwater.yaml:7: …"). Returns 0 and the tree, which the caller frees, or
 * -1. Errors never quote values, only keys.
 */
int yaml_tree_parse(const char *text, size_t len, const char *name, struct yaml_tree **out, struct error *err);

/* The same with the content of a file. */
int yaml_tree_read(const char *path, struct yaml_tree **out, struct error *err);

void yaml_tree_free(struct yaml_tree *tree); /* NULL is fine */

/* The value; null for an empty text. Belongs to the tree. */
json_t *yaml_tree_root(const struct yaml_tree *tree);

/* The line of what the path ("sources[0].mappings[1].match.level") leads to, or of the nearest thing above it that
 * exists; 1 when there is none. */
unsigned yaml_tree_line(const struct yaml_tree *tree, const char *path);

#endif
