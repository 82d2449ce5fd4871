/*
 * publish_insert - inserting published documents, and what became of each: with write concern majority, unordered, all
 * documents of one collection in one command. Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_PUBLISH_INSERT_H
#define TAILWATER_MONGO_PUBLISH_INSERT_H

#include "database.h"
#include "publish_item.h"

/* Open items of one target, each with document and channel. */
struct publish_group {
    struct publish_target target;
    struct publish_item **items;
    size_t count;
};

/* Take those that do not pass the mapping's `match` out of the group: they are refused. The server itself is asked, and
 * nothing is written. Returns 0, or -1: all items have failed. */
int publish_insert_check(mongoc_client_t *client, struct publish_group *group);

/* Insert; no item is open afterwards. */
void publish_insert_run(mongoc_client_t *client, struct publish_group *group);

#endif
