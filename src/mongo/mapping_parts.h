/*
 * mapping_parts - what a mapping is made of; for mapping*.c only.
 */
#ifndef TAILWATER_MONGO_MAPPING_PARTS_H
#define TAILWATER_MONGO_MAPPING_PARTS_H

#include "mapping.h"
#include "preset.h"

enum label_kind { LABEL_TEXT, LABEL_COLLECTION, LABEL_DATABASE };

struct label {
    char *name;
    char *value;
    enum label_kind kind;
};

struct text_list {
    char **at;
    size_t count;
};

struct mapping {
    const struct mapping_set *set;
    bool is_own;             /* of tailwater's own collection */
    struct text_list shapes; /* of its channels, as the catalog wants them */
    char *database;
    struct text_list collections; /* names and globs */
    struct template *channel;
    char *event;
    struct label *labels;
    size_t label_count;
    bson_t *filter;        /* match for find(), or NULL */
    bson_t *change_filter; /* match for change streams, or NULL */
    struct bson_json_filter *json_filter;
    bool insert, replace;
    char *order;
    const struct preset *preset;
    char *paths[3]; /* by enum mapping_field; NULL: the preset's */
};

struct mapping_set {
    struct mapping *mappings;
    size_t count;
    struct text_list own; /* "db.collection" */
    const struct mapping_set **others; /* of other sources; for mapping_set_can_produce() */
    size_t other_count;
    char *grants_database, *grants_collection; /* NULL: none */
};

void text_list_add(struct text_list *list, const char *text);
void text_list_fini(struct text_list *list);

/* Is it a glob, not a name? */
static inline bool collection_is_glob(const char *pattern)
{
    return strchr(pattern, '*') != NULL;
}

/* NULL when a mapping may list this name (NULL: it was no text), else a sentence about what is wrong. */
const char *collection_problem(const char *name);

/* Does a name or glob match this collection? */
bool collection_matches(const char *pattern, struct slice collection);

/* "system.…" */
bool collection_is_system(struct slice collection);

/* The collection's name if this own namespace is in the mapping's database, else NULL. */
const char *mapping_own_collection(const struct mapping *mapping, const char *own_namespace);

/* Make the mapping of tailwater's own collection in *m, likewise. */
int mapping_compile_own(size_t index, const struct mapping_set_options *options, struct mapping *m,
                        struct mapping_problem *problem);

/* Fill m->shapes of a compiled mapping. */
void mapping_add_shapes(struct mapping *m);

/* Compile one mapping into *m (zeroed, with set). On failure *m may be half made; mapping_fini() takes it. */
int mapping_compile(const json_t *json, size_t index, const char *default_database, struct mapping *m,
                    struct mapping_problem *problem);

#endif
