/*
 * database - connections to one MongoDB deployment: a pool for each patience.
 *
 * Several pools, because libmongoc 1.x fixes the socket timeout when a client is made: at the tail a server that says
 * nothing for longer than maxAwaitTimeMS + 3 s is frozen, while a scan of an old oplog may rightly be silent for
 * minutes. A pool connects when it is used first. Thread: any; clients belong to the thread that popped them.
 */
#ifndef TAILWATER_MONGO_DATABASE_H
#define TAILWATER_MONGO_DATABASE_H

#include "error.h"

#include <mongoc/mongoc.h>

struct database;

enum database_patience {
    DATABASE_TAIL,   /* maxAwaitTimeMS + 3 s of silence */
    DATABASE_SEARCH, /* 20 s: look-ups, short scans */
    DATABASE_SCAN,   /* 5 min */
    DATABASE_PATIENCES,
};

/*
 * With which patience to try once more what reads old entries and has failed so often in a row. A server that is silent
 * may be scanning, or the connection is gone without a word: to ask with much patience at once would hold everybody for
 * minutes. Each patience is tried twice, for a pool may hold another dead connection.
 */
enum database_patience database_patience_after(unsigned failures);

/* Once a process, before and after everything else of this layer. */
void database_library_start(void);
void database_library_stop(void);

/* uri: as the operator gave it, never logged. Returns NULL with *err when it cannot be used. Connects lazily. */
struct database *database_new(const char *uri, int64_t max_await_ms, struct error *err);
void database_free(struct database *db);

/* Count what is asked of MongoDB here from now on; before the first client is borrowed. */
void database_count(struct database *db, _Atomic uint64_t *commands, _Atomic uint64_t *failures);

/* [ms] how long a getMore waits at the tail. */
int64_t database_max_await_ms(const struct database *db);

/* Borrow a client; NULL when none is free within 10 s. Give it back by database_push. */
mongoc_client_t *database_pop(struct database *db, enum database_patience patience);
void database_push(struct database *db, enum database_patience patience, mongoc_client_t *client);

/* What the server says of itself. */
struct database_hello {
    bool is_replica_set;   /* also a member that is not initiated or not ready yet; that one tells no cluster time */
    bool is_mongos;
    int64_t local_ms;      /* its clock [ms since 1970] */
    int major;             /* server version */
    uint64_t cluster_time; /* operationTime, 0 = none */
};

/* Ask the server that would be watched. Returns 0, or -1 with *err. */
int database_hello(mongoc_client_t *client, struct database_hello *hello, struct error *err);

/* The deployment's present, by a client of its own for a moment. Returns 0, or -1 with *err; with code 40573 where the
 * server is not a member of a replica set. */
int database_present(struct database *db, uint64_t *now, struct error *err);

/* The fields $clusterTime and operationTime of a reply, the newer one; 0 = none. */
uint64_t database_cluster_time(const bson_t *reply);

/* Copy code and text of a driver's error; always returns -1. */
int database_error(const bson_error_t *from, struct error *err);

static inline uint64_t database_time(uint32_t seconds, uint32_t increment)
{
    return (uint64_t)seconds << 32 | increment;
}

#endif
