/*
 * match - the condition that an operator may put on a mapping's documents, compiled to MongoDB's query language.
 *
 * The condition runs inside the one change stream that everybody shares, so only operators that cannot raise on any
 * document are accepted, and their operands are checked as the server would: $eq $ne $gt $gte $lt $lte $in $nin $exists
 * $type $all $size $elemMatch $and $or $nor $not, and $regex with $options. Values are JSON, or {"$oid": "24 hex"}, or
 * {"$date": "ISO 8601" or milliseconds}.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_MATCH_H
#define TAILWATER_MONGO_MATCH_H

#include "buffer.h"
#include "error.h"

#include <bson/bson.h>
#include <jansson.h>

/*
 * Append the condition's members to *filter. prefix stands in front of every field name that is relative to the
 * document: "fullDocument." for a change stream, "" for a find.
 * Returns 0, or -1: *err tells what is wrong, `where` (appended to) leads to it from the condition: ".level.$in[2]".
 */
int match_compile(const json_t *match, const char *prefix, bson_t *filter, struct buffer *where, struct error *err);

#endif
