/*
 * server_facts - what a deployment says about itself that operators should see: the ends and the size of its oplog, the
 * collections that mappings cover. Thread: the owner of the client.
 *
 * Each is one question to the server, which may take SERVER_FACTS_LIMIT_MS of its time.
 */
#ifndef TAILWATER_MONGO_SERVER_FACTS_H
#define TAILWATER_MONGO_SERVER_FACTS_H

#include "database.h"
#include "mapping.h"

enum { SERVER_FACTS_LIMIT_MS = 1000 };

/* Cluster times of the oplog's oldest and newest entries. Returns 0, or -1 (no right to read it, a mongos). */
int server_facts_oplog(mongoc_client_t *client, uint64_t *first, uint64_t *last, struct error *err);

/* How much it holds and may hold. Returns 0, or -1 for the same reasons. */
int server_facts_oplog_size(mongoc_client_t *client, int64_t *bytes, int64_t *max_bytes, struct error *err);

/* A collection that exists and that a mapping takes. */
struct covered_collection {
    const struct mapping *mapping;
    const char *database, *name;
    enum {
        COVERED_PLAIN, /* also where only its name may be known */
        COVERED_CAPPED,
        COVERED_VIEW,
        COVERED_TIME_SERIES,
    } kind;
};

/* Calls take for each. Returns 0, or -1 with *err: then some may not have been given. */
int server_facts_collections(mongoc_client_t *client, const struct mapping_set *mappings,
                             void (*take)(void *context, const struct covered_collection *collection), void *context,
                             struct error *err);

#endif
