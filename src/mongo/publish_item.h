/*
 * publish_item - one document on its way from a publisher's request into a collection, and what became of it.
 * Thread: a blocking one.
 */
#ifndef TAILWATER_MONGO_PUBLISH_ITEM_H
#define TAILWATER_MONGO_PUBLISH_ITEM_H

#include "buffer.h"
#include "frame.h"
#include "mapping.h"

#include <bson/bson.h>

/* Room for what stands around a document in a message; the server takes no larger ones. */
enum { PUBLISH_DOCUMENT_MAX = 16 * 1024 * 1024 - 4096, PUBLISH_ID_MAX = 1024 };

enum publish_state {
    PUBLISH_OPEN = 0, /* nothing has become of it yet */
    PUBLISH_INSERTED,
    PUBLISH_REPEATED, /* the same _id was there already, in the same channel */
    PUBLISH_REFUSED,  /* the publisher's fault */
    PUBLISH_FAILED,   /* MongoDB's; status is 503 */
};

/* Where a document goes. Borrowed from the configuration, or from the request that outlives it. */
struct publish_target {
    unsigned source;
    const struct mapping *mapping; /* NULL = tailwater's own collection */
    const char *database, *collection;
};

struct publish_item {
    enum publish_state state;
    int status;       /* REFUSED, FAILED: of HTTP */
    const char *code; /* and the problem's code, constant */
    char *detail;     /* and sentence, owned */
    struct publish_target target;
    bson_t *document; /* with its _id first; owned, NULL as long as there is none */
    bool made_id;     /* the _id is of our making */
    struct buffer channel;
};

void publish_item_fini(struct publish_item *item);

/* The item is done, badly; always returns -1. The first reason stays. */
int publish_item_refuse(struct publish_item *item, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int publish_item_fail(struct publish_item *item, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Read an item's JSON (Extended JSON is understood: {"$date": …}, {"$oid": …}). Returns a document for bson_destroy(),
 * or NULL: the item is refused then.
 */
bson_t *publish_item_parse(struct publish_item *item, struct slice text);

/*
 * Begin item->document with the wanted _id: a string (24 hex digits become an ObjectId), a number or an ObjectId;
 * NULL = make one. Returns 0, or -1 when the item was refused.
 */
int publish_item_begin(struct publish_item *item, const bson_iter_t *id);

/* The document is complete: is it small enough? Returns 0, or -1 when the item was refused. */
int publish_item_end(struct publish_item *item);

/* The _id. False when there is no document yet. */
bool publish_item_id(const struct publish_item *item, bson_iter_t *at);

#endif
