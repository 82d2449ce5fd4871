/*
 * history_cursor - where a page of history ended, as the text that clients send back: `next`.
 *
 * For each collection that was read: the order value and _id of its last row (or, where none was given out yet, of the
 * first row that comes next), so that rows which are inserted meanwhile neither shift nor repeat anything. It holds no
 * secret and is not signed: it can say no more than where to begin to read what its reader may read anyway.
 * Form: "~" and base64url of a BSON document. Thread: owner only.
 */
#ifndef TAILWATER_MONGO_HISTORY_CURSOR_H
#define TAILWATER_MONGO_HISTORY_CURSOR_H

#include "buffer.h"
#include "frame.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_CURSOR_MAX = 12288 }; /* bytes of text; it must fit into a request line */

/* A place in one collection. Owns its values. */
struct history_place {
    bson_value_t key, id; /* of the order field and, where that is another one, _id */
    bool inclusive;       /* the row itself is still to come */
    bool timeless;        /* named by a row: the time that was asked for leaves nothing out here */
    bool key_only;        /* no row's: made from a time. Never in a text */
};

void history_place_init(struct history_place *place);
void history_place_copy(const struct history_place *from, struct history_place *to); /* to: initialised */
void history_place_fini(struct history_place *place);

/* Where a request begins. */
struct history_cursor {
    bool newest_first;
    bool has_time;   /* rows before (or from) this time; of rows whose order value tells none, by their own time */
    int64_t time_ms;
    bool has_oid;    /* and where _id is the order and an ObjectId, exactly before (or behind) this one */
    bson_oid_t oid;
    bool resumed;    /* made from a text; newest first, collections without a place are done then */
    bson_t *places;  /* by the collection's key */
};

void history_cursor_init(struct history_cursor *cursor);
void history_cursor_fini(struct history_cursor *cursor);

/* The name of a collection in a cursor. */
enum { HISTORY_COLLECTION_KEY = 9 };
void history_cursor_key(unsigned source, const char *database, const char *collection,
                        char out[HISTORY_COLLECTION_KEY]);

/* Set and find a collection's place; find returns whether there is one (place: initialised). */
void history_cursor_put(struct history_cursor *cursor, const char *key, const struct history_place *place);
bool history_cursor_get(const struct history_cursor *cursor, const char *key, struct history_place *place);

/* Append the text. Returns 0, or -1 when it would be too long. */
int history_cursor_write(const struct history_cursor *cursor, struct buffer *out);

/* Read a text into an initialised cursor. Returns 0, or -1 when it is none. */
int history_cursor_read(const char *text, struct history_cursor *cursor);

#endif
