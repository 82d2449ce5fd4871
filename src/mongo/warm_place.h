/*
 * warm_place - where a source starts in the past, so that its journal is warm. Thread: any.
 */
#ifndef TAILWATER_MONGO_WARM_PLACE_H
#define TAILWATER_MONGO_WARM_PLACE_H

#include "database.h"

/* What the server's oplog is like; 0 = not known. */
struct warm_oplog {
    uint64_t first; /* cluster time of its oldest entry */
    int64_t bytes;
};

struct warm_limits {
    int64_t seconds; /* as far back; 0 = not at all */
    int64_t bytes;   /* but no more than this much of the oplog: what a journal could hold */
};

/*
 * The cluster time to start at; now + 1 where it is not to be in the past. Never before the oplog's oldest entry,
 * where that is known: nothing was promised yet, so that what the oplog no longer has is no loss to anyone.
 */
uint64_t warm_place(const struct warm_limits *limits, const struct warm_oplog *oplog, uint64_t now);

/* The same, asking the server what its oplog is like. Where that cannot be known the place may lie before its
 * beginning: opening there fails then with history lost. */
uint64_t warm_place_find(struct database *database, const struct warm_limits *limits, uint64_t now);

#endif
