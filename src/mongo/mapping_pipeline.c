/* mapping_pipeline - the stages behind $changeStream: which events of which collections, and the stripping $project. */
#include "mapping_parts.h"

#include <string.h>

enum { DOCUMENT_KEY_MAX = 4096 }; /* bytes; an event with a larger one may exceed what MongoDB can send */

/* --- building arrays ---------------------------------------------------------------------------- */

/* An array under construction: bson_t wants the keys "0", "1", … */
struct list {
    bson_t bson;
    uint32_t count;
};

static const char *list_key(struct list *list, char buffer[16])
{
    const char *key;
    bson_uint32_to_string(list->count++, &key, buffer, 16);
    return key;
}

/* Functions, not libbson's macros: those evaluate the key twice. */
static void list_add_text(struct list *list, const char *text)
{
    char buffer[16];
    bson_append_utf8(&list->bson, list_key(list, buffer), -1, text, -1);
}

static void list_add_regex(struct list *list, const char *pattern)
{
    char buffer[16];
    bson_append_regex(&list->bson, list_key(list, buffer), -1, pattern, "s");
}

static void list_add_document(struct list *list, const bson_t *document)
{
    char buffer[16];
    bson_append_document(&list->bson, list_key(list, buffer), -1, document);
}

static struct list list_new(void)
{
    struct list list = {.count = 0};
    bson_init(&list.bson);
    return list;
}

/* --- namespaces --------------------------------------------------------------------------------- */

/* A glob as an anchored regular expression in which everything but "*" stands for itself. */
static void list_add_glob(struct list *list, const char *glob)
{
    struct buffer pattern = BUFFER_INIT;
    buffer_append_byte(&pattern, '^');
    for (; *glob; glob++) {
        if (*glob == '*') {
            buffer_append_text(&pattern, ".*");
            continue;
        }
        if (strchr("\\^$.|?+()[]{}", *glob)) {
            buffer_append_byte(&pattern, '\\');
        }
        buffer_append_byte(&pattern, *glob);
    }
    buffer_append_byte(&pattern, '$');
    list_add_regex(list, buffer_text(&pattern));
    buffer_fini(&pattern);
}

static void list_add_collection(struct list *list, const char *collection)
{
    if (collection_is_glob(collection)) {
        list_add_glob(list, collection);
    } else {
        list_add_text(list, collection);
    }
}

/* Is there an earlier mapping that takes this collection? */
static bool is_taken(const struct mapping *m, const char *name)
{
    const struct slice collection = {name, strlen(name)};
    return mapping_set_find(m->set, (struct slice){m->database, strlen(m->database)}, collection) != m;
}

/* What the mapping lists: globs, and the names that are left to it. Returns false when that is nothing. */
static bool list_wanted(const struct mapping *m, struct list *wanted, bool *has_glob, bool *all)
{
    *has_glob = *all = false;
    for (size_t i = 0; i < m->collections.count; i++) {
        const char *name = m->collections.at[i];
        bool glob = collection_is_glob(name);
        *has_glob = *has_glob || glob;
        *all = *all || strspn(name, "*") == strlen(name);
        if (glob || !is_taken(m, name)) {
            list_add_collection(wanted, name);
        }
    }
    return wanted->count > 0;
}

/* What a glob must leave out: MongoDB's own, tailwater's own and what earlier mappings list. */
static void list_excluded(const struct mapping *m, struct list *excluded)
{
    list_add_regex(excluded, "^system\\.");
    for (size_t i = 0; i < m->set->own.count; i++) {
        const char *own = mapping_own_collection(m, m->set->own.at[i]);
        if (own) {
            list_add_text(excluded, own);
        }
    }
    for (const struct mapping *earlier = m->set->mappings; earlier < m; earlier++) {
        if (strcmp(earlier->database, m->database) != 0) {
            continue;
        }
        for (size_t i = 0; i < earlier->collections.count; i++) {
            list_add_collection(excluded, earlier->collections.at[i]);
        }
    }
}

/* "ns.coll": {$in: […], $nin: […]}. Returns false when no collection is left for the mapping. */
static bool append_namespace(const struct mapping *m, bool with_database, bson_t *to)
{
    struct list wanted = list_new(), excluded = list_new();
    bool has_glob, all;
    bool some = list_wanted(m, &wanted, &has_glob, &all);
    if (with_database) {
        BSON_APPEND_UTF8(to, "ns.db", m->database);
    }
    bson_t condition;
    BSON_APPEND_DOCUMENT_BEGIN(to, "ns.coll", &condition);
    if (!all) {
        BSON_APPEND_ARRAY(&condition, "$in", &wanted.bson);
    }
    if (has_glob) {
        list_excluded(m, &excluded);
        BSON_APPEND_ARRAY(&condition, "$nin", &excluded.bson);
    }
    bson_append_document_end(to, &condition);
    bson_destroy(&wanted.bson);
    bson_destroy(&excluded.bson);
    return some;
}

/* --- stages ------------------------------------------------------------------------------------- */

/* Takes the names. */
static void append_operation_in(struct list *names, bson_t *to)
{
    bson_t condition;
    BSON_APPEND_DOCUMENT_BEGIN(to, "operationType", &condition);
    BSON_APPEND_ARRAY(&condition, "$in", &names->bson);
    bson_append_document_end(to, &condition);
    bson_destroy(&names->bson);
}

static void append_operations(bool insert, bool replace, bson_t *to)
{
    struct list names = list_new();
    if (insert) {
        list_add_text(&names, "insert");
    }
    if (replace) {
        list_add_text(&names, "replace");
    }
    append_operation_in(&names, to);
}

/* All that can change what the grants' collection says, with or without what happens to its whole database. */
static void append_grants_operations(bool with_database, bson_t *to)
{
    static const char *const operations[] = {"insert", "update", "replace", "delete", "drop", "rename", "dropDatabase"};
    struct list names = list_new();
    for (size_t i = 0; i + !with_database < sizeof operations / sizeof operations[0]; i++) {
        list_add_text(&names, operations[i]);
    }
    append_operation_in(&names, to);
}

static void list_add_mapping(struct list *branches, const struct mapping *m, bool with_database)
{
    bson_t branch = BSON_INITIALIZER;
    append_operations(m->insert, m->replace, &branch);
    if (append_namespace(m, with_database, &branch)) {
        if (m->change_filter) {
            bson_concat(&branch, m->change_filter);
        }
        list_add_document(branches, &branch);
    }
    bson_destroy(&branch);
}

/* Its documents and itself; what takes its name; its whole database. */
static void list_add_grants(struct list *branches, const struct mapping_set *set)
{
    bson_t itself = BSON_INITIALIZER;
    append_grants_operations(false, &itself);
    BSON_APPEND_UTF8(&itself, "ns.db", set->grants_database);
    BSON_APPEND_UTF8(&itself, "ns.coll", set->grants_collection);
    bson_t *renamed = BCON_NEW("operationType", "rename", "to.db", BCON_UTF8(set->grants_database), "to.coll",
                               BCON_UTF8(set->grants_collection));
    bson_t *dropped = BCON_NEW("operationType", "dropDatabase", "ns.db", BCON_UTF8(set->grants_database));
    list_add_document(branches, &itself);
    list_add_document(branches, renamed);
    list_add_document(branches, dropped);
    bson_destroy(&itself);
    bson_destroy(renamed);
    bson_destroy(dropped);
}

/* The outer condition on the operation is implied by the branches; it lets the server look at the operation first. */
static void append_match(const struct mapping_set *set, bool with_grants, bson_t *to)
{
    const char *database, *collection;
    bool with_database = mapping_set_scope(set, &database, &collection) == MAPPING_SCOPE_CLUSTER;
    struct list branches = list_new();
    bool insert = false, replace = false;
    for (size_t i = 0; i < set->count; i++) {
        insert = insert || set->mappings[i].insert;
        replace = replace || set->mappings[i].replace;
        list_add_mapping(&branches, &set->mappings[i], with_database);
    }
    bool some = branches.count > 0; /* else all collections are tailwater's own: nothing may match */
    if (with_grants) {
        list_add_grants(&branches, set);
        append_grants_operations(true, to);
        some = true;
    } else {
        append_operations(insert && some, replace && some, to);
    }
    if (some) {
        BSON_APPEND_ARRAY(to, "$or", &branches.bson);
    }
    bson_destroy(&branches.bson);
}

/* {$lt: [{$bsonSize: "$documentKey"}, 4096]}. Cannot raise: a missing key has the size null, which is less. */
static void append_key_is_small(bson_t *to)
{
    bson_t operands, size;
    BSON_APPEND_ARRAY_BEGIN(to, "$lt", &operands);
    BSON_APPEND_DOCUMENT_BEGIN(&operands, "0", &size);
    BSON_APPEND_UTF8(&size, "$bsonSize", "$documentKey");
    bson_append_document_end(&operands, &size);
    BSON_APPEND_INT32(&operands, "1", DOCUMENT_KEY_MAX);
    bson_append_array_end(to, &operands);
}

/* {$expr: {$lt: [{$bsonSize: {_id: "$documentKey._id"}}, 4096]}}. In these words the server applies it to the oplog's
 * entries, before it makes the event, which it cannot do at all where the token would be longer than 16 MB. */
static void append_guard(bson_t *to)
{
    bson_t expression, operands, size, key;
    BSON_APPEND_DOCUMENT_BEGIN(to, "$expr", &expression);
    BSON_APPEND_ARRAY_BEGIN(&expression, "$lt", &operands);
    BSON_APPEND_DOCUMENT_BEGIN(&operands, "0", &size);
    BSON_APPEND_DOCUMENT_BEGIN(&size, "$bsonSize", &key);
    BSON_APPEND_UTF8(&key, "_id", "$documentKey._id");
    bson_append_document_end(&size, &key);
    bson_append_document_end(&operands, &size);
    BSON_APPEND_INT32(&operands, "1", DOCUMENT_KEY_MAX);
    bson_append_array_end(&expression, &operands);
    bson_append_document_end(to, &expression);
}

static void append_equal(bson_t *operands, const char *key, const char *path, const char *value)
{
    bson_t comparison, sides, literal;
    BSON_APPEND_DOCUMENT_BEGIN(operands, key, &comparison);
    BSON_APPEND_ARRAY_BEGIN(&comparison, "$eq", &sides);
    BSON_APPEND_UTF8(&sides, "0", path);
    BSON_APPEND_DOCUMENT_BEGIN(&sides, "1", &literal);
    BSON_APPEND_UTF8(&literal, "$literal", value);
    bson_append_document_end(&sides, &literal);
    bson_append_array_end(&comparison, &sides);
    bson_append_document_end(operands, &comparison);
}

/* $and: is it of the grants' collection? */
static void append_is_of_grants(const struct mapping_set *set, bson_t *to)
{
    bson_t operands;
    BSON_APPEND_ARRAY_BEGIN(to, "$and", &operands);
    append_equal(&operands, "0", "$ns.db", set->grants_database);
    append_equal(&operands, "1", "$ns.coll", set->grants_collection);
    bson_append_array_end(to, &operands);
}

/* $and: its key is small, and it is of the grants' collection, or not. */
static void append_is_small_and(const struct mapping_set *set, bool of_grants, bson_t *to)
{
    bson_t operands, small, place, negated, inner;
    BSON_APPEND_ARRAY_BEGIN(to, "$and", &operands);
    BSON_APPEND_DOCUMENT_BEGIN(&operands, "0", &small);
    append_key_is_small(&small);
    bson_append_document_end(&operands, &small);
    BSON_APPEND_DOCUMENT_BEGIN(&operands, "1", &place);
    if (of_grants) {
        append_is_of_grants(set, &place);
    } else {
        BSON_APPEND_ARRAY_BEGIN(&place, "$not", &negated);
        BSON_APPEND_DOCUMENT_BEGIN(&negated, "0", &inner);
        append_is_of_grants(set, &inner);
        bson_append_document_end(&negated, &inner);
        bson_append_array_end(&place, &negated);
    }
    bson_append_document_end(&operands, &place);
    bson_append_array_end(to, &operands);
}

/* name: {$cond: [condition, value, "$$REMOVE"]} */
static void append_if(bson_t *to, const char *name, const bson_t *condition, const char *value)
{
    bson_t field, operands;
    BSON_APPEND_DOCUMENT_BEGIN(to, name, &field);
    BSON_APPEND_ARRAY_BEGIN(&field, "$cond", &operands);
    BSON_APPEND_DOCUMENT(&operands, "0", condition);
    BSON_APPEND_UTF8(&operands, "1", value);
    BSON_APPEND_UTF8(&operands, "2", "$$REMOVE");
    bson_append_array_end(&field, &operands);
    bson_append_document_end(to, &field);
}

static void append_projection(const struct mapping_set *set, bool with_grants, bson_t *to)
{
    bson_t with_document = BSON_INITIALIZER, with_id = BSON_INITIALIZER;
    BSON_APPEND_INT32(to, "operationType", 1);
    BSON_APPEND_INT32(to, "ns", 1);
    BSON_APPEND_INT32(to, "clusterTime", 1);
    BSON_APPEND_INT32(to, "wallTime", 1);
    BSON_APPEND_INT32(to, "txnNumber", 1); /* only in transactions: more events of this cluster time may come */
    if (with_grants) {
        append_is_small_and(set, false, &with_document);
        append_is_small_and(set, true, &with_id);
        append_if(to, MAPPING_GRANTS_ID, &with_id, "$documentKey._id");
    } else {
        append_key_is_small(&with_document);
    }
    append_if(to, "fullDocument", &with_document, "$fullDocument");
    bson_destroy(&with_document);
    bson_destroy(&with_id);
}

static void append_stage(bson_t *stages, const char *name, const bson_t *content)
{
    char buffer[16];
    const char *key;
    bson_t stage;
    bson_uint32_to_string(bson_count_keys(stages), &key, buffer, sizeof buffer);
    BSON_APPEND_DOCUMENT_BEGIN(stages, key, &stage);
    BSON_APPEND_DOCUMENT(&stage, name, content);
    bson_append_document_end(stages, &stage);
}

void mapping_set_pipeline(const struct mapping_set *set, bool drop_oversize, bool with_grants, bson_t *stages)
{
    bson_t guard = BSON_INITIALIZER, match = BSON_INITIALIZER, projection = BSON_INITIALIZER;
    bool grants = with_grants && set->grants_collection;
    append_guard(&guard);
    append_match(set, grants, &match);
    append_projection(set, grants, &projection);
    if (drop_oversize) {
        append_stage(stages, "$match", &guard);
    }
    append_stage(stages, "$match", &match);
    append_stage(stages, "$project", &projection);
    bson_destroy(&guard);
    bson_destroy(&match);
    bson_destroy(&projection);
}
