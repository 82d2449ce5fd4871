/*
 * event_cut - what is left of a document whose event is too large: _id, level, time and message, made to fit.
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_EVENT_CUT_H
#define TAILWATER_MONGO_EVENT_CUT_H

#include "mapping.h"

/*
 * Append a JSON object of at most room bytes (at least "{}"). The fields stand where they stand in the document and are
 * written as options and the mapping's only and omit say. _id, level and time are whole, or left out when one of them
 * takes more than a quarter of the room; a message of text is cut behind a whole character.
 */
void event_cut_append(struct buffer *json, const struct mapping *mapping, const bson_t *document,
                      const struct bson_json_options *options, size_t room);

/* Cut the inside of a JSON string, as buffer_append_json() writes it, to at most max bytes: not within an escape or a
 * UTF-8 sequence. Returns the length that is left. */
size_t event_cut_string(const char *json, size_t len, size_t max);

#endif
