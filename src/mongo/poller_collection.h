/*
 * poller_collection - one collection as a poller sees it: by which field it is read, its window, and the questions that
 * are asked about it.
 *
 * By the order field of its mapping where an index serves that, else by _id (told once, with the command that creates
 * the index). A time-series collection has no index on _id: the default order is its time field there.
 * Thread: the poller's.
 */
#ifndef TAILWATER_MONGO_POLLER_COLLECTION_H
#define TAILWATER_MONGO_POLLER_COLLECTION_H

#include "event_builder.h"
#include "poll_window.h"
#include "server_facts.h"

#include <uthash.h>

/* How a look asks. */
struct poller_view {
    mongoc_client_t *client;
    mongoc_client_session_t *session; /* the cursors belong to it */
    struct event_builder *builder;    /* for hashes */
    uint32_t server_id;
    int64_t server_ms; /* the server's clock when the look began [ms since 1970] */
    uint64_t at;       /* see everything as it was at this cluster time, 0 = what a majority has now */
};

/* Choose a server and ask for its time. Returns 0, or -1 with *err; close it in both cases. */
int poller_view_open(struct poller_view *view, mongoc_client_t *client, struct event_builder *builder, uint64_t at,
                     struct error *err);
void poller_view_close(struct poller_view *view);

struct poller_collection {
    UT_hash_handle hh; /* by ns */
    char *ns;          /* "database.name" */
    char *database, *name;
    const struct mapping *mapping;
    bool is_view, is_timeseries;
    bool is_young;     /* it appeared while others were polled already: all of it is news */
    bool begun;
    char *order;       /* once it has begun */
    struct poll_window *window;
    uint64_t listing;  /* the newest listing that it was in */
};

struct poller_collection *poller_collection_new(const struct covered_collection *covered, int64_t overlap_us);
void poller_collection_free(struct poller_collection *collection);

/* Find out by which field to read, and pass over what is there already. Returns 0, or -1 with *err. */
int poller_collection_begin(struct poller_collection *collection, const struct poller_view *view, struct error *err);

/* {_id, order field} of everything in the window, in its order. Returns 0, or -1 with *err. */
int poller_collection_keys(const struct poller_collection *collection, const struct poller_view *view,
                           mongoc_cursor_t **cursor, struct error *err);

/* The documents of these _ids (a BSON array) that its mapping wants, in their order. Returns 0, or -1 with *err. */
int poller_collection_documents(const struct poller_collection *collection, const struct poller_view *view,
                                const bson_t *ids, mongoc_cursor_t **cursor, struct error *err);

/* The order value of a key or document, and the hash that its insert has in a change stream. false: it has none. */
bool poller_collection_place(const struct poller_collection *collection, const bson_t *document, bson_iter_t *order);
int64_t poller_collection_hash(const struct poller_collection *collection, struct event_builder *builder,
                               const bson_t *document);

#endif
