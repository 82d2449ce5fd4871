/* yaml_tree - see yaml_tree.h. */
#include "yaml_tree.h"

#include "buffer.h"
#include "file.h"
#include "yaml_scalar.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Where a value stands. Parents come before their children, so one pass over the nodes resolves a path. */
struct node {
    char *key;       /* in a mapping; NULL in a sequence and for the root */
    uint32_t parent; /* index; the root is its own */
    uint32_t index;  /* in a sequence */
    unsigned line;
};

struct yaml_tree {
    json_t *root;
    struct node *nodes;
    size_t count, cap;
};

/* A mapping or sequence that is still open. */
struct level {
    json_t *container; /* borrowed: its parent owns it */
    uint32_t node;
    char *key; /* in a mapping: the key whose value comes next, else NULL */
    unsigned key_line;
};

struct builder {
    struct yaml_tree *tree;
    const char *name;
    struct level levels[YAML_TREE_DEPTH_MAX];
    unsigned depth;
    unsigned documents;
    bool done;
};

/* Attach "name:line: " to a sentence that is already there. */
static int at_line(const struct builder *b, unsigned line, struct error *err)
{
    return error_prefix(err, "%s:%u", b->name, line);
}

static struct level *top_of(struct builder *b)
{
    return b->depth ? &b->levels[b->depth - 1] : NULL;
}

static uint32_t add_node(struct yaml_tree *tree, struct node node)
{
    if (tree->count == tree->cap) {
        tree->cap = tree->cap ? tree->cap * 2 : 64;
        tree->nodes = memory_resize(tree->nodes, tree->cap * sizeof *tree->nodes);
    }
    tree->nodes[tree->count] = node;
    return (uint32_t)tree->count++;
}

/* Put a value (taken over, also on failure) where it belongs; its node's number, or -1. */
static int64_t add_value(struct builder *b, json_t *value, unsigned line, struct error *err)
{
    struct level *top = top_of(b);
    if (b->tree->count >= YAML_TREE_VALUES_MAX) {
        json_decref(value);
        return error_set(err, "there are more than %d values", YAML_TREE_VALUES_MAX);
    }
    if (!top) {
        b->tree->root = value;
        return add_node(b->tree, (struct node){NULL, 0, 0, line});
    }
    if (json_is_array(top->container)) {
        uint32_t index = (uint32_t)json_array_size(top->container);
        json_array_append_new(top->container, value);
        return add_node(b->tree, (struct node){NULL, top->node, index, line});
    }
    if (json_object_set_new(top->container, top->key, value) != 0) {
        return error_set(err, "the key is not UTF-8");
    }
    uint32_t node = add_node(b->tree, (struct node){top->key, top->node, 0, top->key_line});
    top->key = NULL; /* the node owns it now */
    return node;
}

static unsigned line_of_key(const struct yaml_tree *tree, uint32_t parent, const char *key)
{
    for (size_t i = 1; i < tree->count; i++) {
        if (tree->nodes[i].parent == parent && tree->nodes[i].key && strcmp(tree->nodes[i].key, key) == 0) {
            return tree->nodes[i].line;
        }
    }
    return 0;
}

static int take_key(struct builder *b, const char *text, size_t len, unsigned line, struct error *err)
{
    struct level *top = top_of(b);
    if (len == 0 || len > YAML_TREE_KEY_MAX || memchr(text, '\0', len)) {
        return error_set(err, "a key must have 1 to %d bytes and no NUL", YAML_TREE_KEY_MAX);
    }
    if (len == 2 && memcmp(text, "<<", 2) == 0) {
        return error_set(err, "merge keys (<<) are not supported; write the values out");
    }
    top->key = memory_copy(text, len);
    top->key_line = line;
    if (json_object_get(top->container, top->key)) {
        return error_set(err, "key \"%s\" is given twice (first in line %u)", top->key,
                         line_of_key(b->tree, top->node, top->key));
    }
    return 0;
}

static bool wants_key(struct builder *b)
{
    struct level *top = top_of(b);
    return top && json_is_object(top->container) && !top->key;
}

static int refuse_properties(const yaml_char_t *anchor, const yaml_char_t *tag, struct error *err)
{
    if (anchor) {
        return error_set(err, "anchors and aliases are not supported; write the values out");
    }
    if (tag) {
        return error_set(err, "tags (!) are not supported; quote a text that begins with an exclamation mark");
    }
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event, unsigned line, struct error *err)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (refuse_properties(event->data.scalar.anchor, event->data.scalar.tag, err) != 0) {
        return -1;
    }
    if (wants_key(b)) {
        return take_key(b, text, len, line, err);
    }
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.plain_implicit;
    json_t *value = yaml_scalar_value(text, len, plain, err);
    if (!value) {
        return -1;
    }
    return add_value(b, value, line, err) < 0 ? -1 : 0;
}

static int on_start(struct builder *b, json_t *container, const yaml_char_t *anchor, const yaml_char_t *tag,
                    unsigned line, struct error *err)
{
    int rc = refuse_properties(anchor, tag, err);
    if (rc == 0 && wants_key(b)) {
        rc = error_set(err, "a key must be text");
    }
    if (rc == 0 && b->depth == YAML_TREE_DEPTH_MAX) {
        rc = error_set(err, "nested deeper than %d levels", YAML_TREE_DEPTH_MAX);
    }
    if (rc != 0) {
        json_decref(container);
        return -1;
    }
    int64_t node = add_value(b, container, line, err);
    if (node < 0) {
        return -1;
    }
    b->levels[b->depth++] = (struct level){.container = container, .node = (uint32_t)node};
    return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event, struct error *err)
{
    unsigned line = (unsigned)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ ? error_set(err, "only one document is allowed") : 0;
    case YAML_ALIAS_EVENT:
        return error_set(err, "anchors and aliases are not supported; write the values out");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event, line, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, json_array(), event->data.sequence_start.anchor, event->data.sequence_start.tag, line, err);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, json_object(), event->data.mapping_start.anchor, event->data.mapping_start.tag, line, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    case YAML_STREAM_END_EVENT:
        b->done = true;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    default:
        return 0;
    }
}

/* Reader errors (not UTF-8, control bytes) carry an offset instead of a line. */
static unsigned line_at_offset(const char *text, size_t len, size_t offset)
{
    unsigned line = 1;
    for (size_t i = 0; i < len && i < offset; i++) {
        line += text[i] == '\n';
    }
    return line;
}

static int parser_error(const struct builder *b, const yaml_parser_t *parser, const char *text, size_t len,
                        struct error *err)
{
    const char *problem = parser->problem ? parser->problem : "it cannot be parsed";
    if (parser->error == YAML_READER_ERROR) {
        error_set(err, "%s", problem);
        return at_line(b, line_at_offset(text, len, parser->problem_offset), err);
    }
    if (parser->context && parser->context_mark.line != parser->problem_mark.line) {
        error_set(err, "%s, %s that begins in line %zu", problem, parser->context, parser->context_mark.line + 1);
    } else {
        error_set(err, "%s%s%s", problem, parser->context ? ", " : "", parser->context ? parser->context : "");
    }
    return at_line(b, (unsigned)parser->problem_mark.line + 1, err);
}

static int build(struct builder *b, const char *text, size_t len, struct error *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return error_set(err, "out of memory");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int rc = 0;
    while (rc == 0 && !b->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = parser_error(b, &parser, text, len, err);
            break;
        }
        rc = on_event(b, &event, err);
        if (rc != 0) {
            at_line(b, (unsigned)event.start_mark.line + 1, err);
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    for (unsigned i = 0; i < b->depth; i++) {
        free(b->levels[i].key);
    }
    return rc;
}

int yaml_tree_parse(const char *text, size_t len, const char *name, struct yaml_tree **out, struct error *err)
{
    *out = NULL;
    if (len > YAML_TREE_BYTES_MAX) {
        return error_set(err, "%s is larger than %d bytes", name, YAML_TREE_BYTES_MAX);
    }
    struct builder b = {.tree = memory_zero(1, sizeof *b.tree), .name = name};
    if (build(&b, text, len, err) != 0) {
        yaml_tree_free(b.tree);
        return -1;
    }
    if (!b.tree->root) {
        b.tree->root = json_null();
    }
    *out = b.tree;
    return 0;
}

int yaml_tree_read(const char *path, struct yaml_tree **out, struct error *err)
{
    *out = NULL;
    struct buffer text = BUFFER_INIT;
    int rc = file_read(path, YAML_TREE_BYTES_MAX, &text, err);
    if (rc == 0) {
        rc = yaml_tree_parse(text.len ? text.data : "", text.len, path, out, err);
    }
    buffer_fini(&text);
    return rc;
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree) {
        return;
    }
    json_decref(tree->root);
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->nodes[i].key);
    }
    free(tree->nodes);
    free(tree);
}

json_t *yaml_tree_root(const struct yaml_tree *tree)
{
    return tree->root;
}

/* Bytes of rest that name this node below its parent, or 0 when they do not. */
static size_t match_step(const struct node *node, const char *rest, bool at_start)
{
    if (!node->key) {
        char index[16];
        int n = snprintf(index, sizeof index, "[%u]", node->index);
        return strncmp(rest, index, (size_t)n) == 0 ? (size_t)n : 0;
    }
    size_t dot = at_start ? 0 : 1;
    size_t len = strlen(node->key);
    if ((dot && rest[0] != '.') || strncmp(rest + dot, node->key, len) != 0) {
        return 0;
    }
    char next = rest[dot + len];
    return next == '\0' || next == '.' || next == '[' ? dot + len : 0;
}

/* Keys may hold dots themselves, so every node that fits is tried; the one that covers most of the path wins. */
unsigned yaml_tree_line(const struct yaml_tree *tree, const char *path)
{
    if (tree->count == 0) {
        return 1;
    }
    int32_t *ends = memory_new(tree->count * sizeof *ends); /* bytes of path up to the node, or -1 */
    unsigned line = tree->nodes[0].line;
    int32_t best = 0;
    ends[0] = 0;
    for (size_t i = 1; i < tree->count; i++) {
        const struct node *node = &tree->nodes[i];
        int32_t start = ends[node->parent];
        size_t step = start < 0 ? 0 : match_step(node, path + start, start == 0);
        ends[i] = step ? start + (int32_t)step : -1;
        if (ends[i] > best) {
            best = ends[i];
            line = node->line;
        }
    }
    free(ends);
    return line;
}
