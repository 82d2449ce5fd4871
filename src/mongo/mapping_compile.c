/* mapping_compile - one entry of `mappings:` to a struct mapping; every mistake with its place and a sentence. */
#include "mapping_parts.h"

#include "event_name.h"
#include "field_path.h"
#include "match.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABEL_VALUE_MAX = TAILWATER_SEGMENT_MAX,
    LABELS_MAX = 16,
    DATABASE_NAME_MAX = 63,
    COLLECTION_NAME_MAX = 255,
};

struct compiler {
    struct mapping *m;
    size_t index;
    struct mapping_problem *problem;
    const char *default_database;
};

/* where: behind "mappings[n]", e.g. ".event". */
static int fail(struct compiler *c, const char *where, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(struct compiler *c, const char *where, const char *format, ...)
{
    struct mapping_problem *problem = c->problem;
    snprintf(problem->path, sizeof problem->path, "mappings[%zu]%s", c->index, where);
    va_list args;
    va_start(args, format);
    vsnprintf(problem->error.text, sizeof problem->error.text, format, args);
    va_end(args);
    problem->error.code = 0;
    return -1;
}

static int fail_at(struct compiler *c, const char *key, size_t index, const char *sentence)
{
    char where[64];
    snprintf(where, sizeof where, ".%s[%zu]", key, index);
    return fail(c, where, "%s", sentence);
}

/* The text of a JSON string, or NULL when it is none or holds a NUL. */
static const char *text_of(const json_t *json)
{
    const char *text = json_string_value(json);
    return text && strlen(text) == json_string_length(json) ? text : NULL;
}

static char *own_text(char **slot, const char *text)
{
    free(*slot);
    *slot = memory_text(text);
    return *slot;
}

/* --- the nearest known name --------------------------------------------------------------------- */

/* Levenshtein's distance of two short names. */
static size_t distance(const char *a, const char *b)
{
    enum { SHORT = 32 };
    size_t rows = strlen(a), columns = strlen(b);
    if (rows >= SHORT || columns >= SHORT) {
        return SHORT;
    }
    size_t row[SHORT + 1];
    for (size_t k = 0; k <= columns; k++) {
        row[k] = k;
    }
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= columns; k++) {
            size_t change = diagonal + (a[i - 1] != b[k - 1]);
            size_t insert = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            diagonal = row[k];
            row[k] = change < insert ? change : insert;
        }
    }
    return row[columns];
}

static const char *nearest(const char *name, const char *const *known)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 2 < 3 ? strlen(name) / 2 + 1 : 4;
    for (; *known; known++) {
        size_t d = distance(name, *known);
        if (d < best_distance) {
            best = *known;
            best_distance = d;
        }
    }
    return best;
}

/* --- the keys ----------------------------------------------------------------------------------- */

static const char *database_problem(const char *name)
{
    if (name[0] == '\0' || strlen(name) > DATABASE_NAME_MAX || strpbrk(name, "/\\. \"$")) {
        return "this is no name of a database";
    }
    if (strcmp(name, "admin") == 0 || strcmp(name, "local") == 0 || strcmp(name, "config") == 0) {
        return "MongoDB has no change streams on admin, local and config";
    }
    return NULL;
}

static int compile_database(struct compiler *c, const json_t *json)
{
    const char *name = json ? text_of(json) : c->default_database;
    if (!name) {
        return fail(c, json ? ".database" : "", json ? "it must be text" : "database is missing");
    }
    const char *problem = database_problem(name);
    own_text(&c->m->database, name);
    return problem ? fail(c, ".database", "%s", problem) : 0;
}

const char *collection_problem(const char *name)
{
    if (!name) {
        return "it must be text";
    }
    if (name[0] == '\0' || strlen(name) > COLLECTION_NAME_MAX || strchr(name, '$') || name[0] == '.') {
        return "this is no name of a collection";
    }
    if (collection_is_system((struct slice){name, strlen(name)})) {
        return "collections named system.* are MongoDB's own";
    }
    return NULL;
}

static int compile_collections(struct compiler *c, const json_t *json)
{
    if (!json) {
        return fail(c, "", "collections is missing ([\"*\"] means all of the database)");
    }
    if (!json_is_array(json) || json_array_size(json) == 0) {
        return fail(c, ".collections", "it must be a list of names ([\"*\"] means all of the database)");
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        const char *name = text_of(json_array_get(json, i));
        const char *problem = collection_problem(name);
        if (problem) {
            return fail_at(c, "collections", i, problem);
        }
        text_list_add(&c->m->collections, name);
    }
    return 0;
}

static int compile_channel(struct compiler *c, const json_t *json)
{
    struct error error;
    const char *text = text_of(json);
    if (!json) {
        return fail(c, "", "channel is missing (e.g. \"logs:etl:{workspace_id}:{workflow_id}\")");
    }
    if (!text) {
        return fail(c, ".channel", "it must be text");
    }
    return template_new(text, &c->m->channel, &error) < 0 ? fail(c, ".channel", "%s", error.text) : 0;
}

static int compile_event(struct compiler *c, const json_t *json)
{
    const char *name = json ? text_of(json) : template_literal(c->m->channel, 0);
    if (!name) {
        return fail(c, json ? ".event" : "", "%s",
                    json ? "it must be text" : "event is missing: the channel begins with a placeholder");
    }
    if (event_name_is_reserved(name, strlen(name))) {
        return fail(c, ".event", "\"%s\" is one of tailwater's own event names%s", name,
                    json ? "" : "; set another one with event:");
    }
    const char *problem = event_name_problem(name, strlen(name));
    if (problem) {
        return fail(c, ".event", "%s", problem);
    }
    own_text(&c->m->event, name);
    return 0;
}

static const char *label_problem(const struct compiler *c, const char *name, const char *value)
{
    static const char *const own[] = {"channel", "type", "ts", "log_data", "truncated", "size"};
    if (!event_name_is_plain(name, strlen(name))) {
        return "a label's name has 1 to 64 of A-Z a-z 0-9 . _ -";
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(own[i], name) == 0) {
            return "this is a member of every event and cannot be a label";
        }
    }
    if (template_has_field(c->m->channel, name)) {
        return "this is a placeholder of the channel and cannot be a label";
    }
    if (!value || strlen(value) > LABEL_VALUE_MAX) {
        return "a label must be text of at most 128 bytes";
    }
    bool is_field = value[0] == '{' && strcmp(value, "{$collection}") != 0 && strcmp(value, "{$database}") != 0;
    return is_field ? "a label is text, {$collection} or {$database}; fields of the document are in log_data" : NULL;
}

static int compile_labels(struct compiler *c, const json_t *json)
{
    if (!json) {
        return 0;
    }
    if (!json_is_object(json) || json_object_size(json) > LABELS_MAX) {
        return fail(c, ".labels", "it must be a map of at most %d names to text", LABELS_MAX);
    }
    c->m->labels = memory_zero(json_object_size(json), sizeof *c->m->labels);
    const char *name;
    json_t *json_value;
    json_object_foreach((json_t *)(uintptr_t)json, name, json_value) {
        const char *value = text_of(json_value);
        const char *problem = label_problem(c, name, value);
        if (problem) {
            char where[128];
            snprintf(where, sizeof where, ".labels.%.100s", name);
            return fail(c, where, "%s", problem);
        }
        enum label_kind kind = strcmp(value, "{$collection}") == 0 ? LABEL_COLLECTION
                               : strcmp(value, "{$database}") == 0 ? LABEL_DATABASE
                                                                   : LABEL_TEXT;
        c->m->labels[c->m->label_count++] = (struct label){memory_text(name), memory_text(value), kind};
    }
    return 0;
}

static int compile_match(struct compiler *c, const json_t *json)
{
    if (!json || (json_is_object(json) && json_object_size(json) == 0)) {
        return 0;
    }
    struct error error;
    struct buffer where = BUFFER_INIT;
    buffer_append_text(&where, ".match");
    c->m->filter = bson_new();
    c->m->change_filter = bson_new();
    int rc = match_compile(json, "", c->m->filter, &where, &error);
    if (rc == 0) {
        rc = match_compile(json, "fullDocument.", c->m->change_filter, &where, &error);
    }
    if (rc < 0) {
        fail(c, buffer_text(&where), "%s", error.text);
    }
    buffer_fini(&where);
    return rc;
}

static int check_paths(struct compiler *c, const char *key, const json_t *json)
{
    if (!json) {
        return 0;
    }
    char where[32];
    snprintf(where, sizeof where, ".%s", key);
    if (!json_is_array(json) || json_array_size(json) == 0) {
        return fail(c, where, "it must be a list of fields");
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        const char *path = text_of(json_array_get(json, i));
        const char *problem = path ? field_path_problem(path, strlen(path)) : "is not text";
        if (problem) {
            snprintf(where, sizeof where, ".%s[%zu]", key, i);
            return fail(c, where, "the field %s", problem);
        }
    }
    return 0;
}

static int compile_json_filter(struct compiler *c, const json_t *only, const json_t *omit)
{
    if (only && omit) {
        return fail(c, ".omit", "only and omit exclude each other");
    }
    if (check_paths(c, "only", only) < 0 || check_paths(c, "omit", omit) < 0) {
        return -1;
    }
    c->m->json_filter = bson_json_filter_new(only, omit);
    return 0;
}

static int compile_operations(struct compiler *c, const json_t *json)
{
    c->m->insert = !json;
    if (json && (!json_is_array(json) || json_array_size(json) == 0)) {
        return fail(c, ".operations", "it must be a list of insert and replace");
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        const char *name = text_of(json_array_get(json, i));
        if (name && strcmp(name, "insert") == 0) {
            c->m->insert = true;
        } else if (name && strcmp(name, "replace") == 0) {
            c->m->replace = true;
        } else if (name && (strcmp(name, "update") == 0 || strcmp(name, "delete") == 0)) {
            return fail_at(c, "operations", i,
                           "inserts and replacements carry the document; updates and deletes carry none");
        } else {
            return fail_at(c, "operations", i, "there are insert and replace");
        }
    }
    return 0;
}

static int compile_path(struct compiler *c, const char *key, const json_t *json, char **slot)
{
    if (!json) {
        return 0;
    }
    const char *path = text_of(json);
    const char *problem = path ? field_path_problem(path, strlen(path)) : "is not text";
    if (problem) {
        char where[32];
        snprintf(where, sizeof where, ".%s", key);
        return fail(c, where, "the field %s", problem);
    }
    own_text(slot, path);
    return 0;
}

static int compile_preset(struct compiler *c, const json_t *json)
{
    const char *name = json ? text_of(json) : "auto";
    c->m->preset = name ? preset_find(name) : NULL;
    if (c->m->preset) {
        return 0;
    }
    const char *near = name ? nearest(name, preset_names()) : NULL;
    return fail(c, ".preset", "there is no such preset%s%s%s", near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
}

static int check_keys(struct compiler *c, const json_t *json)
{
    static const char *const known[] = {"collections", "database", "channel", "event",  "labels",
                                        "match",       "omit",     "only",    "order",  "operations",
                                        "level",       "time",     "message", "preset", NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) {
            i++;
        }
        if (!known[i]) {
            char where[128];
            snprintf(where, sizeof where, ".%.100s", key);
            const char *near = nearest(key, known);
            return fail(c, where, "unknown key \"%.80s\"%s%s%s", key, near ? "; did you mean \"" : "", near ? near : "",
                        near ? "\"?" : "");
        }
    }
    return 0;
}

static int compile_places(struct compiler *c, const json_t *json)
{
    static const char *const keys[] = {"level", "time", "message"};
    for (size_t i = 0; i < 3; i++) {
        if (compile_path(c, keys[i], json_object_get(json, keys[i]), &c->m->paths[i]) < 0) {
            return -1;
        }
    }
    own_text(&c->m->order, "_id");
    return compile_path(c, "order", json_object_get(json, "order"), &c->m->order);
}

int mapping_compile(const json_t *json, size_t index, const char *default_database, struct mapping *m,
                    struct mapping_problem *problem)
{
    struct compiler c = {m, index, problem, default_database};
    if (!json_is_object(json)) {
        return fail(&c, "", "a mapping is a map with collections, channel and more");
    }
    bool bad = check_keys(&c, json) < 0 || compile_database(&c, json_object_get(json, "database")) < 0 ||
               compile_collections(&c, json_object_get(json, "collections")) < 0 ||
               compile_channel(&c, json_object_get(json, "channel")) < 0 ||
               compile_event(&c, json_object_get(json, "event")) < 0 ||
               compile_labels(&c, json_object_get(json, "labels")) < 0 ||
               compile_match(&c, json_object_get(json, "match")) < 0 ||
               compile_json_filter(&c, json_object_get(json, "only"), json_object_get(json, "omit")) < 0 ||
               compile_operations(&c, json_object_get(json, "operations")) < 0 ||
               compile_places(&c, json) < 0 || compile_preset(&c, json_object_get(json, "preset")) < 0;
    return bad ? -1 : 0;
}
