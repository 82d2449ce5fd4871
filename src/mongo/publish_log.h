/*
 * publish_log - from {service, workspace_id, workflow_id, logData} to the document that a mapping makes the requested
 * channel of (CONTRACT section 5). Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_PUBLISH_LOG_H
#define TAILWATER_MONGO_PUBLISH_LOG_H

#include "publish_item.h"

/* What an item says; borrowed from its parsed text. */
struct publish_log {
    const char *service;       /* NULL = not said */
    bson_iter_t workspace, resource, data;
    const char *resource_name; /* workflow_id, function_id or resource_id; NULL = none of them */
};

/* Returns 0, or -1: the item was refused. */
int publish_log_read(struct publish_item *item, const bson_t *parsed, struct publish_log *log);

/*
 * Make item->document and item->channel for item->target: logData, in which the request's keys win under the names that
 * the mapping's channel uses. service: what stands for it where the channel needs it as a field. The mapping's `match`
 * is not looked at. Returns 0, or -1: the item was refused.
 */
int publish_log_build(struct publish_item *item, struct publish_log *log, const char *service);

#endif
