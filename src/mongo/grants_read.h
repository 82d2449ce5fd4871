/*
 * grants_read - from documents of the grants collection, {_id: user, read: [patterns]}, to grant sets.
 *
 * A user is named by a string; an ObjectId stands for its 24 hex digits and an integer for its decimal text, and a user
 * with documents of several such forms has what they all say. Names are UTF-8 of 1 to GRANTS_USER_MAX bytes without
 * control bytes; a document with any other _id is left out. `read` may be a single string. What is no valid pattern
 * grants nothing, and of more than GRANTS_PATTERNS_MAX the rest does not count. What was left out is told in the log,
 * at a limited rate.
 * Thread: the owner of the client; where it is one at a time for a place.
 */
#ifndef TAILWATER_MONGO_GRANTS_READ_H
#define TAILWATER_MONGO_GRANTS_READ_H

#include "error.h"
#include "grants.h"
#include "log.h"

#include <mongoc/mongoc.h>
#include <stdbool.h>

enum { GRANTS_PATTERNS_MAX = 1000 };

/* Where they are read. */
struct grants_place {
    const char *source;               /* its name, for the log */
    const char *database, *collection;
    size_t max_bytes;                 /* of everyone's, about */
    struct log_limit odd_limit;
};

/* The sets belong to whoever reads: grants_list_fini(), unless their references were given away. */
struct grants_list {
    struct grant_set **sets;
    size_t count;
    uint64_t time; /* nothing up to this cluster time is missing; 0 where the server has none */
};

/*
 * Everyone's, at a cluster time that is at least this, in no order. Where the server has no snapshot of it, something
 * of what came later may be in. Returns 0, or -1 with *err and its code.
 */
int grants_read_all(mongoc_client_t *client, struct grants_place *place, uint64_t least, struct grants_list *out,
                    struct error *err);

/* These different users', in their order, as of this cluster time (or later, as above): one set for each, empty where
 * there is no document. Returns 0, or -1 with *err and its code. */
int grants_read_users(mongoc_client_t *client, struct grants_place *place, const char *const *users, size_t count,
                      uint64_t time, struct grants_list *out, struct error *err);

void grants_list_fini(struct grants_list *list);

/* Which user's document has this _id? False: nobody's. */
bool grants_user(const bson_iter_t *id, char out[GRANTS_USER_MAX + 1]);

#endif
