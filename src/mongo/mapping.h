/*
 * mapping - which collections a source covers and what channel, name and keys a document of them gets
 * (CONTRACT section 2). Compiled once from the configuration, then immutable.
 *
 * A mapping set belongs to one source: its mappings in order; the first that lists a document's collection takes it.
 * Thread: any, read only after mapping_set_new().  Owns: everything in it.
 */
#ifndef TAILWATER_MONGO_MAPPING_H
#define TAILWATER_MONGO_MAPPING_H

#include "buffer.h"
#include "catalog.h"
#include "error.h"
#include "frame.h"

#include <bson/bson.h>
#include <jansson.h>

struct mapping;
struct mapping_set;

enum json_style {
    JSON_STYLE_PLAIN,   /* hex ids, ISO dates, plain numbers (CONTRACT section 2) */
    JSON_STYLE_RELAXED, /* MongoDB Extended JSON v2, relaxed */
};

enum mapping_scope { MAPPING_SCOPE_COLLECTION, MAPPING_SCOPE_DATABASE, MAPPING_SCOPE_CLUSTER };

/* Where a problem of the configuration lies, so that the loader can name the line. */
struct mapping_problem {
    char path[256]; /* relative to the source: "mappings[1].match.level" */
    struct error error;
};

/* What surrounds the mappings of a source. */
struct mapping_set_options {
    const char *database;              /* default database of the mappings */
    const char *const *own_namespaces; /* "db.collection" of tailwater's own and the grants collection, NULL-terminated;
                                          never among a mapping's collections. May be NULL */
};

/*
 * Compile the array `mappings` (NULL: the default mapping, all collections by
 * "logs:{$collection}:{workspace_id}:{workflow_id|function_id|resource_id}" with label service = collection).
 * Unknown keys, reserved event names, bad templates, operators that could raise: -1 with *problem.
 */
int mapping_set_new(const json_t *mappings, const struct mapping_set_options *options, struct mapping_set **out,
                    struct mapping_problem *problem);
void mapping_set_free(struct mapping_set *set);

/* The narrowest scope that covers all mappings. database and collection are set as far as the scope needs them and
 * belong to the set. */
enum mapping_scope mapping_set_scope(const struct mapping_set *set, const char **database, const char **collection);

/*
 * Append the change stream's stages behind $changeStream to the BSON array `stages` (as bson keys "1", "2", …):
 * $match on operation, namespace and each mapping's `match`; then the stripping $project of DESIGN.md.
 * drop_oversize: a guard in front drops events whose documentKey is 4096 bytes or more (error 10334 came all the same).
 */
void mapping_set_pipeline(const struct mapping_set *set, bool drop_oversize, bson_t *stages);

/* The mapping that takes documents of this collection, or NULL. Names need no NUL. */
const struct mapping *mapping_set_find(const struct mapping_set *set, struct slice database, struct slice collection);

/* Number of mappings, and one of them (0 <= index < count), in order. */
size_t mapping_set_count(const struct mapping_set *set);
const struct mapping *mapping_set_at(const struct mapping_set *set, size_t index);

/* The database a mapping reads. */
const char *mapping_database(const struct mapping *mapping);

/* Does this mapping list the collection (its own namespaces left out; earlier mappings not considered)? */
bool mapping_covers(const struct mapping *mapping, struct slice collection);

/* Tell the catalog every shape that the mappings can produce and the services they name. */
void mapping_set_describe(const struct mapping_set *set, struct catalog *catalog);

/* Tell the catalog that a collection exists: the services its mapping gives it (e.g. {$collection} or its labels). */
void mapping_describe_collection(const struct mapping *mapping, struct slice collection, struct catalog *catalog);

/* The pattern of all channels that this collection's documents could get ("logs:etl:*:*" without {$collection}),
 * appended to out. For oversize events, whose keys are unknown. */
void mapping_collection_pattern(const struct mapping *mapping, struct slice database, struct slice collection,
                                struct buffer *out);

#endif
