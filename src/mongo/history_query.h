/*
 * history_query - the query for the rows of one collection behind a place, in the order of a field and then _id.
 * Comparisons are by MongoDB's order of all types; the index on {order: 1, _id: 1} serves them. Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_HISTORY_QUERY_H
#define TAILWATER_MONGO_HISTORY_QUERY_H

#include "history_cursor.h"

struct history_query {
    const char *order;                /* the field, a dotted path */
    bool newest_first;
    const struct history_place *from; /* NULL = from the end */
    const bson_t *conditions[3];      /* that must hold as well; NULL or empty ones do not count */
};

/* Gives the query; bson_destroy it. */
bson_t *history_query_new(const struct history_query *query);

#endif
