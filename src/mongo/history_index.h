/*
 * history_index - which indexes of a collection serve reading in order, and the command that creates one.
 * Thread: the owner of the client.
 */
#ifndef TAILWATER_MONGO_HISTORY_INDEX_H
#define TAILWATER_MONGO_HISTORY_INDEX_H

#include "buffer.h"
#include "error.h"
#include "frame.h"

#include <mongoc/mongoc.h>
#include <stdbool.h>

/* The name (heap) of an index that begins with {order: 1, _id: 1} or both -1 and holds every document, or NULL in *name
 * when there is none. Returns 0, or -1 with *err. */
int history_index_find(mongoc_collection_t *collection, const char *order, char **name, struct error *err);

/* Is there an index that begins with one of the fields? False also when that cannot be found out. */
bool history_index_begins(mongoc_collection_t *collection, const struct slice *fields, size_t count);

/* Append db.getCollection("…").createIndex({fields…: 1, order: 1, "_id": 1}). */
void history_index_command(const char *collection, const struct slice *fields, size_t count, const char *order,
                           struct buffer *out);

#endif
