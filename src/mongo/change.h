/*
 * change - one change of a change stream, taken apart once: its parts as views into the document that the pipeline of
 * mapping_set_pipeline() delivers. Pure; any thread; valid as long as that document.
 */
#ifndef TAILWATER_MONGO_CHANGE_H
#define TAILWATER_MONGO_CHANGE_H

#include "frame.h"

#include <bson/bson.h>
#include <stdbool.h>
#include <stdint.h>

struct change {
    struct slice token;                           /* the resume token's text; what is missing is "" */
    struct slice operation, database, collection;
    uint64_t cluster_time;                        /* 0 = missing */
    int64_t wall_ms;                              /* 0 = missing */
    bool in_transaction, has_document, has_grants_id;
    bson_t document;       /* has_document: a view; not destroyed */
    bson_iter_t grants_id; /* has_grants_id: on the _id of a document of the grants collection */
};

/* What is not of its type counts as missing. */
void change_read(const bson_t *source, struct change *change);

/* The same for a value of an array of changes; false when it is no document. */
bool change_read_at(const bson_iter_t *at, struct change *change);

#endif
