/*
 * mapping_service - from a service that publishes logs to the collection that takes them, and from what its request
 * says to the fields of the mapping's channel (CONTRACT section 5). A request never names a collection.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_MAPPING_SERVICE_H
#define TAILWATER_MONGO_MAPPING_SERVICE_H

#include "mapping.h"

/*
 * The collection that the mapping gives to a service, borrowed, or NULL. A mapping is of a service when its label
 * `service`, a literal of its channel behind the first segment, or {service} in its channel says so: then it is the
 * first collection that the mapping lists by name; where it lists only "*" forms, `fallback` if they cover it. Where
 * {$collection} is the service, it is the collection of the service's name, if the mapping lists it, else `fallback`.
 * service NULL: any will do.
 */
const char *mapping_service_collection(const struct mapping *mapping, const char *service, const char *fallback);

/* The mapping's `match` with "fullDocument." in front of each field, or NULL. */
const bson_t *mapping_change_filter(const struct mapping *mapping);

/* Which segments of a channel hold what a request names; -1 = none. */
struct service_segments {
    int workspace, resource, service;
};

/*
 * By the fields' names (workspace_id; workflow_id, function_id or resource_id; service); else the workspace is the
 * first field that is left, and the resource the next one behind it.
 */
struct service_segments mapping_service_segments(const struct mapping *mapping);

/* Of a segment's alternatives, the index of the one with this name, or 0. */
size_t mapping_service_field(const struct mapping *mapping, int segment, const char *name);

#endif
