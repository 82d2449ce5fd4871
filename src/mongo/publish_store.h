/*
 * publish_store - tailwater's own collection, where published events lie until they are old: its indexes, and how long.
 * They are made at the first publish of the process, by the thread that serves it.
 * Thread: any blocking one; atomics, and whoever comes first does it while the others go on without.
 */
#ifndef TAILWATER_MONGO_PUBLISH_STORE_H
#define TAILWATER_MONGO_PUBLISH_STORE_H

#include "database.h"

struct publish_store;

struct publish_store_options {
    const char *database, *collection; /* borrowed for the store's life */
    int64_t ttl_s;
};

struct publish_store *publish_store_new(const struct publish_store_options *options);
void publish_store_free(struct publish_store *store); /* NULL is fine */

const struct publish_store_options *publish_store_options(const struct publish_store *store);

/* Make the indexes, or change how long documents are kept, unless that was done. A failure is logged and tried again
 * after a minute: it is no reason not to publish. */
void publish_store_prepare(struct publish_store *store, mongoc_client_t *client);

#endif
