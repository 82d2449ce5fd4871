/* mapping - see mapping.h. */
#include "mapping_parts.h"

#include "field_path.h"
#include "json_scalar.h"

#include <stdlib.h>
#include <string.h>

/* What a deployment gets that sets only MONGODB_URI. */
static const char default_mappings[] =
    "[{\"collections\":[\"*\"],"
    "\"channel\":\"logs:{$collection}:{workspace_id}:{workflow_id|function_id|resource_id}\","
    "\"labels\":{\"service\":\"{$collection}\"}}]";

void text_list_add(struct text_list *list, const char *text)
{
    list->at = memory_resize(list->at, (list->count + 1) * sizeof *list->at);
    list->at[list->count++] = memory_text(text);
}

void text_list_fini(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i]);
    }
    free(list->at);
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static bool slice_is(struct slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

/* --- making a set ------------------------------------------------------------------------------- */

static void mapping_fini(struct mapping *m)
{
    text_list_fini(&m->collections);
    text_list_fini(&m->shapes);
    template_free(m->channel);
    for (size_t i = 0; i < m->label_count; i++) {
        free(m->labels[i].name);
        free(m->labels[i].value);
    }
    free(m->labels);
    bson_destroy(m->filter);
    bson_destroy(m->change_filter);
    bson_json_filter_free(m->json_filter);
    for (size_t i = 0; i < 3; i++) {
        free(m->paths[i]);
    }
    free(m->database);
    free(m->event);
    free(m->order);
}

static int compile_all(struct mapping_set *set, const json_t *mappings, const struct mapping_set_options *options,
                       struct mapping_problem *problem)
{
    if (!json_is_array(mappings) || json_array_size(mappings) == 0) {
        snprintf(problem->path, sizeof problem->path, "mappings");
        return error_set(&problem->error, "it must be a list of at least one mapping");
    }
    set->mappings = memory_zero(json_array_size(mappings) + 1, sizeof *set->mappings);
    for (size_t i = 0; i < json_array_size(mappings); i++) {
        struct mapping *m = &set->mappings[set->count++];
        m->set = set;
        if (mapping_compile(json_array_get(mappings, i), i, options->database, m, problem) < 0) {
            return -1;
        }
        mapping_add_shapes(m);
    }
    return 0;
}

static int add_own(struct mapping_set *set, const struct mapping_set_options *options, struct mapping_problem *problem)
{
    if (!options->own_collection) {
        return 0;
    }
    struct mapping *m = &set->mappings[set->count++];
    m->set = set;
    return mapping_compile_own(set->count - 1, options, m, problem);
}

static void set_grants(struct mapping_set *set, const char *namespace)
{
    const char *dot = namespace ? strchr(namespace, '.') : NULL;
    if (dot) {
        set->grants_database = memory_copy(namespace, (size_t)(dot - namespace));
        set->grants_collection = memory_text(dot + 1);
    }
}

int mapping_set_new(const json_t *mappings, const struct mapping_set_options *options, struct mapping_set **out,
                    struct mapping_problem *problem)
{
    struct mapping_set *set = memory_zero(1, sizeof *set);
    for (const char *const *own = options->own_namespaces; own && *own; own++) {
        text_list_add(&set->own, *own);
    }
    set_grants(set, options->grants_namespace);
    json_t *defaults = mappings ? NULL : json_loads(default_mappings, 0, NULL);
    int rc = compile_all(set, mappings ? mappings : defaults, options, problem);
    json_decref(defaults);
    if (rc < 0 || add_own(set, options, problem) < 0) {
        mapping_set_free(set);
        return -1;
    }
    *out = set;
    return 0;
}

void mapping_set_free(struct mapping_set *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        mapping_fini(&set->mappings[i]);
    }
    free(set->mappings);
    text_list_fini(&set->own);
    free(set->others);
    free(set->grants_database);
    free(set->grants_collection);
    free(set);
}

/* --- which collections -------------------------------------------------------------------------- */

bool collection_is_system(struct slice collection)
{
    return collection.len >= 7 && memcmp(collection.data, "system.", 7) == 0;
}

/* "*" matches any run of bytes; the last "*" is the one to go back to, which keeps it linear in practice. */
bool collection_matches(const char *pattern, struct slice collection)
{
    const char *name = collection.data, *end = collection.data + collection.len;
    const char *star = NULL, *retry = NULL;
    while (name < end) {
        if (*pattern == '*') {
            star = pattern++;
            retry = name;
        } else if (*pattern && *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

const char *mapping_own_collection(const struct mapping *mapping, const char *own_namespace)
{
    size_t len = strlen(mapping->database);
    bool inside = strncmp(own_namespace, mapping->database, len) == 0 && own_namespace[len] == '.';
    return inside ? own_namespace + len + 1 : NULL;
}

static bool is_own(const struct mapping *mapping, struct slice collection)
{
    for (size_t i = 0; i < mapping->set->own.count; i++) {
        const char *own = mapping_own_collection(mapping, mapping->set->own.at[i]);
        if (own && slice_is(collection, own)) {
            return true;
        }
    }
    return false;
}

bool mapping_covers(const struct mapping *mapping, struct slice collection)
{
    if (collection_is_system(collection) || (is_own(mapping, collection) && !mapping->is_own)) {
        return false;
    }
    for (size_t i = 0; i < mapping->collections.count; i++) {
        if (collection_matches(mapping->collections.at[i], collection)) {
            return true;
        }
    }
    return false;
}

const struct mapping *mapping_set_find(const struct mapping_set *set, struct slice database, struct slice collection)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct mapping *m = &set->mappings[i];
        if (slice_is(database, m->database) && mapping_covers(m, collection)) {
            return m;
        }
    }
    return NULL;
}

enum mapping_scope mapping_set_scope(const struct mapping_set *set, const char **database, const char **collection)
{
    const struct mapping *first = &set->mappings[0];
    bool one_collection = !set->grants_collection;
    *database = *collection = NULL;
    if (set->grants_database && strcmp(set->grants_database, first->database) != 0) {
        return MAPPING_SCOPE_CLUSTER;
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct mapping *m = &set->mappings[i];
        if (strcmp(m->database, first->database) != 0) {
            return MAPPING_SCOPE_CLUSTER;
        }
        for (size_t k = 0; k < m->collections.count; k++) {
            const char *name = m->collections.at[k];
            one_collection = one_collection && !collection_is_glob(name) && strcmp(name, first->collections.at[0]) == 0;
        }
    }
    *database = first->database;
    if (!one_collection) {
        return MAPPING_SCOPE_DATABASE;
    }
    *collection = first->collections.at[0];
    return MAPPING_SCOPE_COLLECTION;
}

bool mapping_set_grants(const struct mapping_set *set, const char **database, const char **collection)
{
    *database = set->grants_database;
    *collection = set->grants_collection;
    return set->grants_collection != NULL;
}

/* --- what a mapping is -------------------------------------------------------------------------- */

size_t mapping_set_count(const struct mapping_set *set)
{
    return set->count;
}

const struct mapping *mapping_set_at(const struct mapping_set *set, size_t index)
{
    return &set->mappings[index];
}

const struct mapping_set *mapping_set_of(const struct mapping *mapping)
{
    return mapping->set;
}

const char *mapping_database(const struct mapping *mapping)
{
    return mapping->database;
}

struct slice mapping_event(const struct mapping *mapping)
{
    return slice_of(mapping->event);
}

const struct template *mapping_channel(const struct mapping *mapping)
{
    return mapping->channel;
}

const char *mapping_order(const struct mapping *mapping)
{
    return mapping->order;
}

const bson_t *mapping_filter(const struct mapping *mapping)
{
    return mapping->filter;
}

const struct bson_json_filter *mapping_json_filter(const struct mapping *mapping)
{
    return mapping->json_filter;
}

bool mapping_is_own(const struct mapping *mapping)
{
    return mapping->is_own;
}

bool mapping_takes(const struct mapping *mapping, char operation)
{
    return operation == 'i' ? mapping->insert : operation == 'r' && mapping->replace;
}

/* --- what a mapping finds in a document --------------------------------------------------------- */

static struct slice label_value(const struct mapping *mapping, const struct label *label, struct slice collection)
{
    return label->kind == LABEL_COLLECTION ? collection
           : label->kind == LABEL_DATABASE ? slice_of(mapping->database)
                                           : slice_of(label->value);
}

void mapping_append_labels(const struct mapping *mapping, struct slice collection, struct buffer *json)
{
    for (size_t i = 0; i < mapping->label_count; i++) {
        const struct label *label = &mapping->labels[i];
        struct slice value = label_value(mapping, label, collection);
        json_append_string(json, label->name, strlen(label->name));
        buffer_append_byte(json, ':');
        json_append_string(json, value.data, value.len);
        buffer_append_byte(json, ',');
    }
}

const char *mapping_find_field(const struct mapping *mapping, enum mapping_field field, const bson_t *document,
                               bson_iter_t *value)
{
    const char *const own[] = {mapping->paths[field], NULL};
    const char *const *paths = own[0]                          ? own
                               : field == MAPPING_FIELD_LEVEL  ? preset_level_paths(mapping->preset)
                               : field == MAPPING_FIELD_TIME   ? preset_time_paths(mapping->preset)
                                                               : preset_message_paths(mapping->preset);
    for (; *paths; paths++) {
        size_t len = strlen(*paths);
        if (field_path_find(document, *paths, len, value) && !field_path_is_missing(value) &&
            bson_json_filter_keeps(mapping->json_filter, *paths, len)) {
            return *paths;
        }
    }
    return NULL;
}

uint8_t mapping_level(const struct mapping *mapping, const bson_t *document)
{
    bson_iter_t value;
    if (mapping->is_own) {
        return FRAME_LEVEL_NONE;
    }
    return mapping_find_field(mapping, MAPPING_FIELD_LEVEL, document, &value) ? preset_level(mapping->preset, &value)
                                                                              : FRAME_LEVEL_NONE;
}

int mapping_time(const struct mapping *mapping, const bson_t *document, int64_t *wall_ms)
{
    bson_iter_t value;
    if (mapping_find_field(mapping, MAPPING_FIELD_TIME, document, &value) && preset_time(&value, wall_ms) == 0) {
        return 0;
    }
    bool by_id = field_path_find(document, "_id", 3, &value) && BSON_ITER_HOLDS_OID(&value);
    return by_id ? preset_time(&value, wall_ms) : -1;
}

/* --- what a mapping can produce ----------------------------------------------------------------- */

static void add_service(struct slice name, struct catalog *catalog)
{
    char segment[TAILWATER_SEGMENT_MAX + 1];
    size_t len = tailwater_segment_encode(name.data, name.len, segment);
    if (len) {
        segment[len] = '\0';
        catalog_add_service(catalog, segment);
    }
}

/* Services are the labels named so and the channel's literals but the first, which says what kind of events it is. */
static void describe_services(const struct mapping *m, struct catalog *catalog)
{
    for (size_t i = 0; i < m->label_count; i++) {
        if (m->labels[i].kind != LABEL_COLLECTION && strcmp(m->labels[i].name, "service") == 0) {
            add_service(label_value(m, &m->labels[i], (struct slice){NULL, 0}), catalog);
        }
    }
    for (size_t i = 1; i < template_count(m->channel); i++) {
        const char *literal = template_literal(m->channel, i);
        if (literal) {
            catalog_add_service(catalog, literal);
        }
    }
}

static void describe_mapping(const struct mapping *m, struct catalog *catalog)
{
    describe_services(m, catalog);
    for (size_t i = 0; i < m->shapes.count; i++) {
        catalog_add_shape(catalog, m->shapes.at[i], template_last_optional(m->channel));
    }
}

void mapping_set_describe(const struct mapping_set *set, struct catalog *catalog)
{
    for (size_t i = 0; i < set->count; i++) {
        describe_mapping(&set->mappings[i], catalog);
    }
}

void mapping_describe_collection(const struct mapping *mapping, struct slice collection, struct catalog *catalog)
{
    if (mapping_covers(mapping, collection) && !mapping->is_own) {
        add_service(collection, catalog);
    }
}

void mapping_collection_patterns(const struct mapping *mapping, struct slice database, struct slice collection,
                                 struct buffer *out)
{
    size_t start = out->len;
    if (template_append_shape(mapping->channel, database, &collection, out) < 0) {
        out->len = start; /* such a name gives no channel, but then the pattern must still be one */
        template_append_shape(mapping->channel, database, NULL, out);
    }
    if (!template_last_optional(mapping->channel)) {
        return;
    }
    /* "a:*:*" and, without the last, "a:*": which takes both. But "a:*" and "a" are two. */
    size_t without_last = out->len - 2;
    if (without_last > start && out->data[without_last - 1] == '*') {
        out->len = without_last;
        return;
    }
    struct buffer shorter = BUFFER_INIT;
    buffer_append(&shorter, out->data + start, without_last > start ? without_last - start : 0);
    buffer_append(out, ",", shorter.len > 0);
    buffer_append(out, shorter.data, shorter.len);
    buffer_fini(&shorter);
}
