/*
 * inverse - a mapping the other way round: from channels and patterns to the query that finds their documents.
 *
 * The query matches every document whose channel is matched by one of the patterns; it may match more, so each row must
 * be mapped forward again. What can be decided without a document (literals, {$collection}, {$database}, the number of
 * segments) is. A concrete segment becomes {$in: […]} of every value with that text, which an index can serve;
 * alternatives {a|b} count in order; a dropped last segment is a missing, null or empty field.
 *
 * Fields with dots are found by the mapping also where a key itself holds the dots ("log.level"), which MongoDB's paths
 * do not find: such documents are let through, and no condition says that a dotted field is missing.
 * For tailwater's own collection it is the field `channel` that is looked for: plain channels by {$in: […]}, unless a
 * mapping can produce them, patterns as regular expressions that begin with what is fixed.
 * BSON's undefined (deprecated, removed from drivers) counts as null for servers before 8.0.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_INVERSE_H
#define TAILWATER_MONGO_INVERSE_H

#include "mapping.h"

/*
 * Append to `filter` (empty) the condition for find() on this collection, which the mapping takes, without the
 * mapping's own `match`. patterns: valid by tailwater/channel.h. A filter that stays empty means every document.
 * Returns whether the collection can produce any of them; false: the filter is as before.
 */
bool inverse_filter(const struct mapping *mapping, struct slice collection, const struct slice *patterns, size_t count,
                    bson_t *filter);

#endif
