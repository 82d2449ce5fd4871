/*
 * mapping - which collections a source covers and what channel, name and keys a document of them gets
 * (CONTRACT section 2). Compiled once from the configuration, then immutable.
 *
 * A mapping set belongs to one source: its mappings in order; the first that lists a document's collection takes it.
 *
 * A mapping's keys: collections (required; names, in which "*" stands for any run of characters: ["*"] is all, an
 * extension of the contract), channel (required), database, event, labels (values are text, {$collection} or
 * {$database}), match, omit or only, operations, order, preset, level, time, message.
 * Collections named system.* are never covered.
 * Thread: any, read only after mapping_set_new().  Owns: everything in it.
 */
#ifndef TAILWATER_MONGO_MAPPING_H
#define TAILWATER_MONGO_MAPPING_H

#include "bson_json.h"
#include "buffer.h"
#include "catalog.h"
#include "error.h"
#include "frame.h"
#include "template.h"

#include <bson/bson.h>
#include <jansson.h>

struct mapping;
struct mapping_set;


enum mapping_scope { MAPPING_SCOPE_COLLECTION, MAPPING_SCOPE_DATABASE, MAPPING_SCOPE_CLUSTER };

/* Where a problem of the configuration lies, so that the loader can name the line. */
struct mapping_problem {
    char path[256]; /* relative to the source: "mappings[1].match.level" */
    struct error error;
};

/* What surrounds the mappings of a source; all of it is borrowed for the call. */
struct mapping_set_options {
    const char *database;              /* default database of the mappings */
    const char *const *own_namespaces; /* "db.collection" of tailwater's own and the grants collection, NULL-terminated;
                                          never among a mapping's collections. May be NULL */
    const char *own_collection;        /* follow tailwater's own collection of this name in `database`, too: one more
                                          mapping, the last, with mapping_is_own(). NULL = no */
    const char *const *own_patterns;   /* valid ones, of its documents' channels, for the catalog alone; NULL-terminated */
    const char *grants_namespace;      /* "db.collection" of the grants, if the source's stream shall cover it; one
                                          of own_namespaces. NULL = no */
};

/*
 * Compile the array `mappings` (NULL: the default mapping, all collections by
 * "logs:{$collection}:{workspace_id}:{workflow_id|function_id|resource_id}" with label service = collection).
 * Unknown keys, reserved event names, bad templates, operators that could raise: -1 with *problem (not NULL).
 */
int mapping_set_new(const json_t *mappings, const struct mapping_set_options *options, struct mapping_set **out,
                    struct mapping_problem *problem);
void mapping_set_free(struct mapping_set *set);

/* The narrowest scope that covers all mappings and the grants. database and collection are set as far as the scope
 * needs them and belong to the set. */
enum mapping_scope mapping_set_scope(const struct mapping_set *set, const char **database, const char **collection);

/* Where the grants are, if the source's stream covers them. */
bool mapping_set_grants(const struct mapping_set *set, const char **database, const char **collection);

/*
 * Append the change stream's stages behind $changeStream to the BSON array `stages` (as bson keys "1", "2", …):
 * $match on operation, namespace and each mapping's `match`; then the stripping $project of DESIGN.md, which also keeps
 * txnNumber (for the reader: there only in transactions).
 * drop_oversize: a guard in front drops events whose documentKey is 4096 bytes or more (error 10334 came all the same).
 * with_grants, where the set has them: also what happens to the grants' documents and collection. Such an event carries
 * no document but, if it is of one, its _id as MAPPING_GRANTS_ID, unless that is as large as above.
 */
#define MAPPING_GRANTS_ID "grantsId"
void mapping_set_pipeline(const struct mapping_set *set, bool drop_oversize, bool with_grants, bson_t *stages);

/* The mapping that takes documents of this collection, or NULL. Names need no NUL. */
const struct mapping *mapping_set_find(const struct mapping_set *set, struct slice database, struct slice collection);

/*
 * Is it the one of tailwater's own collection? The channel, name and data of its events stand in the documents
 * (own_event.h). Its accessors below are those of a mapping without labels, level, filter or `match`, of inserts, with
 * order and time `at`; mapping_event() and mapping_channel() mean nothing.
 */
bool mapping_is_own(const struct mapping *mapping);

/* NULL when tailwater's own collection may have this name, else a sentence about what is wrong. */
const char *mapping_own_collection_problem(const char *name);

/*
 * Could one of the configured mappings, not tailwater's own collection, give a document this valid channel? Such a
 * channel is never taken from that collection and must be refused when it is published to it. Where a collection's name
 * is only known by a "*", any name counts. mapping_set_reserve(), before threads start, makes the mappings of another set
 * (borrowed for good) count, too: that of another source of the same readers.
 */
void mapping_set_reserve(struct mapping_set *set, const struct mapping_set *other);
bool mapping_set_can_produce(const struct mapping_set *set, const char *channel, size_t len);

/* Number of mappings, and one of them (0 <= index < count), in order. */
size_t mapping_set_count(const struct mapping_set *set);
const struct mapping *mapping_set_at(const struct mapping_set *set, size_t index);

/* The set it belongs to. */
const struct mapping_set *mapping_set_of(const struct mapping *mapping);

/* The database a mapping reads. */
const char *mapping_database(const struct mapping *mapping);

/* Its SSE event name. */
struct slice mapping_event(const struct mapping *mapping);

/* Its channel template. */
const struct template *mapping_channel(const struct mapping *mapping);

/* The indexed field that tail and history sort by; a dotted path. */
const char *mapping_order(const struct mapping *mapping);

/* Its `match` as a filter for find(), or NULL when every document passes. */
const bson_t *mapping_filter(const struct mapping *mapping);

/* What of a document is written, or NULL for all. */
const struct bson_json_filter *mapping_json_filter(const struct mapping *mapping);

/* Does it take this operation ('i' insert, 'r' replace)? */
bool mapping_takes(const struct mapping *mapping, char operation);

/* Append its labels as members of a JSON object, each with a comma behind it. */
void mapping_append_labels(const struct mapping *mapping, struct slice collection, struct buffer *json);

/*
 * Where a document of this mapping has its level, time and message: the first of the candidate paths that is present
 * and is written whole (after only and omit). Returns the path with *value standing on it, or NULL.
 */
enum mapping_field { MAPPING_FIELD_LEVEL, MAPPING_FIELD_TIME, MAPPING_FIELD_MESSAGE };
const char *mapping_find_field(const struct mapping *mapping, enum mapping_field field, const bson_t *document,
                               bson_iter_t *value);

/* The document's severity (enum frame_level, or a number between; 0 unknown). */
uint8_t mapping_level(const struct mapping *mapping, const bson_t *document);

/* The document's own time, else that of an ObjectId _id. Returns 0 with *wall_ms, or -1 when it has neither. */
int mapping_time(const struct mapping *mapping, const bson_t *document, int64_t *wall_ms);

/* Does this mapping list the collection (its own namespaces left out; earlier mappings not considered)? */
bool mapping_covers(const struct mapping *mapping, struct slice collection);

/* Tell the catalog every shape that the mappings can produce and the services they name. */
void mapping_set_describe(const struct mapping_set *set, struct catalog *catalog);

/* Tell the catalog that a collection exists: the services its mapping gives it (e.g. {$collection} or its labels). */
void mapping_describe_collection(const struct mapping *mapping, struct slice collection, struct catalog *catalog);

/*
 * The patterns of exactly the channels that this collection's documents could get, one or two joined by a comma, appended
 * to out; for oversize events, whose keys are unknown. "logs:etl:{ws}:{wf}", whose last segment may be missing, gives
 * "logs:etl:*"; "metrics:{ws}" gives "metrics:*,metrics".
 */
void mapping_collection_patterns(const struct mapping *mapping, struct slice database, struct slice collection,
                                 struct buffer *out);

#endif
