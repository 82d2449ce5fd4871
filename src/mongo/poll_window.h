/*
 * poll_window - what a poller remembers of one collection: from which order value on it looks again, and which
 * documents from there on it has seen.
 *
 * Order values are made on many machines and written when their writers get to it, so that a document may appear
 * behind one with a higher value. Each look therefore begins at the value that was the newest one `overlap` ago, and
 * leaves out what was seen before. A value that lies in the server's future is seen like any other but is never the newest: one
 * machine with a wrong clock would otherwise take the window away from all others.
 *
 * Bounded: of more than `limit` documents in a window the older half is forgotten, and the window begins behind it.
 * Thread: owner only. Pure: times are arguments.
 */
#ifndef TAILWATER_MONGO_POLL_WINDOW_H
#define TAILWATER_MONGO_POLL_WINDOW_H

#include <bson/bson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct poll_window;

struct poll_window *poll_window_new(int64_t overlap_us, size_t limit);
void poll_window_free(struct poll_window *window); /* NULL is fine */

/* Where the next look begins, that value included; NULL: at the collection's beginning. Valid until the next call. */
const bson_value_t *poll_window_bound(const struct poll_window *window);

/* Begin at this value instead, which must not be less; borrowed. */
void poll_window_raise(struct poll_window *window, const bson_value_t *bound);

/*
 * The look passes a document, in the order of their values; hash: of its _id. server_ms: the server's clock [ms since
 * 1970]. Returns true when it was not seen before.
 */
bool poll_window_see(struct poll_window *window, const bson_value_t *order, int64_t hash, int64_t server_ms);

/* It could not be given to anybody: seeing it again shall be the first time. */
void poll_window_forget(struct poll_window *window, int64_t hash);

/* The look came to its end: what it did not pass is forgotten, and the window moves on. */
void poll_window_end(struct poll_window *window, int64_t now_us);

/* How many documents it remembers. */
size_t poll_window_count(const struct poll_window *window);

/* -1, 0 or 1, as a is before, at or behind b, where both are of a type that has an order here: ObjectId, date,
 * timestamp, number, text. 0 for all others. */
int poll_window_compare(const bson_value_t *a, const bson_value_t *b);

#endif
