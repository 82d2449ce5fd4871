/*
 * catalog - what channels a source can produce and which services it knows, for the widening of subscriptions and for
 * telling which of them nothing can ever match (CONTRACT section 1).
 *
 * Written by the source's watcher (mapping shapes once, collections as they appear), read by the loops.
 * Thread: any; one mutex, a leaf in the lock order.
 */
#ifndef TAILWATER_CORE_CATALOG_H
#define TAILWATER_CORE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

struct catalog;

struct catalog *catalog_new(void);
void catalog_free(struct catalog *catalog);

/*
 * Add a shape: a channel in which "*" stands for exactly one segment, also at the end ("logs:etl:*:*").
 * last_optional: the last segment may be missing. shape is copied; adding one twice is harmless.
 */
void catalog_add_shape(struct catalog *catalog, const char *shape, bool last_optional);

/* Add the (percent-encoded) name of a service; copied. */
void catalog_add_service(struct catalog *catalog, const char *name);

/* Is this segment a known service? */
bool catalog_has_service(struct catalog *catalog, const char *segment, size_t len);

/* Can the source produce any channel that this valid channel or pattern matches? */
bool catalog_can_produce(struct catalog *catalog, const char *pattern, size_t len);

#endif
