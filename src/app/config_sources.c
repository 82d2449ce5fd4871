/* config_sources - `sources:` of the configuration: one change stream each (CONTRACT section 2). */
#include "config_loader.h"

#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_database[] = "logs";

enum { PATH_MAX_BYTES = 320, SOURCE_NAME_MAX = 32, NAMESPACE_MAX = 320 };

/* One source while it is read. entry is NULL where there is no `sources:`; then nothing in it can be wrong. */
struct source_reader {
    struct config_loader *loader;
    json_t *entry;
    unsigned index;
    bool only; /* the single one: its name may be left out */
    struct config_source *source;
};

static int fail_at(const struct source_reader *r, const char *key, struct error *err)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "sources[%u]%s%s", r->index, key[0] ? "." : "", key);
    error_prefix(err, "%s", path);
    return config_error_at(r->loader, path, err);
}

/* A member that is text; *out is NULL when it is missing. */
static int read_text(const struct source_reader *r, const char *key, const char **out, struct error *err)
{
    const json_t *value = r->entry ? json_object_get(r->entry, key) : NULL;
    *out = json_string_value(value);
    if (value && (!*out || !(*out)[0])) {
        error_set(err, "expected text");
        return fail_at(r, key, err);
    }
    return 0;
}

static int check_name(const char *name, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (strlen(name) > SOURCE_NAME_MAX || name[strspn(name, allowed)]) {
        return error_set(err, "expected 1 to %d letters, digits, - or _", SOURCE_NAME_MAX);
    }
    return 0;
}

static int read_name(const struct source_reader *r, struct error *err)
{
    const char *name;
    if (read_text(r, "name", &name, err) != 0) {
        return -1;
    }
    if (!name && !r->only) {
        error_set(err, "a name is missing");
        return fail_at(r, "", err);
    }
    name = name ? name : "logs";
    int rc = check_name(name, err);
    for (unsigned i = 0; rc == 0 && i < r->index; i++) {
        if (strcmp(r->loader->config->sources[i].name, name) == 0) {
            rc = error_set(err, "sources[%u] has the same name", i);
        }
    }
    if (rc != 0) {
        return fail_at(r, "name", err);
    }
    r->source->name = memory_text(name);
    return 0;
}

static int read_tag(const struct source_reader *r, struct error *err)
{
    const char *tag;
    if (read_text(r, "tag", &tag, err) != 0) {
        return -1;
    }
    if (tag && (tag[0] < 'a' || tag[0] > 'z' || tag[1])) {
        error_set(err, "expected one letter from a to z");
        return fail_at(r, "tag", err);
    }
    r->source->tag = tag ? tag[0] : (char)('a' + (char)r->index);
    for (unsigned i = 0; i < r->index; i++) {
        if (r->loader->config->sources[i].tag == r->source->tag) {
            error_set(err, "sources[%u] has the tag %c already; give each source its own", i, r->source->tag);
            return fail_at(r, "tag", err);
        }
    }
    return 0;
}

static int no_uri(const struct source_reader *r, struct error *err)
{
    error_set(err, "no MongoDB is configured: set MONGODB_URI (such as mongodb://127.0.0.1:27017/logs), or mongodb.uri "
                   "in a file given by --config");
    return r->entry ? fail_at(r, "", err) : -1;
}

static int fail_uri(const struct source_reader *r, struct error *err)
{
    if (r->source->uri) {
        return fail_at(r, "uri", err);
    }
    error_prefix(err, "mongodb.uri");
    return config_error_of(r->loader->config, "mongodb.uri", err);
}

static int set_database(const struct source_reader *r, const char *given, const char *of_uri, struct error *err)
{
    const char *problem = given ? connection_database_problem(given) : NULL;
    if (problem) {
        error_set(err, "the name of a database %s", problem);
        return fail_at(r, "database", err);
    }
    r->source->database = memory_text(given ? given : of_uri ? of_uri : default_database);
    return 0;
}

static int read_connection(const struct source_reader *r, struct error *err)
{
    const char *own, *database;
    if (read_text(r, "uri", &own, err) != 0 || read_text(r, "database", &database, err) != 0) {
        return -1;
    }
    r->source->uri = own ? memory_text(own) : NULL;
    const char *uri = config_source_uri(r->loader->config, r->source);
    if (!uri) {
        return no_uri(r, err);
    }
    char *uri_database = NULL, *hosts = NULL;
    if (connection_parse(uri, &uri_database, &hosts, err) != 0) {
        return fail_uri(r, err);
    }
    int rc = set_database(r, database, uri_database, err);
    if (rc == 0) {
        struct buffer label = BUFFER_INIT;
        buffer_printf(&label, "%s/%s", hosts, r->source->database);
        r->source->label = memory_text(buffer_text(&label));
        buffer_fini(&label);
    }
    free(uri_database);
    free(hosts);
    return rc;
}

/* --- tailwater's own collection -------------------------------------------------------------------- */

static int fail_own(const struct config *config, const char *problem, struct error *err)
{
    error_set(err, "publish_collection: %s", problem);
    return config_error_of(config, "publish_collection", err);
}

/* In this source's database, where another tailwater may have it, and in the first one's, where ours is. */
struct own_names {
    char here[NAMESPACE_MAX], first[NAMESPACE_MAX];
};

static int name_own(const struct source_reader *r, struct own_names *out, struct error *err)
{
    const struct config *config = r->loader->config;
    const char *name = config->publish_collection, *grants = config->auth_grants_collection;
    const char *problem = mapping_own_collection_problem(name);
    if (problem) {
        return fail_own(config, problem, err);
    }
    snprintf(out->here, sizeof out->here, "%s.%s", r->source->database, name);
    snprintf(out->first, sizeof out->first, "%s.%s", config->sources[0].database, name);
    return grants && strcmp(grants, out->first) == 0 ? fail_own(config, "this is the collection of grants", err) : 0;
}

/*
 * What the services may publish to, for free(), or NULL when nobody may publish: then the collection is not followed,
 * which would ask for rights on the whole database. Borrows the texts.
 */
static const char **publish_patterns(const struct config *config)
{
    size_t count = 0, most = 1;
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        most += config->auth_services[i].publish_count;
    }
    const char **patterns = memory_zero(most + 1, sizeof *patterns);
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        for (unsigned k = 0; k < config->auth_services[i].publish_count; k++) {
            patterns[count++] = config->auth_services[i].publish[k];
        }
    }
    if (config->test_endpoints) {
        patterns[count++] = "*";
    }
    if (count == 0) {
        free(patterns);
        return NULL;
    }
    return patterns;
}

/* --- mappings -------------------------------------------------------------------------------------- */

static int compile_mappings(const struct source_reader *r, const json_t *mappings, const struct own_names *own,
                            struct mapping_problem *problem)
{
    const struct config *config = r->loader->config;
    const char *grants = config->auth_grants_collection, *own_namespaces[4] = {own->here}, **next = own_namespaces + 1;
    if (r->index > 0) {
        *next++ = own->first;
    }
    *next = grants;
    const char **patterns = r->index == 0 ? publish_patterns(config) : NULL;
    struct mapping_set_options options = {
        .database = r->source->database,
        .own_namespaces = own_namespaces,
        .own_collection = patterns ? config->publish_collection : NULL,
        .own_patterns = patterns,
        .grants_namespace = r->index == 0 ? grants : NULL,
    };
    int rc = mapping_set_new(mappings, &options, &r->source->mappings, problem);
    free(patterns);
    return rc;
}

static int read_mappings(const struct source_reader *r, struct error *err)
{
    const json_t *mappings = r->entry ? json_object_get(r->entry, "mappings") : NULL;
    if (mappings && !json_is_array(mappings)) {
        error_set(err, "expected a list");
        return fail_at(r, "mappings", err);
    }
    struct own_names own;
    if (name_own(r, &own, err) != 0) {
        return -1;
    }
    struct mapping_problem problem = {.path = ""};
    if (compile_mappings(r, mappings, &own, &problem) == 0) {
        return 0;
    }
    if (err) {
        *err = problem.error;
    }
    return r->entry ? fail_at(r, problem.path, err) : -1;
}

static int read_source(const struct source_reader *r, struct error *err)
{
    static const char *const keys[] = {"name", "tag", "uri", "database", "mappings"};
    if (r->entry) {
        if (!json_is_object(r->entry)) {
            error_set(err, "expected a mapping with name, database and mappings");
            return fail_at(r, "", err);
        }
        char path[PATH_MAX_BYTES];
        snprintf(path, sizeof path, "sources[%u]", r->index);
        if (config_check_keys(r->loader, path, r->entry, keys, sizeof keys / sizeof keys[0], err) != 0) {
            return -1;
        }
    }
    if (read_name(r, err) != 0 || read_tag(r, err) != 0 || read_connection(r, err) != 0) {
        return -1;
    }
    return read_mappings(r, err);
}

static int check_list(const struct config_loader *loader, const json_t *list, struct error *err)
{
    if (!json_is_array(list) || json_array_size(list) == 0) {
        error_set(err, "sources: expected a list of at least one source, or no such key");
        return config_error_at(loader, "sources", err);
    }
    if (json_array_size(list) > CONFIG_SOURCES_MAX) {
        error_set(err, "sources: at most %d; one source can hold many mappings and collections", CONFIG_SOURCES_MAX);
        return config_error_at(loader, "sources[4]", err);
    }
    return 0;
}

int config_read_sources(struct config_loader *loader, struct error *err)
{
    const json_t *list = loader->tree ? json_object_get(yaml_tree_root(loader->tree), "sources") : NULL;
    if (json_is_null(list)) {
        list = NULL; /* a heading without entries */
    }
    if (list && check_list(loader, list, err) != 0) {
        return -1;
    }
    struct config *config = loader->config;
    unsigned count = list ? (unsigned)json_array_size(list) : 1;
    for (unsigned i = 0; i < count; i++) {
        struct source_reader reader = {loader, json_array_get(list, i), i, count == 1, &config->sources[i]};
        config->source_count = i + 1; /* so that config_free() sees what a failed one owns */
        if (read_source(&reader, err) != 0) {
            return -1;
        }
    }
    for (unsigned i = 1; i < count; i++) {
        mapping_set_reserve(config->sources[0].mappings, config->sources[i].mappings);
    }
    return 0;
}
