/* topic - see topic.h. */
#include "topic.h"

#include "buffer.h"
#include "tailwater/channel.h"
#include "seeded_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct topic_list {
    struct topic_entry **items;
    uint32_t count, cap;
    void *owner;  /* struct exact or struct node, to be freed when empty */
    bool is_exact;
};

struct exact {
    struct topic_list list;
    UT_hash_handle hh;
    size_t len;
    char channel[];
};

/* A trie node: what follows a prefix of segments. "*" in the middle is the child named "*". */
struct node {
    struct node *parent;
    struct node *children;
    struct topic_list here; /* patterns that end at this node */
    struct topic_list rest; /* patterns that end with "*" behind it: one or more segments */
    UT_hash_handle hh;
    size_t len;
    char segment[];
};

struct topic_index {
    struct exact *exacts;
    struct node *root;
    size_t lists; /* that are not empty */
};

static struct node *node_new(struct node *parent, const char *segment, size_t len)
{
    struct node *n = memory_zero(1, sizeof *n + len);
    n->parent = parent;
    n->here.owner = n->rest.owner = n;
    n->len = len;
    if (len) {
        memcpy(n->segment, segment, len);
    }
    return n;
}

struct topic_index *topic_index_new(void)
{
    struct topic_index *index = memory_zero(1, sizeof *index);
    index->root = node_new(NULL, NULL, 0);
    return index;
}

void topic_index_free(struct topic_index *index)
{
    if (index) {
        free(index->root);
        free(index);
    }
}

static void list_add(struct topic_index *index, struct topic_list *list, struct topic_entry *entry)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 2;
        list->items = memory_resize(list->items, list->cap * sizeof(struct topic_entry *));
    }
    index->lists += list->count == 0;
    entry->list = list;
    entry->at = list->count;
    list->items[list->count++] = entry;
}

static struct exact *exact_find(struct topic_index *index, const char *channel, size_t len)
{
    struct exact *e;
    HASH_FIND(hh, index->exacts, channel, len, e);
    return e;
}

static void exact_add(struct topic_index *index, const char *channel, size_t len, struct topic_entry *entry)
{
    struct exact *e = exact_find(index, channel, len);
    if (!e) {
        e = memory_zero(1, sizeof *e + len);
        e->list.owner = e;
        e->list.is_exact = true;
        e->len = len;
        memcpy(e->channel, channel, len);
        HASH_ADD_KEYPTR(hh, index->exacts, e->channel, len, e);
    }
    list_add(index, &e->list, entry);
}

static struct node *child_find(struct node *parent, const char *segment, size_t len)
{
    struct node *child;
    HASH_FIND(hh, parent->children, segment, len, child);
    return child;
}

static struct node *child_get(struct node *parent, const char *segment, size_t len)
{
    struct node *child = child_find(parent, segment, len);
    if (!child) {
        child = node_new(parent, segment, len);
        HASH_ADD_KEYPTR(hh, parent->children, child->segment, len, child);
    }
    return child;
}

static void pattern_add(struct topic_index *index, const char *pattern, size_t len, struct topic_entry *entry)
{
    struct node *node = index->root;
    for (;;) {
        const char *colon = memchr(pattern, ':', len);
        if (!colon && len == 1 && *pattern == '*') {
            list_add(index, &node->rest, entry);
            return;
        }
        size_t segment = colon ? (size_t)(colon - pattern) : len;
        node = child_get(node, pattern, segment);
        if (!colon) {
            list_add(index, &node->here, entry);
            return;
        }
        pattern += segment + 1;
        len -= segment + 1;
    }
}

void topic_add(struct topic_index *index, const char *pattern, size_t len, struct topic_entry *entry)
{
    if (tailwater_channel_is_pattern(pattern, len)) {
        pattern_add(index, pattern, len, entry);
    } else {
        exact_add(index, pattern, len, entry);
    }
}

static void node_prune(struct node *node)
{
    while (node->parent && !node->children && node->here.count == 0 && node->rest.count == 0) {
        struct node *parent = node->parent;
        HASH_DELETE(hh, parent->children, node);
        free(node->here.items);
        free(node->rest.items);
        free(node);
        node = parent;
    }
}

static void list_emptied(struct topic_index *index, struct topic_list *list)
{
    index->lists--;
    free(list->items);
    list->items = NULL;
    list->cap = 0;
    if (list->is_exact) {
        struct exact *e = list->owner;
        HASH_DELETE(hh, index->exacts, e);
        free(e);
    } else {
        node_prune(list->owner);
    }
}

void topic_remove(struct topic_index *index, struct topic_entry *entry)
{
    struct topic_list *list = entry->list;
    if (!list) {
        return;
    }
    struct topic_entry *last = list->items[--list->count];
    list->items[entry->at] = last;
    last->at = entry->at;
    entry->list = NULL;
    if (list->count == 0) {
        list_emptied(index, list);
    }
}

static void list_visit(const struct topic_list *list, topic_visit_fn *visit, void *arg)
{
    for (uint32_t i = 0; i < list->count; i++) {
        visit(list->items[i]->subscriber, arg);
    }
}

static void node_match(struct node *node, const char *rest, size_t len, topic_visit_fn *visit, void *arg)
{
    if (!rest) {
        list_visit(&node->here, visit, arg);
        return;
    }
    list_visit(&node->rest, visit, arg);
    if (!node->children) {
        return;
    }
    const char *colon = memchr(rest, ':', len);
    size_t segment = colon ? (size_t)(colon - rest) : len;
    const char *next = colon ? colon + 1 : NULL;
    size_t next_len = colon ? len - segment - 1 : 0;
    struct node *named = child_find(node, rest, segment);
    if (named) {
        node_match(named, next, next_len, visit, arg);
    }
    struct node *any = child_find(node, "*", 1);
    if (any) {
        node_match(any, next, next_len, visit, arg);
    }
}

void topic_match(struct topic_index *index, const char *channel, size_t len, topic_visit_fn *visit, void *arg)
{
    struct exact *e = exact_find(index, channel, len);
    if (e) {
        list_visit(&e->list, visit, arg);
    }
    node_match(index->root, channel, len, visit, arg);
}

size_t topic_count(const struct topic_index *index)
{
    return index->lists;
}
