/*
 * read_view - one deployment as it was at one cluster time, for several find commands: all at that time by readConcern
 * snapshot, or each at some time behind it by majority.
 *
 * Raw find commands, because the driver's own takes neither atClusterTime nor afterClusterTime; what follows the first
 * batch is read by its cursor, in the same session on the same server. The time is the newest that a majority has: a
 * later one would have to be waited for (100 ms where writers do not wait for the journal). It is known before any
 * collection is listed, so that none which existed then is missed.
 * Thread: the owner of the client.
 */
#ifndef TAILWATER_MONGO_READ_VIEW_H
#define TAILWATER_MONGO_READ_VIEW_H

#include "error.h"

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

struct read_view {
    uint64_t time;     /* every document that was written up to here is seen; 0 = the server has no cluster time */
    bool snapshot;     /* and nothing behind it */
    /* inside */
    mongoc_client_t *client;
    mongoc_client_session_t *session;
    uint32_t server_id;
};

/*
 * Choose a server and the time. snapshot: wanted; servers before 5.0 have none, view->snapshot tells. The client must
 * outlive the view. Returns 0, or -1 with *err; close it in both cases.
 */
int read_view_open(struct read_view *view, mongoc_client_t *client, bool snapshot, struct error *err);

/* The same at a time that is known to have been: the server is not asked for one, nor whether it has snapshots (a refusal
 * of the find tells; then clear view->snapshot and find again). */
int read_view_open_at(struct read_view *view, mongoc_client_t *client, uint64_t time, struct error *err);

/* {find: collection, filter: query} with opts (sort, hint and so on). The cursor must be destroyed before the view is
 * closed. Returns 0, or -1 with *err and its code. */
int read_view_find(struct read_view *view, const char *database, const char *collection, const bson_t *query,
                   const bson_t *opts, mongoc_cursor_t **cursor, struct error *err);

/* A cluster time that nothing which was read lies behind. Returns 0, or -1 with *err. */
int read_view_until(struct read_view *view, uint64_t *time, struct error *err);

/* Does this code mean that the server has no snapshot of what was asked for (but will read it by majority)? */
bool read_view_is_refusal(int code);

void read_view_close(struct read_view *view);

#endif
