/*
 * census - how many distinct channels and patterns somebody is subscribed to, over all loops.
 *
 * Thread: any; one mutex, a leaf in the lock order. Touched when a stream comes or goes, never for an event.
 */
#ifndef TAILWATER_CORE_CENSUS_H
#define TAILWATER_CORE_CENSUS_H

#include <stddef.h>

struct census;

struct census *census_new(void);
void census_free(struct census *census);

/* One subscription more, or less, to this channel or pattern. */
void census_add(struct census *census, const char *channel, size_t len);
void census_remove(struct census *census, const char *channel, size_t len);

/* Distinct ones now. */
size_t census_count(struct census *census);

#endif
