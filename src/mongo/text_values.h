/*
 * text_values - from a text back to the BSON values that have it: the inverse of how documents become segments.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_TEXT_VALUES_H
#define TAILWATER_MONGO_TEXT_VALUES_H

#include "frame.h"

#include <bson/bson.h>

/*
 * Append to `array` (an empty BSON array) the values of every type whose text is `text`: string, ObjectId, int64
 * (MongoDB compares numbers by value: it finds int32 too), UUID. Nothing when the text is no UTF-8.
 */
void text_values_append(struct slice text, bson_t *array);

#endif
