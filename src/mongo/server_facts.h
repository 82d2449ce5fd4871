/*
 * server_facts - what a deployment says about itself that operators should see: the ends of its oplog, the collections
 * that mappings cover. Thread: the owner of the client.
 */
#ifndef TAILWATER_MONGO_SERVER_FACTS_H
#define TAILWATER_MONGO_SERVER_FACTS_H

#include "database.h"
#include "mapping.h"

/* Cluster times of the oplog's oldest and newest entries. Returns 0, or -1 (no right to read local.oplog.rs, a mongos). */
int server_facts_oplog(mongoc_client_t *client, uint64_t *first, uint64_t *last, struct error *err);

/* Tell the catalog which collections exist that the mappings cover. Best effort: returns -1 with *err when it cannot. */
int server_facts_collections(mongoc_client_t *client, const struct mapping_set *mappings, struct catalog *catalog,
                             struct error *err);

#endif
