/*
 * publish_repeat - documents that could not be inserted because their _id is there already: is it a repeat of the same
 * one? Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_PUBLISH_REPEAT_H
#define TAILWATER_MONGO_PUBLISH_REPEAT_H

#include "publish_insert.h"

/* Look at what is stored under these _ids: in the same channel it is a repeat, else the item is refused. Returns 0 with
 * no item left open, or -1 with *err. */
int publish_repeat_find(mongoc_client_t *client, struct publish_group *group, struct error *err);

#endif
